"""Sentences that several views of the Attention page need."""

from __future__ import annotations

import streamlit as st

from timellm.ui.loaders import Results
from timellm.ui.words import plain


def warn_if_unused(results: Results) -> None:
    """Say it where the language model, and with it the attention, is no part of the forecast."""
    if results.adds_nothing():
        st.info(
            "This run keeps step 0, because no step of training was surely better: its forecast is the linear path's, "
            "and the language model adds nothing to it. What is shown here explains no forecast.",
            icon=":material/info:",
        )


def named(label: str, words: int = 2) -> str:
    """A prototype in a sentence: its first words in bold."""
    return f"**{plain(', '.join(label.split(': ', 1)[-1].split(', ')[:words]))}**"


def counted(number: int, what: str) -> str:
    """A number with its noun."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
