"""What the theme in .streamlit/config.toml cannot set: colours with which text is easy to read in both modes.

Texts of charts are a fixed grey in Streamlit (3.7:1 on white), and chosen segments, tabs and slider values have the
accent as their colour, which cannot stand out both from white (on a button) and from a dark page.
"""

from __future__ import annotations

import streamlit as st

_CSS = """<style>
[data-testid="stPlotlyChart"] text:not(.hoverlayer *), [data-testid="stVegaLiteChart"] text {
  fill: currentColor !important;
  fill-opacity: 0.8;
}
button[data-variant="segmented_control"], button[data-variant="pills"], [data-testid="stTab"],
[data-testid="stSliderThumbValue"],
[data-testid="stSliderThumbValue"] * {
  color: inherit !important;
}
</style>"""


def readable() -> None:
    """Add the style to the page; it takes no room."""
    st.html(_CSS)
