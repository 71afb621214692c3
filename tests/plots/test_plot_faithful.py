"""Curves of masked forecasts show the measurements they are given, on the page and in print."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from timellm.plots.exporting import figure_bytes
from timellm.plots.faithful import LOOKS, curves_chart, kept_curve, masking_chart, removed_curve
from timellm.plots.faithful_print import faithfulness_figure

SHARES = (0.01, 0.1, 0.5, 0.9, 0.99)
AREAS = {"most attended": 0.5, "random": 0.3, "least attended": 0.2}


@pytest.fixture
def frame() -> pd.DataFrame:
    rows = []
    for height, order in enumerate(LOOKS, start=1):
        for share in SHARES:
            moved, error = share / height, share / height / 2
            band = {"moved_low": moved - 0.01, "moved_high": moved + 0.01, "error_low": error, "error_high": error}
            rows.append({"order": order, "share": share, "moved": moved, "error": error, **band})
    return pd.DataFrame(rows)


def lines(figure, row: int) -> dict[str, object]:
    axis = "x" if row == 1 else "x2"
    return {line.name.partition(",")[0]: line for line in figure.data if line.name and line.xaxis == axis}


def test_masking_chart_draws_each_order_up_to_half_of_the_units(frame):
    figure = masking_chart(frame, unit="prototypes")
    for row, measure in ((1, "moved"), (2, "error")):
        drawn = lines(figure, row)
        assert list(drawn) == list(LOOKS)
        for order, line in drawn.items():
            rows = frame[(frame["order"] == order) & (frame["share"] <= 0.5)]
            np.testing.assert_allclose(line.x, rows["share"])
            np.testing.assert_allclose(line.y, rows[measure])
    assert figure.layout.xaxis.type == "log"
    assert list(figure.layout.xaxis.ticktext) == ["1%", "10%", "50%"]


def test_curves_begin_at_the_unmasked_forecast_and_insertion_reads_the_other_order_backwards(frame):
    figure = curves_chart(frame, unit="patches", areas=AREAS)
    for order, line in lines(figure, 1).items():
        np.testing.assert_allclose(line.x, (0, *SHARES))
        assert line.y[0] == 0
        assert line.name == f"{order}, area {AREAS[order]:.3f}"
    kept = lines(figure, 2)["most attended"]
    least = removed_curve(frame, "least attended", measure="moved")
    np.testing.assert_allclose(kept.x, 1 - least.x[::-1])
    np.testing.assert_allclose(kept.y, least.y[::-1])
    assert kept.x[-1] == 1
    assert kept.y[-1] == 0, "with everything kept, nothing moves"


def test_random_order_kept_first_is_random(frame):
    np.testing.assert_allclose(kept_curve(frame, "random").y[::-1], removed_curve(frame, "random", measure="moved").y)


def test_bands_enclose_their_lines_and_no_order_is_told_by_colour_alone(frame):
    figure = masking_chart(frame, unit="prototypes")
    bands = [trace for trace in figure.data if trace.fill == "toself"]
    for band, line in zip(bands, (trace for trace in figure.data if trace.name), strict=True):
        assert band.mode == "lines", "marks at the edges of a band would be read as measurements"
        half = len(band.x) // 2
        assert (np.array(band.y[:half]) >= np.array(line.y)).all()
        assert (np.array(band.y[half:][::-1]) <= np.array(line.y)).all()
    assert len({(look.dash, look.symbol) for look in LOOKS.values()}) == len(LOOKS)


def test_figure_for_print_has_a_row_for_each_unit(frame):
    frames, areas = {"prototypes": frame, "patches": frame}, {"prototypes": AREAS, "patches": AREAS}
    figure = faithfulness_figure(frames, areas=areas, title="Partly: attention explains something")
    assert [axes.get_xlabel() for axes in figure.axes] == [
        f"share of {unit} {word}" for unit in frames for word in ("removed", "removed", "kept")
    ]
    drawn = figure.axes[0].get_lines()[0]
    np.testing.assert_allclose(drawn.get_ydata(), removed_curve(frame, "most attended", measure="moved").y)
    picture = imread(io.BytesIO(figure_bytes(figure, "png")))
    assert picture.shape[1] >= 2000
