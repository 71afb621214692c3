"""Loss curves, of one run or of several on one axis: the store's curve frames go in, rows and a Vega-Lite specification
come out.

These charts are not Plotly figures: the page takes a Plotly figure down and puts it up again with every new point,
which flashes. A Vega chart adds new rows without that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from timellm.plots.template import ACCENT, HISTORY, OTHERS, RUN_DASHES, RUNS

TRAIN, VALIDATION = "Train", "Validation (MSE)"
_HEIGHT = 330
_DASHED = [6, 4]


def loss_rows(curve: pd.DataFrame, baseline: tuple[str, float] | None = None) -> pd.DataFrame:
    """The curve (columns step, train_loss, validation_loss) as one row a measured point: step, part, loss.

    `baseline`, its name and its validation error, is a level line as long as the curve.
    """
    named = curve.rename(columns={"train_loss": TRAIN, "validation_loss": VALIDATION})
    rows = named.melt(id_vars="step", value_vars=[TRAIN, VALIDATION], var_name="part", value_name="loss")
    return _with_level(_drawable(rows), "part", baseline)


def loss_spec(steps: int | None = None, baseline: str | None = None) -> dict[str, Any]:
    """How to draw the rows: train grey, validation in the accent with a dot for each time it was measured.

    With `steps`, the axis spans the whole run from the start, so that nothing moves while points arrive.
    """
    parts = [TRAIN, VALIDATION, *([baseline] if baseline else [])]
    colours = [HISTORY, ACCENT, *([OTHERS[0]] if baseline else [])]
    span = {"scale": {"domain": [0, steps]}} if steps else {"scale": {"zero": True}}
    spec = _spec("part", title="Part", scale={"domain": parts, "range": colours}, span=span)
    measured = f"datum.part != '{baseline}'"
    spec["layer"] = [
        {"transform": [{"filter": measured}], "mark": {"type": "line", "strokeWidth": 2}},
        {"transform": [{"filter": f"datum.part == '{VALIDATION}'"}], "mark": _DOT},
        {
            "transform": [{"filter": f"!({measured})"}],
            "mark": {"type": "line", "strokeWidth": 1.5, "strokeDash": _DASHED},
        },
    ]
    return spec


def compared_rows(
    curves: Mapping[str, pd.DataFrame], *, column: str, baseline: tuple[str, float] | None = None
) -> pd.DataFrame:
    """The curves of several runs, by their labels, as rows: step, run, loss; `column` is train_loss or validation_loss.

    `baseline` is as in `loss_rows`.
    """
    parts = [
        curve[["step", column]].rename(columns={column: "loss"}).assign(run=label) for label, curve in curves.items()
    ]
    rows = pd.concat(parts, ignore_index=True)[["step", "run", "loss"]]
    return _with_level(_drawable(rows), "run", baseline)


def compared_spec(labels: Sequence[str], baseline: str | None = None, *, log: bool = False) -> dict[str, Any]:
    """How to draw them: a colour and a dash for each run, dots for the baseline; `log` makes the axis logarithmic."""
    names, colours = [*labels], list(RUNS[: len(labels)])
    dashes = [list(dash) for dash in RUN_DASHES[: len(labels)]]
    if baseline:
        names, colours, dashes = [*names, baseline], [*colours, HISTORY], [*dashes, [1, 3]]
    spec = _spec("run", title="Run", scale={"domain": names, "range": colours}, span={"scale": {"zero": True}})
    legend = spec["encoding"]["color"]["legend"]
    # A name a row, because names of runs are long; each row is taken from the height of the plot.
    legend |= {"symbolType": "stroke", "symbolSize": 500, "symbolStrokeWidth": 2, "columns": 1, "labelLimit": 300}
    spec["height"] = _HEIGHT + _LEGEND_ROW * len(names)
    spec["encoding"]["strokeDash"] = {
        "field": "run",
        "type": "nominal",
        "title": None,
        "scale": {"domain": names, "range": dashes},
        "legend": legend,
    }
    if log:
        spec["encoding"]["y"]["scale"] = {"type": "log"}
    spec["layer"] = [
        {"mark": {"type": "line", "strokeWidth": 2}},
        {"transform": [{"filter": f"datum.run != {_quoted(baseline or '')}"}], "mark": _DOT},
    ]
    return spec


_LEGEND_ROW = 18  # pixels
_DOT = {"type": "point", "filled": True, "size": 60, "opacity": 1}


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _drawable(rows: pd.DataFrame) -> pd.DataFrame:
    """Leave out losses that were not measured, and infinite ones of a training that diverged."""
    return rows[np.isfinite(rows["loss"].astype("float64"))].reset_index(drop=True)


def _with_level(rows: pd.DataFrame, column: str, baseline: tuple[str, float] | None) -> pd.DataFrame:
    if baseline is None or rows.empty or not math.isfinite(baseline[1]):
        return rows
    name, error = baseline
    level = pd.DataFrame({"step": [0, int(rows["step"].max())], column: name, "loss": error})
    return pd.concat([rows, level], ignore_index=True)


def _spec(field: str, *, title: str, scale: dict[str, Any], span: dict[str, Any]) -> dict[str, Any]:
    return {
        "height": _HEIGHT,
        "encoding": {
            "x": {
                "field": "step",
                "type": "quantitative",
                "title": "optimiser step",
                "axis": {"tickMinStep": 1, "format": ",d", "grid": False},
                **span,
            },
            "y": {
                "field": "loss",
                "type": "quantitative",
                "title": "loss, z-scored",
                "axis": {"tickCount": 5},
                "scale": {"zero": True},
            },
            "color": {
                "field": field,
                "type": "nominal",
                "title": None,
                "scale": scale,
                "legend": {"orient": "top", "labelLimit": 320, "columns": 2},  # a third column is cut off on a phone
            },
            "tooltip": [
                {"field": field, "type": "nominal", "title": title},
                {"field": "step", "type": "quantitative", "title": "Step", "format": ",d"},
                {"field": "loss", "type": "quantitative", "title": "Loss", "format": ".4f"},
            ],
        },
    }
