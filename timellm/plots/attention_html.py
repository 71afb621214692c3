"""The linked heatmap as one HTML file that opens without a network: the picture's numbers and a short script.

An `AttentionPicture` goes in, the text of a page comes out. The script is drawn for this one picture, so the file stays
small: a chart library alone would take several megabytes. What the page does: pointing at a cell or at the series
lights the patch in both, a click or the arrow keys choose a cell, and a drag over the series chooses a span.
"""

from __future__ import annotations

import json
from html import escape

import numpy as np

from timellm.plots.attention import AttentionPicture
from timellm.plots.attention_script import SCRIPT, STYLE
from timellm.plots.template import ACCENT, HISTORY

_STEPS = 10_000


def attention_html(picture: AttentionPicture, *, title: str) -> str:
    """A page with `title`, which is text and not markup, and the linked heatmap.

    Weights are written in ten-thousandths of the scale.
    """
    steps_PK = np.round(picture.weights_PV / picture.scale.limit * _STEPS).astype(int)
    window = picture.window
    content = {
        "times": [f"{stamp:%a %Y-%m-%d %H:%M}" for stamp in window.index],
        "values": [float(f"{value:.6g}") for value in window],
        "name": str(window.name),
        "spans": picture.spans_P2.tolist(),
        "labels": list(picture.labels),
        "cells": steps_PK.tolist(),
        "unit": 100 * picture.scale.limit / _STEPS,
        "deviation": picture.scale.deviation,
        "colours": list(picture.scale.colours),
        "ends": list(picture.scale.ends),
        "accent": ACCENT,
        "line": HISTORY,
    }
    # "<" would let a name end the script.
    data = json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Attention: {escape(title)}</title><style>{STYLE}</style></head><body>\n"
        f'<h1>Attention: {escape(title)}</h1>\n<canvas id="chart" tabindex="0" role="img" aria-label="{escape(title)}. '
        'Arrow keys choose a cell."></canvas>\n<p id="said" aria-live="polite"></p>\n'
        f"<script>\nconst D = {data};\n{SCRIPT}</script>\n</body></html>\n"
    )
