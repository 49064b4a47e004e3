"""A bank's day: class hierarchy, properties, and business rules that raise.

Accounts of three kinds take random orders; refused ones raise exceptions of a small
hierarchy that are counted, and transfers are rolled back when their second half fails.
Amounts are cents, so that everything is exact.
"""

import random
from collections import Counter

import pepjit_worker

CUSTOMERS = 120
ORDERS = 60_000


class BankError(Exception):
    """An order that was refused."""


class InsufficientFunds(BankError):
    def __init__(self, account, missing):
        super().__init__(f"{account.number} lacks {missing}")
        self.missing = missing


class LimitExceeded(BankError):
    pass


class AccountFrozen(BankError):
    pass


class Account:
    kind = "plain"

    def __init__(self, number, owner):
        self.number = number
        self.owner = owner
        self._balance = 0
        self._frozen = False
        self.history = []

    @property
    def balance(self):
        return self._balance

    @property
    def available(self):
        return self._balance

    @property
    def frozen(self):
        return self._frozen

    @frozen.setter
    def frozen(self, value):
        if value and self._balance < 0:
            raise BankError("an account in the red isn't frozen")
        self._frozen = value

    def deposit(self, amount):
        if amount <= 0:
            raise ValueError("amounts are positive")
        self._check_open()
        self._book(amount)

    def withdraw(self, amount):
        self._check_open()
        if amount > self.available:
            raise InsufficientFunds(self, amount - self.available)
        self._book(-amount)

    def month_end(self):
        """Fees and interest."""

    def _check_open(self):
        if self._frozen:
            raise AccountFrozen(self.number)

    def _book(self, amount):
        self._balance += amount
        self.history.append(amount)


class Savings(Account):
    kind = "savings"
    limit = 200_000
    rate_basis_points = 15

    def __init__(self, number, owner):
        super().__init__(number, owner)
        self.withdrawn = 0

    def withdraw(self, amount):
        if self.withdrawn + amount > self.limit:
            raise LimitExceeded(self.number)
        super().withdraw(amount)
        self.withdrawn += amount

    def month_end(self):
        self.withdrawn = 0
        interest = self.balance * self.rate_basis_points // 10_000
        if interest:
            self._book(interest)


class Checking(Account):
    kind = "checking"
    overdraft = 50_000
    fee = 350

    @property
    def available(self):
        return self.balance + self.overdraft

    def month_end(self):
        cost = self.fee
        if self.balance < 0:
            cost += -self.balance // 100
        self._book(-cost)


class Bank:
    def __init__(self):
        self.accounts = {}
        self.refused = Counter()
        self.missing = 0
        self.done = 0

    def open(self, kind, owner):
        number = f"{kind.kind[0].upper()}{len(self.accounts):05}"
        self.accounts[number] = kind(number, owner)
        return number

    def transfer(self, source, target, amount):
        source.withdraw(amount)
        try:
            target.deposit(amount)
        except BankError:
            source._book(amount)
            raise

    def execute(self, order, *arguments):
        try:
            order(*arguments)
        except InsufficientFunds as error:
            self.refused["funds"] += 1
            self.missing += error.missing
        except LimitExceeded:
            self.refused["limit"] += 1
        except BankError as error:
            self.refused[type(error).__name__] += 1
        else:
            self.done += 1

    def month_end(self):
        for account in self.accounts.values():
            account.frozen = False
            account.month_end()

    @property
    def total(self):
        return sum(account.balance for account in self.accounts.values())


def simulate(customers, orders):
    rng = random.Random(314159)
    bank = Bank()
    for owner in range(customers):
        for kind in (Savings, Checking):
            account = bank.accounts[bank.open(kind, owner)]
            account.deposit(100_000)
    accounts = list(bank.accounts.values())
    for number in range(orders):
        account = accounts[int(rng.random() * len(accounts))]
        amount = 100 + int(rng.random() ** 3 * 90_000)
        action = rng.random()
        if action < 0.35:
            bank.execute(account.deposit, amount)
        elif action < 0.75:
            bank.execute(account.withdraw, amount)
        elif action < 0.99:
            other = accounts[int(rng.random() * len(accounts))]
            bank.execute(bank.transfer, account, other, amount)
        else:
            bank.execute(setattr, account, "frozen", not account.frozen)
        if number % 5000 == 4999:
            bank.month_end()
    return bank


def run():
    bank = simulate(CUSTOMERS, ORDERS)
    booked = sum(sum(account.history) for account in bank.accounts.values())
    return bank.done, sorted(bank.refused.items()), bank.missing, bank.total, booked == bank.total


EXPECTED = (
    49110,
    [("AccountFrozen", 5326), ("BankError", 71), ("funds", 2190), ("limit", 3303)],
    55544170,
    116072211,
    True,
)

if __name__ == "__main__":
    pepjit_worker.main("bank", run, EXPECTED)
