"""Sentences that several views of the Attention page need."""

from __future__ import annotations

from timellm.ui.words import plain


def named(label: str, words: int = 2) -> str:
    """A prototype in a sentence: its first words in bold."""
    return f"**{plain(', '.join(label.split(': ', 1)[-1].split(', ')[:words]))}**"


def counted(number: int, what: str) -> str:
    """A number with its noun."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
