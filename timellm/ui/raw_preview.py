"""The first lines of the chosen file, beside the questions and settings on how they are read."""

from __future__ import annotations

import streamlit as st

from timellm.config import DataConfig
from timellm.data.raw_lines import raw_lines
from timellm.errors import DataError


def show(config: DataConfig, *, expanded: bool) -> None:
    """Draw the lines with their numbers; nothing where the file cannot be opened, which whoever reads it says."""
    try:
        lines = raw_lines(config)
    except DataError:
        return
    with st.expander("First lines of the file, as they stand", icon=":material/segment:", expanded=expanded):
        st.code(lines, language=None, line_numbers=True, height=320)
