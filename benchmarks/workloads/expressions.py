"""A calculator language: tokens, a precedence parser, a tree of nodes, evaluation.

Formulas with variables are parsed, evaluated, differentiated, simplified and printed,
each by methods of the node classes or by matching their shapes.
"""

import math

import pepjit_worker

ROUNDS = 280

FORMULAS = (
    "3*x^2 - 2*x + 7",
    "(x + 1) * (x - y) / (y + 2)",
    "-x^3 + 4*(x - 2*(y + 3)) - 0.5",
    "a*b + b*c + c*a - (a + b + c)^2 / 3",
    "((x))*1 + 0*y - (0 - x)",
    "1/(1 + x^2) + y/(2 + y^2) * (x - 1)^3",
)

PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "^": 4}


class FormulaError(ValueError):
    pass


class Node:
    precedence = 9


class Number(Node):
    def __init__(self, value):
        self.value = value

    def evaluate(self, variables):
        return self.value

    def derive(self, name):
        return Number(0.0)

    def simplified(self):
        return self

    def __str__(self):
        return f"{self.value:g}"


class Variable(Node):
    def __init__(self, name):
        self.name = name

    def evaluate(self, variables):
        try:
            return variables[self.name]
        except KeyError:
            raise FormulaError(f"{self.name} has no value") from None

    def derive(self, name):
        return Number(1.0 if name == self.name else 0.0)

    def simplified(self):
        return self

    def __str__(self):
        return self.name


class Negation(Node):
    precedence = 3

    def __init__(self, operand):
        self.operand = operand

    def evaluate(self, variables):
        return -self.operand.evaluate(variables)

    def derive(self, name):
        return Negation(self.operand.derive(name))

    def simplified(self):
        operand = self.operand.simplified()
        if isinstance(operand, Number):
            return Number(-operand.value)
        if isinstance(operand, Negation):
            return operand.operand
        return Negation(operand)

    def __str__(self):
        return f"-{bracketed(self.operand, self.precedence)}"


class Binary(Node):
    def __init__(self, operator, left, right):
        self.operator = operator
        self.left = left
        self.right = right
        self.precedence = PRECEDENCE[operator]

    def evaluate(self, variables):
        left = self.left.evaluate(variables)
        right = self.right.evaluate(variables)
        return apply(self.operator, left, right)

    def derive(self, name):
        f, g = self.left, self.right
        if self.operator in "+-":
            return Binary(self.operator, f.derive(name), g.derive(name))
        if self.operator == "*":
            return Binary("+", Binary("*", f.derive(name), g), Binary("*", f, g.derive(name)))
        if self.operator == "/":
            top = Binary("-", Binary("*", f.derive(name), g), Binary("*", f, g.derive(name)))
            return Binary("/", top, Binary("^", g, Number(2.0)))
        if not isinstance(g, Number):
            raise FormulaError("only constant exponents have a derivative here")
        outer = Binary("*", g, Binary("^", f, Number(g.value - 1.0)))
        return Binary("*", outer, f.derive(name))

    def simplified(self):
        left, right = self.left.simplified(), self.right.simplified()
        match self.operator, left, right:
            case _, Number(), Number():
                return Number(apply(self.operator, left.value, right.value))
            case "+", Number(value=0.0), other:
                return other
            case "+" | "-", other, Number(value=0.0):
                return other
            case "-", Number(value=0.0), other:
                return Negation(other)
            case ("*" | "/", Number(value=0.0), _) | ("*", _, Number(value=0.0)):
                return Number(0.0)
            case ("*", Number(value=1.0), other) | ("*", other, Number(value=1.0)):
                return other
            case "/" | "^", other, Number(value=1.0):
                return other
        return Binary(self.operator, left, right)

    def __str__(self):
        tighter = 1 if self.operator in "-/" else 0
        left = bracketed(self.left, self.precedence + (self.operator == "^"))
        return f"{left} {self.operator} {bracketed(self.right, self.precedence + tighter)}"


def bracketed(node, precedence):
    return str(node) if node.precedence >= precedence else f"({node})"


def apply(operator, left, right):
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    if operator == "/":
        if right == 0.0:
            raise FormulaError("division by zero")
        return left / right
    return left**right


def tokens(text):
    at = 0
    while at < len(text):
        c = text[at]
        if c.isspace():
            at += 1
        elif c.isdigit() or c == ".":
            start = at
            while at < len(text) and (text[at].isdigit() or text[at] == "."):
                at += 1
            yield "number", text[start:at]
        elif c.isalpha():
            start = at
            while at < len(text) and text[at].isalnum():
                at += 1
            yield "name", text[start:at]
        elif c in "+-*/^()":
            at += 1
            yield "sign", c
        else:
            raise FormulaError(f"unexpected {c!r}")
    yield "end", ""


class Parser:
    def __init__(self, text):
        self.tokens = tokens(text)
        self.kind, self.text = next(self.tokens)

    def take(self):
        taken = self.text
        if self.kind != "end":
            self.kind, self.text = next(self.tokens)
        return taken

    def parse(self):
        tree = self.expression(1)
        if self.kind != "end":
            raise FormulaError(f"unexpected {self.text!r}")
        return tree

    def expression(self, least):
        left = self.operand()
        while self.kind == "sign" and PRECEDENCE.get(self.text, 0) >= least:
            operator = self.take()
            # Powers bind to the right, all others to the left.
            next_least = PRECEDENCE[operator] + (operator != "^")
            left = Binary(operator, left, self.expression(next_least))
        return left

    def operand(self):
        if self.kind == "number":
            return Number(float(self.take()))
        if self.kind == "name":
            return Variable(self.take())
        if self.text == "-":
            self.take()
            return Negation(self.expression(3))
        if self.text == "(":
            self.take()
            inner = self.expression(1)
            if self.take() != ")":
                raise FormulaError("a bracket isn't closed")
            return inner
        raise FormulaError(f"unexpected {self.text or 'end'!r}")


def run():
    total = 0.0
    sloped = 0.0
    printed = 0
    for number in range(ROUNDS):
        variables = {"x": number * 0.125, "y": 3.0 - number, "a": 1.0, "b": number * 2.0, "c": -4.0}
        variables["y"] += 0.5
        for formula in FORMULAS:
            tree = Parser(formula).parse()
            slope = tree.derive("x").simplified()
            total += tree.evaluate(variables)
            sloped += slope.evaluate(variables)
            text = str(slope)
            printed += len(text)
            again = Parser(text).parse().evaluate(variables)
            # Products are read from the left, whatever tree they were printed from.
            if not math.isclose(again, slope.evaluate(variables), rel_tol=1e-9, abs_tol=1e-9):
                raise FormulaError(f"{text} isn't read as it was written")
    errors = 0
    for wrong in ("1 +", "(1", "2 $ 3", "1/(x - x)", "q"):
        try:
            Parser(wrong).parse().evaluate({"x": 1.0})
        except FormulaError:
            errors += 1
    return round(total, 4), round(sloped, 4), printed, errors


EXPECTED = (-12122357.4175, -312796.4876, 36960, 5)

if __name__ == "__main__":
    pepjit_worker.main("expressions", run, EXPECTED)
