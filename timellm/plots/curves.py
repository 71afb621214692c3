"""A run's loss curves: the store's curve frame goes in, rows and a Vega-Lite specification come out.

This chart alone is not a Plotly figure: the page takes a Plotly figure down and puts it up again with every new point,
which flashes, while a Vega chart takes new rows into the view that is there.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from timellm.plots.template import ACCENT, HISTORY

TRAIN, VALIDATION = "Train", "Validation (MSE)"
_HEIGHT = 330


def loss_rows(curve: pd.DataFrame) -> pd.DataFrame:
    """The curve (columns step, train_loss, validation_loss) as one row a measured point: step, part, loss."""
    named = curve.rename(columns={"train_loss": TRAIN, "validation_loss": VALIDATION})
    rows = named.melt(id_vars="step", value_vars=[TRAIN, VALIDATION], var_name="part", value_name="loss")
    return rows.dropna(subset=["loss"]).reset_index(drop=True)


def loss_spec(steps: int | None = None) -> dict[str, Any]:
    """How to draw the rows: train grey, validation in the accent with a dot for each time it was measured.

    With `steps`, the axis spans the whole run from the start, so that nothing moves while points arrive.
    """
    span = {"scale": {"domain": [0, steps]}} if steps else {"scale": {"zero": True}}
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
                "field": "part",
                "type": "nominal",
                "title": None,
                "scale": {"domain": [TRAIN, VALIDATION], "range": [HISTORY, ACCENT]},
                "legend": {"orient": "top"},
            },
            "tooltip": [
                {"field": "part", "type": "nominal", "title": "Part"},
                {"field": "step", "type": "quantitative", "title": "Step", "format": ",d"},
                {"field": "loss", "type": "quantitative", "title": "Loss", "format": ".4f"},
            ],
        },
        "layer": [
            {"mark": {"type": "line", "strokeWidth": 2}},
            {
                "transform": [{"filter": f"datum.part == '{VALIDATION}'"}],
                "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
            },
        ],
    }
