"""The shop's table that benchmarks and tests share."""

import numpy as np
import pandas as pd

from benchmarks.shop_sales import PRODUCTS, shop_sales


def test_shop_is_closed_on_sundays_and_sells_more_with_a_promotion():
    table = shop_sales(days=700, ahead=14)
    sold = table.iloc[:700]
    assert (sold.loc[sold["date"].dt.day_of_week == 6, list(PRODUCTS)] == 0).all(axis=None)
    mondays = sold[sold["date"].dt.day_of_week == 0]
    means = mondays.groupby("promotion")[list(PRODUCTS)].mean()
    assert (means.loc["yes"] > 1.3 * means.loc["no"]).all()


def test_shop_rows_ahead_have_what_is_known_and_no_sales():
    for layout, products in (("wide", 1), ("long", len(PRODUCTS))):
        ahead = shop_sales(days=100, ahead=14, layout=layout).iloc[-14 * products :]
        assert ahead[["promotion", "price"]].notna().all(axis=None)
        assert ahead.drop(columns=["date", "promotion", "price", "product"], errors="ignore").isna().all(axis=None)


def test_shop_table_follows_from_its_seed():
    pd.testing.assert_frame_equal(shop_sales(seed=3), shop_sales(seed=3))
    assert not np.array_equal(shop_sales(seed=3)["bread"][:90], shop_sales(seed=4)["bread"][:90])
