"""An interpreter written in Python: an assembler and a stack machine with calls.

The dispatch loop is the classic chain of comparisons over an enumeration of small ints;
programs compute primes, factorials, a recursive function and a bubble sort.
"""

import pepjit_worker

PRIME_LIMIT = 1_700
FIBONACCI = 18
SORT_SIZE = 110

MNEMONICS = (
    "push load store add sub mul div mod lt eq not jump jumpz call ret dup drop swap "
    "new get set print halt"
).split()
(
    PUSH,
    LOAD,
    STORE,
    ADD,
    SUB,
    MUL,
    DIV,
    MOD,
    LT,
    EQ,
    NOT,
    JUMP,
    JUMPZ,
    CALL,
    RET,
    DUP,
    DROP,
    SWAP,
    NEW,
    GET,
    SET,
    PRINT,
    HALT,
) = range(len(MNEMONICS))
WITH_OPERAND = {PUSH, LOAD, STORE, JUMP, JUMPZ, CALL}

PRIMES = """
    push 2
    store 0
next:
    load 0
    load 9
    lt
    jumpz end
    push 2
    store 1
try:
    load 1
    dup
    mul
    load 0
    push 1
    add
    lt
    jumpz prime
    load 0
    load 1
    mod
    jumpz composite
    load 1
    push 1
    add
    store 1
    jump try
prime:
    load 2
    load 0
    add
    store 2
composite:
    load 0
    push 1
    add
    store 0
    jump next
end:
    load 2
    print
    halt
"""

FIB = """
    load 9
    call fib
    print
    halt
fib:
    dup
    push 2
    lt
    jumpz recurse
    ret
recurse:
    dup
    push 1
    sub
    call fib
    swap
    push 2
    sub
    call fib
    add
    ret
"""

SORT = """
    load 9
    new
    store 1
    push 0
    store 2
    push 17
    store 3
fill:
    load 2
    load 9
    lt
    jumpz pass
    load 3
    push 75
    mul
    push 74
    add
    push 65537
    mod
    store 3
    load 1
    load 2
    load 3
    set
    load 2
    push 1
    add
    store 2
    jump fill
pass:
    push 0
    store 4
    push 1
    store 2
step:
    load 2
    load 9
    lt
    jumpz again
    load 1
    load 2
    get
    load 1
    load 2
    push 1
    sub
    get
    lt
    jumpz fine
    load 1
    load 2
    get
    store 5
    load 1
    load 2
    load 1
    load 2
    push 1
    sub
    get
    set
    load 1
    load 2
    push 1
    sub
    load 5
    set
    push 1
    store 4
fine:
    load 2
    push 1
    add
    store 2
    jump step
again:
    load 4
    jumpz done
    jump pass
done:
    load 1
    push 0
    get
    print
    load 1
    load 9
    push 1
    sub
    get
    print
    halt
"""


class MachineError(RuntimeError):
    pass


def assemble(source):
    """A flat list of operations and operands."""
    labels = {}
    code = []
    holes = []
    for line in source.splitlines():
        line = line.strip()
        if not line:
            continue
        if line.endswith(":"):
            labels[line[:-1]] = len(code)
            continue
        mnemonic, _, operand = line.partition(" ")
        operation = MNEMONICS.index(mnemonic)
        code.append(operation)
        if operation in WITH_OPERAND:
            if operand.isdigit():
                code.append(int(operand))
            else:
                holes.append((len(code), operand))
                code.append(None)
    for at, label in holes:
        code[at] = labels[label]
    return code


class Machine:
    def __init__(self, code):
        self.code = code
        self.stack = []
        self.calls = []
        self.variables = [0] * 10
        self.printed = []
        self.executed = 0

    def run(self, argument):
        code = self.code
        stack = self.stack
        variables = self.variables
        variables[9] = argument
        at = 0
        executed = 0
        while True:
            operation = code[at]
            at += 1
            executed += 1
            if operation == PUSH:
                stack.append(code[at])
                at += 1
            elif operation == LOAD:
                stack.append(variables[code[at]])
                at += 1
            elif operation == STORE:
                variables[code[at]] = stack.pop()
                at += 1
            elif operation <= EQ:
                right = stack.pop()
                stack.append(binary(operation, stack.pop(), right))
            elif operation == NOT:
                stack.append(0 if stack.pop() else 1)
            elif operation == JUMP:
                at = code[at]
            elif operation == JUMPZ:
                at = at + 1 if stack.pop() else code[at]
            elif operation == CALL:
                self.calls.append(at + 1)
                at = code[at]
            elif operation == RET:
                at = self.calls.pop()
            elif operation == DUP:
                stack.append(stack[-1])
            elif operation == DROP:
                stack.pop()
            elif operation == SWAP:
                stack[-1], stack[-2] = stack[-2], stack[-1]
            elif operation == NEW:
                stack.append([0] * stack.pop())
            elif operation == GET:
                index = stack.pop()
                stack.append(stack.pop()[index])
            elif operation == SET:
                value = stack.pop()
                index = stack.pop()
                stack.pop()[index] = value
            elif operation == PRINT:
                self.printed.append(stack.pop())
            elif operation == HALT:
                break
            else:
                raise MachineError(f"unknown operation {operation}")
        self.executed = executed
        if stack:
            raise MachineError(f"{len(stack)} values were left on the stack")
        return self.printed


def binary(operation, left, right):
    if operation == ADD:
        return left + right
    if operation == SUB:
        return left - right
    if operation == MUL:
        return left * right
    if operation == LT:
        return 1 if left < right else 0
    if operation == EQ:
        return 1 if left == right else 0
    if right == 0:
        raise MachineError("division by zero")
    return left // right if operation == DIV else left % right


def run():
    results = []
    for source, argument in ((PRIMES, PRIME_LIMIT), (FIB, FIBONACCI), (SORT, SORT_SIZE)):
        machine = Machine(assemble(source))
        results.append((machine.run(argument), machine.executed))
    try:
        Machine(assemble("push 1\npush 0\ndiv\nhalt")).run(0)
    except MachineError as error:
        results.append(str(error))
    return results


EXPECTED = [([208385], 198625), ([2584], 79429), ([1349, 65296], 247893), "division by zero"]

if __name__ == "__main__":
    pepjit_worker.main("bytecode_vm", run, EXPECTED)
