"""A shop's sales table of our own making: daily counts of four products, closed on Sundays, with promotions.

    python -m benchmarks.shop_sales OUT.csv [--layout wide|long] [--days 1095] [--ahead 28] [--seed 0]

What is known ahead is the promotion (yes or no) and the price. In the wide table both hold for all products; in the
long one every product has its own. The last `--ahead` rows have these and no sales: they lie in the future. Sales are
counts (Poisson) around a level with a yearly season, a trend, weekdays, and a promotion that lifts them by 60 % or more
and is followed by two slower days. Nothing here is real data.

Shapes: D days (with those ahead), N products.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

PRODUCTS = ("bread", "coffee", "fruit", "flowers")
_LEVEL = np.array([240.0, 90.0, 140.0, 35.0])
_SEASON = np.array([0.05, 0.10, 0.25, 0.35])
"""Height of the yearly season, as a share of the level."""
_LIFT = np.array([0.6, 0.9, 0.7, 1.4])
"""What a promotion adds, as a share of the level."""
_TREND = np.array([0.05, 0.10, -0.05, 0.0])
"""Growth in a year, as a share of the level."""
_PRICE = np.array([3.2, 7.5, 2.4, 12.0])
_WEEKDAYS = np.array([0.85, 0.8, 0.9, 1.0, 1.25, 1.5, 0.0])  # Monday to Sunday
_DISCOUNT = 0.2
_SHARE = 0.14
"""Of the days that a promotion starts on, if none is running; it lasts three to six days."""


def shop_sales(*, days: int = 1095, ahead: int = 28, seed: int = 0, layout: str = "wide") -> pd.DataFrame:
    """The table: `date`, what is known ahead, and sales, which are missing in the last `ahead` rows.

    wide: a column each product. long: `date, product, sales, promotion, price`, a row each product and day.
    """
    random = np.random.default_rng(seed)
    dates = pd.date_range("2022-01-03", periods=days + ahead, freq="D")
    own = layout == "long"
    promotion_DN = np.stack([_promotions(len(dates), random) for _ in PRODUCTS], axis=1)
    if not own:
        promotion_DN = np.repeat(promotion_DN[:, :1], len(PRODUCTS), axis=1)
    sales_DN = random.poisson(_expected(dates, promotion_DN)).astype(float)
    sales_DN[days:] = np.nan
    price_DN = (_PRICE * (1 - _DISCOUNT * promotion_DN)).round(2)
    words_DN = np.where(promotion_DN, "yes", "no")
    if own:
        columns = {
            "date": np.repeat(dates, len(PRODUCTS)), "product": np.tile(PRODUCTS, len(dates)),
            "sales": sales_DN.ravel(), "promotion": words_DN.ravel(), "price": price_DN.ravel(),
        }  # fmt: skip
        return pd.DataFrame(columns).astype({"sales": "Int64"})
    sold = pd.DataFrame(sales_DN, columns=list(PRODUCTS)).astype("Int64")
    known = pd.DataFrame({"date": dates, "promotion": words_DN[:, 0], "price": price_DN[:, 0]})
    return pd.concat([known, sold], axis="columns")


def _promotions(days: int, random: np.random.Generator) -> np.ndarray:
    """Whether each day has a promotion, bool [D]."""
    running = np.zeros(days, bool)
    day = 0
    while day < days:
        if random.random() < _SHARE:
            length = int(random.integers(3, 7))
            running[day : day + length] = True
            day += length + 5
        day += 1
    return running


def _expected(dates: pd.DatetimeIndex, promotion_DN: np.ndarray) -> np.ndarray:
    """Mean sales, [D, N]."""
    year_D1 = (np.arange(len(dates)) / 365.25)[:, None]
    season_DN = 1 + _SEASON * np.sin(2 * np.pi * (year_D1 - 0.2))
    before_DN = np.zeros_like(promotion_DN)
    before_DN[1:] = promotion_DN[:-1]
    before_DN[2:] |= promotion_DN[:-2]
    after_DN = 1 - 0.15 * (before_DN & ~promotion_DN)
    level_DN = _LEVEL * (1 + _TREND * year_D1) * season_DN * after_DN
    return level_DN * (1 + _LIFT * promotion_DN) * _WEEKDAYS[dates.day_of_week][:, None]


def main() -> None:
    """Write a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--layout", choices=("wide", "long"), default="wide")
    parser.add_argument("--days", type=int, default=1095)
    parser.add_argument("--ahead", type=int, default=28)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    table = shop_sales(days=chosen.days, ahead=chosen.ahead, seed=chosen.seed, layout=chosen.layout)
    table.to_csv(chosen.out, index=False)
    print(f"{chosen.out}: {len(table):,} rows, {', '.join(table.columns)}")


if __name__ == "__main__":
    main()
