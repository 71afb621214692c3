"""Figures of matplotlib as files for a report or a paper: PNG, SVG and PDF.

A figure goes in, bytes come out; no display is needed. Text stays text in SVG and PDF, so that it can be searched and
edited.
"""

from __future__ import annotations

import io
from typing import Literal, get_args

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Format = Literal["png", "svg", "pdf"]
FORMATS: tuple[Format, ...] = get_args(Format)
MIME = {"png": "image/png", "svg": "image/svg+xml", "pdf": "application/pdf"}
_DPI = 200


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of some inches.

    It is outside pyplot's list, so that requests share no state.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def figure_bytes(figure: Figure, format: Format) -> bytes:
    """The figure as a file; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(format, {})
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "timellm", "pdf.fonttype": 42}):
        figure.savefig(buffer, format=format, dpi=_DPI, metadata=dates)
    return buffer.getvalue()
