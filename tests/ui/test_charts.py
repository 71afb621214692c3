"""Charts are built once for the same data, and anew for any other."""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
import streamlit as st

from timellm.ui import charts


@pytest.fixture
def shown(monkeypatch):
    """The figures that were shown, in order, as the browser gets them."""
    st.cache_resource.clear()
    figures = []
    monkeypatch.setattr(st, "plotly_chart", lambda figure, **_: figures.append(json.loads(figure.to_json())))
    yield figures
    st.cache_resource.clear()


@pytest.fixture
def built():
    """Names of the figures that were built."""
    return []


@pytest.fixture
def line(built):
    """Builds a figure of a series."""

    def line(series, *, label="", **_):
        built.append(label)
        return go.Figure(go.Scatter(x=series.index, y=series.to_numpy(), name=label))

    return line


def hours(*values: float, start: str = "2024-01-01", name: str = "load") -> pd.Series:
    return pd.Series(values, pd.date_range(start, periods=len(values), freq="h"), name=name)


def test_same_data_is_built_once(shown, built, line):
    for _ in range(3):
        charts.draw(line, hours(1, 2, 3), alt="A line", label="a")
    assert built == ["a"]
    assert shown[0] == shown[2]
    assert shown[0]["data"][0]["name"] == "a"


@pytest.mark.parametrize(
    ("series", "settings"),
    [
        (hours(1, 2, 4), {}),
        (hours(1, 2, np.nan), {}),
        (hours(1, 2, 3, start="2024-01-02"), {}),
        (hours(1, 2, 3).tz_localize("Europe/Berlin"), {}),
        (hours(1, 2, 3, name="price"), {}),
        (hours(1, 2, 3).astype(np.float32), {}),
        (hours(1, 2, 3, 4), {}),
        (hours(1, 2, 3), {"label": "b"}),
        (hours(1, 2, 3), {"other": [1, 2]}),
    ],
)
def test_other_data_or_settings_are_built_anew(shown, built, line, series, settings):
    charts.draw(line, hours(1, 2, 3), alt="A line")
    charts.draw(line, series, alt="A line", **settings)
    assert len(built) == 2


def test_one_changed_value_among_a_million_is_built_anew(shown, built, line):
    values = np.zeros(1_000_000)
    series = pd.Series(values, pd.RangeIndex(len(values)))
    charts.draw(lambda *_: line(hours(1)), series, alt="A line")
    charts.draw(lambda *_: line(hours(1)), series.where(series.index != 777_777, 1.0), alt="A line")
    assert len(built) == 2


def test_lists_that_differ_in_their_parts_are_different(shown, built, line):
    for texts in (["ab", "c"], ["a", "bc"], ["abc"], [["a"], "bc"], [1, 2], [1.0, 2.0], ["1", "2"], [None], [True]):
        charts.draw(line, hours(1), alt="A line", texts=texts)
    assert len(built) == 9


def test_frames_and_dataclasses_are_told_apart_by_their_content(shown, built, line):
    @dataclass(frozen=True)
    class Picture:
        weights: np.ndarray
        names: tuple[str, ...]

    frame = pd.DataFrame({"model": ["ours", "naive"], "mae": [1.0, 2.0]})
    for other in (frame, frame.rename(columns={"mae": "mse"}), frame.assign(mae=[1.0, 2.5]), frame.iloc[::-1]):
        charts.draw(line, hours(1), alt="A line", other=other)
    for weights, names in ((np.ones((2, 3)), ("a",)), (np.ones((3, 2)), ("a",)), (np.ones((2, 3)), ("b",))):
        charts.draw(line, hours(1), alt="A line", other=Picture(weights, names))
    assert len(built) == 7


def test_what_cannot_be_told_apart_is_refused(shown, line):
    with pytest.raises(TypeError, match="cannot be found again by a object"):
        charts.draw(line, hours(1), alt="A line", other=object())
