"""A forecast shows as many decimals as its data has, and files open where a comma divides decimals."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from timellm.data.excel import to_excel
from timellm.data.exported import to_csv, to_local_csv
from timellm.data.rounding import decimals_of, round_rows, rounded, rounding_note
from timellm.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "decimals"),
    [
        ([1, 2, np.nan, 30_000], 0),
        ([0.5, 1.25], 2),
        ([0.1 + 0.2, 7], 1),
        ([1e9 + 0.5], 1),
        (np.random.default_rng(0).normal(size=50), None),
        ([np.nan], None),
    ],
)
def test_decimals_are_those_that_all_values_do_with(values, decimals):
    assert decimals_of(np.array(values, float)) == decimals


def test_series_is_rounded_to_its_decimals_and_has_no_minus_zero():
    whole = rounded(pd.Series([1.6, -0.2, np.nan]), 0)
    assert str(whole.dtype) == "Int64" and whole.tolist()[:2] == [2, 0] and pd.isna(whole[2])
    assert rounded(pd.Series([1.26]), 1).tolist() == [1.3]
    assert rounded(pd.Series([1.2345678]), None).tolist() == [1.2345678]
    assert rounding_note(0) == "Values are rounded to whole numbers, as the data has them."
    assert rounding_note(1).startswith("Values are rounded to 1 decimal,") and rounding_note(None) == ""


def test_rows_are_rounded_by_their_channel():
    frame = pd.DataFrame({"unique_id": ["a", "b", "c"], "yhat": [1.26, 1.26, 1.26]})
    mixed = round_rows(frame, {"a": 0, "b": 1, "c": None}, ["yhat"])
    assert mixed["yhat"].tolist() == [1.0, 1.3, 1.26]
    whole = round_rows(frame, {"a": 0, "b": 0, "c": 0}, ["yhat"])
    assert to_csv(whole).splitlines()[1] == "a,1"


def frame():
    days = pd.date_range("2024-01-01", periods=2, freq="D")
    return pd.DataFrame({"unique_id": ["=1+1", "b"], "ds": days, "yhat": [1.5, 2.0]})


def test_csv_with_decimal_comma_has_semicolons_and_a_byte_order_mark():
    text = to_local_csv(frame())
    assert text.startswith(b"\xef\xbb\xbf") and text.decode("utf-8-sig").splitlines() == [
        "unique_id;ds;yhat", "'=1+1;2024-01-01;1,5", "b;2024-01-02;2,0",
    ]  # fmt: skip


def test_workbook_holds_numbers_dates_and_no_formula():
    pytest.importorskip("xlsxwriter")
    import zipfile

    book = zipfile.ZipFile(io.BytesIO(to_excel(frame())))
    sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet and "<v>1.5</v>" in sheet
    assert "=1+1" in book.read("xl/sharedStrings.xml").decode()
    assert "yyyy-mm-dd" in book.read("xl/styles.xml").decode()


def test_missing_workbook_writer_is_named_with_its_command(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "xlsxwriter", None)
    with pytest.raises(ConfigError, match=r"Excel needs the package xlsxwriter, .*; install it with: pip install"):
        to_excel(frame())
