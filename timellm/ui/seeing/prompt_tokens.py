"""A prompt as its tokens, the part that all windows share apart from the window's own."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from timellm.data.exported import to_csv
from timellm.plots.template import ACCENT, OTHERS, tint
from timellm.ui.seeing.chosen import Chosen

if TYPE_CHECKING:
    from timellm.explain.prompt import WindowPrompt
    from timellm.forecasters.time_llm.tokenizer import Token

MOST_SHOWN = 1500
"""Tokens of each part; a page with more of them gets slow."""
_TINTS = (0.16, 0.3)
_BLOCK = "font-family:monospace;font-size:0.9rem;line-height:1.9;white-space:pre-wrap;overflow-wrap:anywhere"


def show(chosen: Chosen, prompt: WindowPrompt) -> None:
    """Draw the tokens with their count, and offer text and tokens as files."""
    st.markdown(count_words(prompt))
    shared, own = prompt.tokens[: prompt.shared], prompt.tokens[prompt.shared :]
    kept = "read once and cached" if prompt.causal else "read anew, because prompt and patches read each other"
    with st.container(border=True):
        st.markdown(f"**The same for all windows** · {len(shared):,} tokens, {kept}")
        st.html(tokens_html(shared, colour=ACCENT, first=1))
    with st.container(border=True):
        st.markdown(f"**This window's own** · {len(own):,} tokens, read anew for each window")
        st.html(tokens_html(own, colour=OTHERS[0], first=prompt.shared + 1))
    name = f"prompt-{chosen.results.run.id}"
    with st.container(horizontal=True):
        st.download_button(
            "Download the text", prompt.text, f"{name}.txt", "text/plain", icon=":material/download:", on_click="ignore"
        )
        st.download_button(
            "Download the tokens (CSV)", lambda: to_csv(prompt.frame(), index=True), f"{name}-tokens.csv", "text/csv",
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip


def count_words(prompt: WindowPrompt) -> str:
    """How long the prompt is, in a sentence."""
    count = len(prompt.tokens)
    kept = "cached" if prompt.causal else "the same for all windows"
    limit = f" The backbone reads at most {prompt.most:,}." if prompt.most is not None else ""
    return (
        f"**{count:,} tokens**: {prompt.shared:,} {kept}, {count - prompt.shared:,} of this window alone. "
        f"{prompt.patches:,} patches follow.{limit}"
    )


def tokens_html(tokens: tuple[Token, ...], *, colour: str, first: int) -> str:
    """Each token as a box; nothing of a text is markup, and signs that cannot be seen are written out."""
    boxes = "".join(
        f'<span title="token {first + place}, id {token.id}" style="background:{tint(colour, _TINTS[place % 2])};'
        f'border-radius:3px;padding:1px 0">{escape(seen(token.text))}</span>'
        for place, token in enumerate(tokens[:MOST_SHOWN])
        if token.text
    )
    more = len(tokens) - MOST_SHOWN
    rest = f" … and {more:,} more, which are in the file" if more > 0 else ""
    return f'<div style="{_BLOCK}">{boxes}{rest}</div>'


def seen(text: str) -> str:
    """A text whose control characters, line ends and invisible signs are written out."""
    return "".join(one if one.isprintable() else "↵" if one == "\n" else repr(one)[1:-1] for one in text)
