"""The buttons with which a reader takes a figure and its numbers along."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from timellm.data.exported import to_csv
from timellm.plots.exporting import FORMATS, MIME, Format, figure_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def offer(
    name: str,
    figure: Callable[[], Figure],
    numbers: Callable[[], pd.DataFrame],
    *,
    page: Callable[[], str] | None = None,
) -> None:
    """Buttons for a figure as PNG, SVG and PDF, and for its numbers as CSV; files are made when they are asked for.

    `name` is that of the files, without an ending. The index of the numbers is written, too. `page` makes the figure
    as one HTML file to explore, where there is such a thing.
    """

    def drawn(format: Format) -> Callable[[], bytes]:
        return lambda: figure_bytes(figure(), format)

    with st.container(horizontal=True):
        for format in FORMATS:
            st.download_button(
                f"Download {format.upper()}", drawn(format), f"{name}.{format}", MIME[format], key=f"{name}.{format}",
                icon=":material/image:", type="primary" if format == "png" else "secondary", on_click="ignore",
            )  # fmt: skip
        st.download_button(
            "Download CSV", lambda: to_csv(numbers(), index=True), f"{name}.csv", "text/csv", key=f"{name}.csv",
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip
        if page is not None:
            st.download_button(
                "Download HTML", lambda: page().encode(), f"{name}.html", "text/html", key=f"{name}.html",
                icon=":material/ads_click:", on_click="ignore",
            )  # fmt: skip
