"""A pinned window at one validation: what was measured grey, the forecast in the accent, the best simple one dashed.

A window of the run's folder goes in, rows and a Vega-Lite specification come out. The scales are those of all
validations, so that only the forecast moves when the reader goes through them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from timellm.forecasting.validation import PinnedWindow
from timellm.plots.template import ACCENT, HISTORY, OTHERS

MEASURED, FORECAST, CUTOFF = "Measured", "Forecast", "Cut-off"
_HEIGHT = 210
_SHOWN_CONTEXT = 2  # horizons of context before the cut-off
_MARGIN = 0.5  # of the measured range; forecasts further out are cut off, as untrained ones may be anywhere


def pinned_rows(window: PinnedWindow, validation: int) -> pd.DataFrame:
    """The window at the `validation`-th validation as rows: ds, part, value."""
    measured = window.measured.iloc[-(1 + _SHOWN_CONTEXT) * len(window.reference) :]
    ahead = window.ahead.index
    parts = (
        (MEASURED, measured.index, measured.to_numpy()),
        (FORECAST, ahead, window.forecast_KH[validation]),
        (window.reference_name, ahead, window.reference),
        (CUTOFF, pd.DatetimeIndex([window.cutoff]), np.zeros(1)),
    )
    return pd.concat(
        [pd.DataFrame({"ds": index, "part": part, "value": values}) for part, index, values in parts],
        ignore_index=True,
    )


def pinned_spec(window: PinnedWindow) -> dict[str, Any]:
    """How to draw the rows; the same at every validation."""
    reference = window.reference_name
    dashed = {FORECAST: [2, 2], reference: [6, 3]}
    widths = {MEASURED: 1.5, FORECAST: 2.5, reference: 1.3}
    return {
        "height": _HEIGHT,
        "encoding": {
            # Not in UTC: the page hands times without a zone over as the browser's own.
            "x": {
                "field": "ds",
                "type": "temporal",
                "title": None,
                "axis": {"grid": False, "format": _time_format(window), "tickCount": 6, "labelOverlap": True},
            },
            "color": {
                "field": "part",
                "type": "nominal",
                "title": None,
                "scale": {
                    "domain": [MEASURED, FORECAST, reference],
                    "range": [HISTORY, ACCENT, OTHERS[0]],
                },
                "legend": {"orient": "top"},
            },
        },
        "layer": [
            {
                "transform": [{"filter": f"datum.part == '{CUTOFF}'"}],
                "mark": {"type": "rule", "color": HISTORY, "strokeDash": [3, 3]},
                "encoding": {"color": {"value": HISTORY}},
            },
            *(
                {
                    "transform": [{"filter": {"field": "part", "equal": part}}],
                    "mark": {
                        "type": "line",
                        "clip": True,
                        "strokeWidth": widths[part],
                        "strokeDash": dashed.get(part, [1, 0]),
                    },
                    "encoding": {
                        "y": {
                            "field": "value",
                            "type": "quantitative",
                            "title": None,
                            "axis": {"tickCount": 4},
                            "scale": {"domain": _span(window), "zero": False, "nice": True},
                        },
                        "tooltip": [
                            {"field": "part", "type": "nominal", "title": "Part"},
                            {"field": "ds", "type": "temporal", "title": "Time", "format": "%Y-%m-%d %H:%M"},
                            {"field": "value", "type": "quantitative", "title": "Value", "format": ".5~g"},
                        ],
                    },
                }
                for part in (MEASURED, reference, FORECAST)
            ),
        ],
    }


def _time_format(window: PinnedWindow) -> str:
    step = window.measured.index[-1] - window.measured.index[-2]
    return "%d %b %H:%M" if step < pd.Timedelta(days=1) else "%d %b %Y"


def _span(window: PinnedWindow) -> list[float]:
    """Lowest and highest value drawn."""
    measured = window.measured.iloc[-(1 + _SHOWN_CONTEXT) * len(window.reference) :].to_numpy()
    forecasts = np.concatenate([window.forecast_KH.ravel(), window.reference])
    known, reached = measured[~np.isnan(measured)], forecasts[~np.isnan(forecasts)]
    if not len(known):  # a gap that was filled for the model alone
        known = reached
    low, high = float(known.min()), float(known.max())
    room = _MARGIN * (high - low) or 1.0
    return [
        min(low, max(low - room, float(reached.min()))),
        max(high, min(high + room, float(reached.max()))),
    ]
