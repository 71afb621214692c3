"""Columns known ahead: read beside the channels, from the table and from a second file, with the future."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.shop_sales import PRODUCTS, shop_sales
from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.table import read_table
from timellm.data.usable import count_windows
from timellm.errors import ConfigError, DataError

KNOWN = ("promotion", "price")


@pytest.fixture
def written(tmp_path):
    """Writes a frame as a CSV file."""

    def write(frame: pd.DataFrame, name: str = "shop.csv"):
        frame.to_csv(tmp_path / name, index=False)
        return tmp_path / name

    return write


def test_rows_without_sales_at_the_end_are_the_future(written):
    shop = shop_sales(days=60, ahead=7)
    plain = read_table(written(shop.iloc[:60].drop(columns=list(KNOWN)), "plain.csv"))
    table = read_table(written(shop), known_ahead=KNOWN)
    pd.testing.assert_frame_equal(table.values, plain.values)
    assert table.channels == PRODUCTS
    assert len(table.known.index) == 67
    shown = table.known.frame(table.future_index(7))
    assert list(shown["promotion"]) == list(shop["promotion"][60:])
    np.testing.assert_array_equal(shown["price"], shop["price"][60:])
    assert any("7 rows after the last measured one" in note for note in table.notes)
    assert not any("Missing values" in note for note in table.notes)


def test_each_series_of_a_long_table_has_its_own_columns(written):
    shop = shop_sales(days=60, ahead=7, layout="long")
    table = read_table(written(shop), known_ahead=KNOWN)
    assert set(table.channels) == set(PRODUCTS)
    for number, name in enumerate(table.channels):
        shown = table.known.frame(table.future_index(7), channel=number)
        mine = shop[(shop["product"] == name) & shop["sales"].isna()]
        np.testing.assert_array_equal(shown["price"], mine["price"])


@pytest.mark.parametrize("layout", ["wide", "long"])
def test_second_file_gives_the_columns_and_the_future(written, layout):
    shop = shop_sales(days=60, ahead=7, layout=layout)
    keys = ["date", *(["product"] if layout == "long" else [])]
    sold = shop.drop(columns=list(KNOWN)).dropna(subset=["sales"] if layout == "long" else ["bread"])
    second = written(shop[[*keys, *KNOWN]], "ahead.csv")
    one = read_table(written(shop), known_ahead=KNOWN)
    two = read_table(written(sold, "sold.csv"), known_ahead=KNOWN, known_file=str(second))
    pd.testing.assert_frame_equal(one.values, two.values)
    np.testing.assert_array_equal(one.known.values_SNK, two.known.values_SNK)


def test_second_file_decides_after_the_end_and_fills_before_it(written):
    shop = shop_sales(days=60, ahead=7)
    second = shop[["date", "price"]].assign(price=99.0)
    shop.loc[10, "price"] = np.nan
    table = read_table(written(shop), known_ahead=KNOWN, known_file=str(written(second, "ahead.csv")))
    price = table.known.values_SNK[:, 0, 1]
    assert price[10] == 99.0 and (price[60:] == 99.0).all()
    np.testing.assert_array_equal(price[:10], shop["price"][:10])


def test_texts_become_numbers_by_their_order(written):
    shop = shop_sales(days=60, ahead=0).assign(weather=["sun", "rain", "fog"] * 20)
    table = read_table(written(shop), known_ahead=("weather",), channels=("bread",))
    assert table.known.categories == {"weather": ("fog", "rain", "sun")}
    assert list(table.known.values_SNK[:3, 0, 0]) == [2, 1, 0]


def test_missing_known_value_makes_its_row_missing(written):
    shop = shop_sales(days=200, ahead=7)
    shop.loc[100, "price"] = np.nan
    path = written(shop)
    whole = written(shop_sales(days=200, ahead=7), "whole.csv")
    windows = {}
    for missing in ("skip", "interpolate"):
        config = RunConfig.create(path, kind="ridge", known_ahead=KNOWN, context=14, horizon=7, missing=missing)
        table = read_table(path, known_ahead=KNOWN)
        index = PreparedData.of(table, config).windows("training")
        windows[missing] = len(index)
        assert count_windows(table, config).parts["training"].usable == len(index)
    config = config.updated(path=str(whole))
    assert windows["interpolate"] == len(
        PreparedData.of(read_table(whole, known_ahead=KNOWN), config).windows("training")
    )
    assert windows["skip"] == windows["interpolate"] - 4 * 21
    filled = table.known.filled(200, "interpolate")
    assert filled[100, 0, 1] == table.known.values_SNK[99, 0, 1], "from the past alone"
    assert any("'price' in 1 rows" in note for note in table.notes)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"known_ahead": ("prise",)}, DataError, "has no column 'prise'; did you mean 'price'"),
        ({"known_ahead": ("date",)}, ConfigError, "names column 'date', which is the timestamp already"),
        ({"known_ahead": ("bread",)}, ConfigError, "'bread', which is a channel to forecast"),
        ({"known_ahead": ("price",), "past_only": ("price",)}, ConfigError, "'past_only' names column 'price'"),
        (
            {"known_ahead": ("note",)},
            DataError,
            "column 'note' holds 60 different texts .* at most 12",
        ),
        (
            {"known_ahead": ("huge",)},
            DataError,
            "column 'huge' holds 1e\\+40; give its values in a larger unit",
        ),
    ],
)
def test_column_that_cannot_be_known_ahead_is_refused(written, settings, error, message):
    shop = shop_sales(days=60, ahead=0).assign(note=[f"day {day}" for day in range(60)], huge=1e40)
    with pytest.raises(error, match=message):
        read_table(written(shop), channels=("bread",), **settings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda second: second.assign(date="soon"), "ahead.csv: no column holds timestamps"),
        (lambda second: pd.concat([second, second.iloc[:1]]), "stands there a second time; keep one of the rows"),
        (lambda second: second.assign(date=[*second["date"][:-1], "2022-03-10 07:00"]), "not fall on the table's step"),
    ],
)  # fmt: skip
def test_second_file_that_does_not_fit_is_refused(written, change, message):
    shop = shop_sales(days=60, ahead=7)
    second = shop.loc[60:, ["date", "price"]].astype({"date": str})
    with pytest.raises(DataError, match=message):
        read_table(written(shop), known_ahead=("price",), known_file=str(written(change(second), "ahead.csv")))


def test_text_that_was_never_seen_is_refused(written):
    shop = shop_sales(days=60, ahead=7)
    run = read_table(written(shop), known_ahead=KNOWN).known
    newer = read_table(written(shop.replace({"promotion": {"yes": "maybe"}}), "newer.csv"), known_ahead=KNOWN).known
    with pytest.raises(DataError, match="'promotion' says 'maybe', which the run has never seen; it knows: no, yes"):
        newer.like(run)
    with pytest.raises(DataError, match="has no column 'promotion', which the run knows ahead"):
        read_table(written(shop), known_ahead=("price",)).known.like(run)


def test_frame_round_trip_keeps_the_values(written):
    table = read_table(written(shop_sales(days=60, ahead=7)), known_ahead=KNOWN)
    ahead = table.future_index(7)
    again = table.known.with_frame(table.known.frame(ahead))
    np.testing.assert_array_equal(again.values_SNK, table.known.values_SNK)
    changed = table.known.frame(ahead).assign(price=1.0)
    assert (table.known.with_frame(changed).values_SNK[60:, 0, 1] == 1.0).all()
