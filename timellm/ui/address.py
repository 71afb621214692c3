"""What a page's address asks for and the page does not offer, in one sentence; nothing in an address ends a page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import streamlit as st

from timellm.ui import keys
from timellm.ui.words import moment, plain

_LETTERS = 60
_CALLED: dict[str, str] = {
    "face": "settings", "show": "view", "channel": "channel", "cutoff": "cut-off", "metric": "metric",
    "until": "window", "head": "head", "prototypes": "number of prototypes", "patch": "patch", "loss": "loss",
    "log": "axis", "everything": "settings", "tab": "tab", "view": "view",
    "part": "tab", "parts": "parts of the forecast",
    "over": "windows of the heads", "when": "kind of patches", "from": "hour", "to": "hour", "days": "days",
    "month": "month", "limit": "correlation", "against": "comparison", "beside": "other channel", "other": "other run",
    "map": "map", "word": "word",
    "weights": "kind of weights", "order": "order of the rows", "prototype": "prototype", "rows": "rows",
    "windows": "number of windows", "masked": "unit",
    "by": "breakdown", "backtest": "choice of windows",
    "newer": "newer table", "finding": "finding", "spot": "place in the table",
    "protocol": "experiment", "folder": "folder", "sets": "sets", "pairs": "pairs", "horizons": "horizons",
    "models": "models", "seeds": "seeds", "percents": "percents", "mode": "mode", "step": "step",
    "settings": "further settings", "results": "choice of results",
    "layer": "layer", "layer_head": "head", "sinks": "attention sinks", "tokens": "number of tokens",
}  # fmt: skip
ALL_HEADS, LARGEST_HEAD = "Mean of all heads", "Maximum over heads"
ALL_LAYERS, ITS_HEADS = "Mean of all layers", "Mean of its heads"
MEANS = {"head": ALL_HEADS, "layer": ALL_LAYERS, "layer_head": ITS_HEADS}
"""What is shown where none of them is chosen."""


@contextmanager
def explained_address() -> Iterator[None]:
    """Draw a page within; what its address asks for and its widgets do not offer is then named above the page."""
    asked, place = keys.asked_for(), st.empty()
    try:
        yield
    finally:  # a page that ends early has drawn widgets, too
        refused = keys.not_offered(asked)
        sentences = [
            f"The address asks for the {_CALLED[name]} “{plain(value[:_LETTERS])}”, which is not here; "
            f"the page shows {plain(_shown(name, st.session_state[name]))}."
            for name, values in refused.items()
            for value in values
            if value.casefold() not in _spellings(name, st.session_state[name])
        ]
        if sentences:
            place.info(" ".join(sentences), icon=":material/link_off:")


def _shown(name: str, value: Any) -> str:
    if value is None:
        return f"the {MEANS[name].lower()}" if name in MEANS else "nothing"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "nothing"
    return moment(value) if isinstance(value, pd.Timestamp) else str(value)


def _spellings(name: str, value: Any) -> set[str]:
    """How an address can name a value."""
    words = {str(value), _shown(name, value), MEANS.get(name, "") if value is None else ""}
    words |= set(map(str, value)) if isinstance(value, list) else set()
    return {word.casefold() for word in words}
