"""The prompt of one window: its tokens, the forecast with another one, and which words of it the patches read."""

from __future__ import annotations

import streamlit as st

from timellm.ui.seeing import prompt_change, prompt_effects, prompt_reading, prompt_tokens
from timellm.ui.seeing.chosen import Chosen

NOTHING_ADDED = (
    "The prompt cannot move this run's forecast. No step of its training made it better than the linear path, so step "
    "0 was kept, and the language model adds nothing. The prompt and what the patches read of it are shown all the "
    "same."
)


def show(chosen: Chosen) -> None:
    """Draw the view."""
    from timellm.explain.prompt import why_no_prompt

    if reason := why_no_prompt(chosen.results.run.config):
        st.info(f"{reason[:1].upper()}{reason[1:]}.", icon=":material/info:")
        return
    still = chosen.results.adds_nothing()
    if still:
        st.warning(NOTHING_ADDED, icon=":material/block:")
    st.caption(
        "Before the patches of a window, the language model reads a prompt: what the data is, the task, and the "
        "window's own statistics. Each box is a token, as the language model gets it."
    )
    prompt = chosen.results.prompts().of(chosen.channel, chosen.cutoff)
    prompt_tokens.show(chosen, prompt)
    if not still:
        st.header("What if the prompt said something else?", anchor=False)
        prompt_change.show(chosen, prompt)
        st.header("How much each sentence moves the forecast", anchor=False)
        prompt_effects.show(chosen)
    st.header("Which words the patches read", anchor=False)
    prompt_reading.show(chosen, prompt)
