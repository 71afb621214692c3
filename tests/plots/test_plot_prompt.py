"""Charts of a prompt: what is drawn are the numbers given, and no label is markup."""

from __future__ import annotations

import numpy as np
import pandas as pd

from timellm.plots.exporting import figure_bytes
from timellm.plots.prompt import (
    CHANGE,
    OTHER,
    OWN,
    ChangedPicture,
    EffectsPicture,
    ReadPicture,
    changed_chart,
    effects_chart,
    read_chart,
    words_chart,
)
from timellm.plots.prompt_print import changed_figure, effects_figure, read_figure

HOSTILE = ("<b>bold</b>", "$x$ \\frac", "\u202e\x00", " ", " ", "same", "same")


def series(values, start="2024-01-01") -> pd.Series:
    return pd.Series(np.array(values, float), pd.date_range(start, periods=len(values), freq="h"), name="load $1$")


def changed() -> ChangedPicture:
    own = series([3, 4], "2024-01-02")
    return ChangedPicture(series([1, 2]), series([]), own, own + np.array([0.5, -1]))


def effects() -> EffectsPicture:
    mean = np.array([0.3, 0.2, 0.1, 0.0, 0.5, 0.2, np.nan])
    return EffectsPicture(HOSTILE, mean, mean - 0.05, mean + 0.1, "share", controls=2)


def read() -> ReadPicture:
    weights = np.arange(21.0).reshape(3, 7) / 100
    return ReadPicture(weights, HOSTILE, pd.date_range("2024-01-01", periods=3, freq="8h"))


def test_changed_forecast_stands_beside_the_own_one_with_the_change_below():
    drawn = {trace.name: trace for trace in changed_chart(changed()).data}
    assert drawn.keys() == {"Measured", OWN, OTHER, CHANGE}
    assert list(drawn[OWN].y) == [3, 4] and list(drawn[OTHER].y) == [3.5, 3] and list(drawn[CHANGE].y) == [0.5, -1]


def test_bars_keep_parts_of_the_same_name_apart_and_show_no_markup():
    for trace in (effects_chart(effects()).data[0], words_chart(HOSTILE, effects().mean_E).data[0]):
        assert len(set(trace.y)) == len(HOSTILE) and not any("<" in label for label in trace.y)
        assert trace.y[2] == r"\u202e\x00" and trace.y[3] == "␣" and trace.y[6] == "same (2)"
    spread = effects_chart(effects()).data[0].error_x
    np.testing.assert_allclose(spread.array[:2], 0.1)
    np.testing.assert_allclose(spread.arrayminus[:2], 0.05)


def test_heatmap_has_a_row_for_each_token_and_a_column_for_each_patch():
    (heat,) = read_chart(read()).data
    np.testing.assert_array_equal(heat.z, read().weights_PL.T)
    assert list(heat.x) == [1, 2, 3] and "2024-01-01 08:00" in heat.customdata[0][1]


def test_figures_for_a_report_are_drawn_whatever_the_labels_say():
    for figure in (
        changed_figure(changed(), title="$a$ <b>"),
        effects_figure(effects(), title="x"),
        read_figure(read(), title="y"),
    ):
        assert figure_bytes(figure, "svg").startswith(b"<?xml")
