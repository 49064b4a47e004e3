"""Tables as lists of tuples: filter, group, join and pivot with plain containers."""

import random

import pepjit_worker

SALES = 80_000
PRODUCTS = 90
SHOPS = 14


def make_tables():
    rng = random.Random(8128)
    kinds = ("tea", "coffee", "cocoa", "sugar", "spice")
    products = [
        (number, f"product-{number:03}", kinds[number % len(kinds)], 100 + number * 13 % 700)
        for number in range(PRODUCTS)
    ]
    shops = [
        (number, f"shop-{number:02}", ("north", "south", "east")[number % 3])
        for number in range(SHOPS)
    ]
    sales = []
    for number in range(SALES):
        day = number * 360 // SALES
        shop = int(rng.random() * SHOPS)
        product = int(rng.random() ** 2 * PRODUCTS)
        sales.append((day, shop, product, 1 + int(rng.random() * 9)))
    return products, shops, sales


PRODUCT_TABLE, SHOP_TABLE, SALES_TABLE = make_tables()


def index_by(rows, column):
    return {row[column]: row for row in rows}


def join(sales, products, shops):
    """Each sale as (day, region, kind, name, amount)."""
    product_of = index_by(products, 0)
    shop_of = index_by(shops, 0)
    joined = []
    for day, shop, product, quantity in sales:
        _, name, kind, price = product_of[product]
        _, _, region = shop_of[shop]
        joined.append((day, region, kind, name, quantity * price))
    return joined


def group(rows, key):
    groups = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def pivot(rows):
    """Amounts by region (down) and kind (across)."""
    table = {}
    for _, region, kind, _, amount in rows:
        line = table.setdefault(region, {})
        line[kind] = line.get(kind, 0) + amount
    return table


def running_totals(rows):
    """The total of each day, the moving average of a week, the best week."""
    days = [0] * 360
    for row in rows:
        days[row[0]] += row[4]
    averages = []
    window = []
    for amount in days:
        window.append(amount)
        if len(window) > 7:
            del window[0]
        averages.append(sum(window) // len(window))
    best = max(range(len(averages)), key=averages.__getitem__)
    return days, averages, best


def ranking(rows, count):
    """The best products of each region."""
    result = {}
    for region, members in group(rows, lambda row: row[1]).items():
        totals = {}
        for _, _, _, name, amount in members:
            totals[name] = totals.get(name, 0) + amount
        ranked = sorted(totals.items(), key=lambda item: (-item[1], item[0]))
        result[region] = [name for name, _ in ranked[:count]]
    return result


def deduplicate(rows):
    """The first sale of each product in each shop, in order."""
    seen = set()
    kept = []
    for row in rows:
        key = row[1:3]
        if key not in seen:
            seen.add(key)
            kept.append(row)
    return kept


def transpose(table, kinds):
    return [[table[region].get(kind, 0) for region in sorted(table)] for kind in kinds]


def run():
    joined = join(SALES_TABLE, PRODUCT_TABLE, SHOP_TABLE)
    table = pivot(joined)
    by_month = group(joined, lambda row: row[0] // 30)
    monthly = [sum(row[4] for row in by_month[month]) for month in sorted(by_month)]
    days, averages, best = running_totals(joined)
    large = [row for row in joined if row[4] > 3000 and row[2] != "tea"]
    ranks = ranking(joined, 2)
    return (
        transpose(table, ("tea", "coffee", "cocoa")),
        monthly[::4],
        (sum(days) == sum(monthly), averages[-1], best),
        (len(large), len(deduplicate(SALES_TABLE))),
        [ranks[region] for region in sorted(ranks)],
    )


EXPECTED = (
    [[8132790, 9881160, 10012705], [7404889, 9186051, 9329825], [7338051, 9205008, 9231098]],
    [10791302, 10941046, 10966146],
    (True, 364242, 278),
    (10404, 1260),
    [
        ["product-000", "product-050"],
        ["product-000", "product-048"],
        ["product-000", "product-052"],
    ],
)

if __name__ == "__main__":
    pepjit_worker.main("records", run, EXPECTED)
