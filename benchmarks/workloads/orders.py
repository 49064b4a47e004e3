"""An order book of a shop in dataclasses and properties: created, replaced, compared.

Frozen and mutable dataclasses, cached and computed properties, enums, ordering, and
`replace`, as in the model layer of a web application.
"""

from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property

import pepjit_worker

ORDERS = 4_000


class State(Enum):
    NEW = "new"
    PAID = "paid"
    SENT = "sent"
    RETURNED = "returned"

    @property
    def is_open(self):
        return self in (State.NEW, State.PAID)


@dataclass(frozen=True, order=True)
class Money:
    cents: int

    def __add__(self, other):
        return Money(self.cents + other.cents)

    def times(self, count):
        return Money(self.cents * count)

    def percent(self, rate):
        return Money((self.cents * rate + 50) // 100)

    def __str__(self):
        return f"{self.cents // 100}.{self.cents % 100:02}"


ZERO = Money(0)


@dataclass(frozen=True)
class Product:
    name: str
    price: Money
    weight: int
    reduced_tax: bool = False

    @property
    def tax_rate(self):
        return 7 if self.reduced_tax else 19


@dataclass
class Line:
    product: Product
    count: int

    @property
    def net(self):
        price = self.product.price.times(self.count)
        return price if self.count < 10 else Money(price.cents * 95 // 100)

    @property
    def tax(self):
        return self.net.percent(self.product.tax_rate)

    @property
    def gross(self):
        return self.net + self.tax

    @property
    def weight(self):
        return self.product.weight * self.count


@dataclass
class Customer:
    name: str
    country: str
    orders: list = field(default_factory=list, repr=False)

    @property
    def spent(self):
        total = ZERO
        for order in self.orders:
            if order.state is State.SENT:
                total += order.total
        return total

    @property
    def is_regular(self):
        return len(self.orders) > 12

    @cached_property
    def label(self):
        return f"{self.name.title()} ({self.country.upper()})"


@dataclass
class Order:
    number: int
    customer: Customer
    lines: list
    state: State = State.NEW
    _note: str = ""

    @property
    def note(self):
        return self._note or "-"

    @note.setter
    def note(self, text):
        if len(text) > 40:
            raise ValueError("the note is too long")
        self._note = text.strip()

    @property
    def weight(self):
        return sum(line.weight for line in self.lines)

    @property
    def goods(self):
        total = ZERO
        for line in self.lines:
            total += line.gross
        return total

    @property
    def shipping(self):
        if self.customer.country == "de":
            return ZERO if self.goods > Money(30_000) else Money(490)
        return Money(900 + 100 * (self.weight // 1000))

    @property
    def total(self):
        goods = self.goods
        if self.customer.is_regular:
            goods = Money(goods.cents * 97 // 100)
        return goods + self.shipping

    def advance(self):
        if self.state is State.NEW:
            self.state = State.PAID
        elif self.state is State.PAID:
            self.state = State.SENT if self.number % 10 else State.RETURNED


def make_catalogue():
    names = ("kettle", "lamp", "notebook", "pen", "globe", "atlas", "clock", "map")
    return [
        Product(
            name,
            Money(250 + 1375 * index % 9000),
            40 + 310 * index % 2200,
            name in ("atlas", "map"),
        )
        for index, name in enumerate(names)
    ]


def make_orders(count):
    catalogue = make_catalogue()
    customers = [Customer(f"customer {n}", ("de", "fr", "pl")[n % 3]) for n in range(110)]
    orders = []
    for number in range(count):
        customer = customers[number * 37 % len(customers)]
        lines = [
            Line(catalogue[(number * step + step) % len(catalogue)], 1 + number * step % 12)
            for step in range(1, 2 + number % 4)
        ]
        order = Order(number, customer, lines)
        order.note = f"  parcel {number % 7} "
        customer.orders.append(order)
        orders.append(order)
    return customers, orders


def dearer(order, rate):
    """The same order after a rise of the prices, the old one unchanged."""
    lines = []
    for line in order.lines:
        product = replace(line.product, price=line.product.price + line.product.price.percent(rate))
        lines.append(replace(line, product=product))
    return replace(order, lines=lines)


def run():
    customers, orders = make_orders(ORDERS)
    for step in range(2):
        for order in orders:
            if order.state.is_open and (step == 0 or order.total < Money(150_000)):
                order.advance()
    states = {}
    for order in orders:
        states[order.state.value] = states.get(order.state.value, 0) + 1
    best = max(customers, key=lambda customer: (customer.spent, customer.name))
    rise = ZERO
    for order in orders[::9]:
        rise += dearer(order, 4).total
    distinct = {line.product for order in orders[::5] for line in order.lines}
    same = sum(a.lines == b.lines for a, b in zip(orders, orders[24:]))
    return (
        sorted(states.items()),
        best.label,
        str(best.spent),
        str(rise),
        len(distinct),
        same,
        orders[3].note,
    )


EXPECTED = (
    [("paid", 276), ("returned", 345), ("sent", 3379)],
    "Customer 85 (FR)",
    "28818.59",
    "267965.25",
    8,
    3976,
    "parcel 3",
)

if __name__ == "__main__":
    pepjit_worker.main("orders", run, EXPECTED)
