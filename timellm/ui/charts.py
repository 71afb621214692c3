"""Charts of pages, each built once for the same data: building one takes ten times as long as sending it.

A figure is found again by a digest of everything that it is drawn from, so a changed file or run shows at once. No page
is given the figure itself, so none can change what other sessions see.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from timellm.plots.template import CONFIG


def draw(build: Callable[..., go.Figure], *inputs: Any, alt: str, **settings: Any) -> None:
    """Show the figure that `build(*inputs, **settings)` makes; `alt` says in words what it is.

    Inputs and settings are frames, series, arrays, dataclasses, lists, mappings and plain values of these.
    """
    st.plotly_chart(_built(build, inputs, settings), config=CONFIG, alt=alt)


def draw_with_brush(
    build: Callable[..., go.Figure],
    *inputs: Any,
    alt: str,
    key: str,
    on_span: Callable[[pd.Timestamp, pd.Timestamp], None],
    **settings: Any,
) -> None:
    """The same; dragging over it calls `on_span` with begin and end of the stretch of time."""

    def take() -> None:
        boxes = st.session_state[key].selection.box
        if boxes:
            begin, end = sorted(pd.Timestamp(one) for one in boxes[-1]["x"])
            on_span(begin, end)

    st.plotly_chart(
        _built(build, inputs, settings), config=CONFIG, alt=alt, key=key, selection_mode="box", on_select=take
    )


def on_dark() -> bool:
    """Whether the page is dark: charts on a canvas do not get their colours from the page's style."""
    return st.context.theme.type == "dark"


def _built(build: Callable[..., go.Figure], inputs: tuple[Any, ...], settings: dict[str, Any]) -> go.Figure:
    """The figure, built anew only if it is not kept."""
    digest = hashlib.sha256()
    _add(digest, [build.__module__, build.__qualname__, inputs, settings])
    return _figure(digest.hexdigest(), lambda: build(*inputs, **settings))


@st.cache_resource(max_entries=64, show_spinner=False)
def _figure(digest: str, _build: Callable[[], go.Figure]) -> go.Figure:
    return _build()


def _add(digest: Any, value: Any) -> None:
    """Feed a value into a digest; values that differ in type, shape or content feed different bytes.

    Raises:
        TypeError: nothing here says what identifies such a value.
    """
    match value:
        case None | bool() | int() | float() | str() | np.generic() | pd.Timestamp() | pd.Timedelta():
            _part(digest, type(value).__name__, repr(value).encode())
        case np.ndarray() if value.dtype.kind in "biufmM":
            _part(digest, f"{value.dtype} {value.shape}", np.ascontiguousarray(value).tobytes())
        case np.ndarray() | list() | tuple():
            _part(digest, f"{type(value).__name__} {len(value)}", b"")
            for one in value:
                _add(digest, one)
        case dict():
            _add(digest, list(value.items()))
        case pd.DatetimeIndex():
            _add(digest, ["times", str(value.tz), value.freqstr, value.name, value.asi8])
        case pd.Index():
            _add(digest, ["index", value.name, value.to_numpy()])
        case pd.Series():
            _add(digest, ["series", value.name, value.index, value.to_numpy()])
        case pd.DataFrame():
            _add(digest, ["frame", value.index, list(value.columns), *(value[name].to_numpy() for name in value)])
        case _ if is_dataclass(value) and not isinstance(value, type):
            _add(digest, [type(value).__qualname__, *(getattr(value, field.name) for field in fields(value))])
        case _:
            raise TypeError(f"a chart cannot be found again by a {type(value).__qualname__}")


def _part(digest: Any, head: str, content: bytes) -> None:
    """Heads and lengths keep neighbours apart: ("ab", "c") is not ("a", "bc")."""
    digest.update(f"{head} {len(content)}:".encode())
    digest.update(content)
