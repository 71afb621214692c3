"""A long table with several columns of values: asked about, one of them chosen, or each of them a channel."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from timellm.data.table import read_table
from timellm.errors import ConfigError, DataError, QuestionError

DAYS = pd.date_range("2024-01-01", periods=30, freq="D")


@pytest.fixture(scope="module")
def shops(tmp_path_factory):
    """Two shops; the second opens ten days later."""
    rows = [
        (day.date(), f"shop {shop}", "north", 10 * shop + number, round(99.5 + number, 1))
        for shop, begin in ((1, 0), (2, 10))
        for number, day in enumerate(DAYS)
        if number >= begin
    ]
    path = tmp_path_factory.mktemp("shops") / "shops.csv"
    pd.DataFrame(rows, columns=["date", "shop", "region", "units", "revenue"]).to_csv(path, index=False)
    return path


def test_columns_of_values_are_asked_about(shops):
    with pytest.raises(QuestionError, match="several of its columns hold numbers: units, revenue") as asked:
        read_table(shops)
    assert asked.value.setting == "value_column"
    assert [one.value for one in asked.value.choices] == ["units", "revenue", "*"]


def test_one_column_is_chosen(shops):
    table = read_table(shops, value_column="revenue")
    assert table.channels == ("shop 1", "shop 2")
    assert table.values["shop 1"].tolist() == [99.5 + number for number in range(30)]


def test_each_column_of_each_series_is_a_channel(shops):
    table = read_table(shops, value_column="*")
    assert table.channels == ("shop 1, revenue", "shop 1, units", "shop 2, revenue", "shop 2, units")
    assert table.values["shop 2, units"].iloc[10:].tolist() == [20 + number for number in range(10, 30)]
    assert table.values["shop 2, units"].iloc[:10].isna().all()
    np.testing.assert_array_equal(table.values.index, DAYS)
    assert any("values in 'units, revenue'" in note for note in table.notes)


def test_channels_can_be_chosen_of_them(shops):
    assert read_table(shops, value_column="*", channels=("shop 2, units",)).channels == ("shop 2, units",)


def test_wrong_cell_is_named_with_its_own_line(shops, tmp_path):
    text = shops.read_text().splitlines()
    text[3] = text[3].replace("101.5", "1o1.5")
    path = tmp_path / "wrong.csv"
    path.write_text("\n".join(text) + "\n")
    with pytest.raises(DataError, match="line 4"):
        read_table(path, value_column="*")


def test_row_without_a_series_is_named_with_its_line(shops, tmp_path):
    text = shops.read_text().splitlines()
    text[5] = text[5].replace("shop 1", "")
    path = tmp_path / "nameless.csv"
    path.write_text("\n".join(text) + "\n")
    with pytest.raises(DataError, match="line 6: the series ID is missing"):
        read_table(path, value_column="*")


def test_wide_table_has_no_series_to_combine_with(tmp_path):
    path = tmp_path / "wide.csv"
    pd.DataFrame({"date": DAYS, "load": range(30), "price": range(30)}).to_csv(path, index=False)
    with pytest.raises(ConfigError, match=r"value_column=\* .* no column of series IDs; leave it out"):
        read_table(path, value_column="*")
