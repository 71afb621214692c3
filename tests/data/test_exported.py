"""CSV for people: a spreadsheet calculates nothing in it, and numbers are numbers."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from timellm.data.exported import safe_cell, to_csv


@pytest.mark.parametrize(
    "text", ["=1+1", "+A1", "-A1", "@SUM(A1)", "\t=1", "\r=1", "=", "-", "+-1", "-1-1", "-2+cmd|' /C'!A0"]
)
def test_text_that_a_spreadsheet_would_calculate_stands_behind_an_apostrophe(text):
    assert safe_cell(text) == "'" + text


@pytest.mark.parametrize(
    "value", ["-5", "+3.25", "-1.5e-3", "-1,234.5", -5, -0.5, None, "a=b", "", "'=1", np.nan, "a\t=1"]
)
def test_numbers_and_harmless_texts_stay(value):
    assert safe_cell(value) is value


def test_frame_is_written_with_safe_texts_and_names():
    frame = pd.DataFrame(
        {
            "unique_id": ["=HYPERLINK(1)", "load", None],
            "=x": [-1.5, np.nan, 2.0],
            "kind": pd.Categorical(["@a", "b", "@a"]),
            "ds": pd.to_datetime(["2024-01-01"] * 3),
        }
    )
    before = frame.copy()
    assert to_csv(frame).splitlines() == [
        "unique_id,'=x,kind,ds", "'=HYPERLINK(1),-1.5,'@a,2024-01-01", "load,,b,2024-01-01", ",2.0,'@a,2024-01-01",
    ]  # fmt: skip
    pd.testing.assert_frame_equal(frame, before)


def test_numbers_are_written_as_pandas_writes_them():
    frame = pd.DataFrame({"a": [-1.0, 1e-300, np.nan], "b": [-3, 4, 5], "c": [True, False, True]})
    assert to_csv(frame) == frame.to_csv(index=False)
    assert to_csv(frame, index=True) == frame.to_csv()
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(to_csv(frame))), frame)
