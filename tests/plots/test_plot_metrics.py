"""The model is drawn first, the worst channel on top."""

import numpy as np
import pandas as pd

from timellm.plots.metrics import by_channel, by_step
from timellm.plots.template import MOST_DRAWN, looks

MODELS = ("Last value", "Seasonal naive", "Time-LLM")
LOOKS = looks(("Seasonal naive", "Last value"), "Time-LLM")


def test_by_step_draws_the_model_solid_and_first():
    frame = pd.DataFrame([{"model": m, "step": s, "mae": s * 0.1} for m in MODELS for s in range(1, 97)])
    figure = by_step(frame, LOOKS, metric="mae", label="MAE")
    assert [trace.name for trace in figure.data] == ["Time-LLM", "Seasonal naive", "Last value"]
    assert [trace.line.dash for trace in figure.data] == ["solid", "dash", "dot"]
    assert list(figure.data[0].x) == list(range(1, 97))


def test_by_channel_puts_the_models_worst_channel_on_top_and_stops_at_30():
    frame = pd.DataFrame([{"model": m, "channel": f"c{i}", "mae": float(i)} for m in MODELS for i in range(40)])
    figure = by_channel(frame, LOOKS, metric="mae", label="MAE")
    dots = [trace for trace in figure.data if trace.mode == "markers"]
    assert [trace.name for trace in dots] == ["Time-LLM", "Seasonal naive", "Last value"]
    assert dots[0].y[-1] == "c39"  # a category axis grows upwards
    assert len(dots[0].y) == 30


def test_by_channel_leaves_an_undefined_error_out_of_the_picture():
    rows = [{"model": m, "channel": c, "mape": np.nan if c == "a" else 1.0} for m in MODELS for c in "ab"]
    figure = by_channel(pd.DataFrame(rows), LOOKS, metric="mape", label="MAPE")
    dots = next(trace for trace in figure.data if trace.mode == "markers")
    assert dots.y[-1] == "b"
    assert np.isnan(dots.x[list(dots.y).index("a")])


def test_models_beyond_the_best_few_are_not_drawn():
    names = [f"model {number}" for number in range(MOST_DRAWN + 4)]
    found = looks(names, "own")
    assert list(found) == ["own", *names[:MOST_DRAWN]]
    assert len({(look.colour, look.dash) for look in found.values()}) == len(found)
