"""The exact prompt of one window, before a run is started: its tokens and their count, from the tokenizer alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from timellm.config import RunConfig
from timellm.errors import TimeLLMError
from timellm.plots.template import ACCENT, OTHERS
from timellm.ui import keys
from timellm.ui.loaders import backbone_ready
from timellm.ui.words import plain

if TYPE_CHECKING:
    from timellm.data.table import Table
    from timellm.explain.prompt import WindowPrompt


def offer(config: RunConfig, table_id: str, table: Table) -> None:
    """A switch that shows the prompt of the first channel's last test window; off, because libraries take seconds."""
    if not backbone_ready(config.model.backbone):
        return
    channel = (config.data.channels or table.channels)[0]
    key = keys.setting(table_id, "prompt_preview")
    if not st.toggle("Show the exact prompt of one window", key=key, persist_state="session"):
        return
    from timellm.ui.seeing.prompt_tokens import count_words, tokens_html  # it loads torch

    try:
        prompt = _prompt(config, table, _decides(config, table), channel)
    except TimeLLMError as error:
        st.caption(f":material/block: {plain(str(error))}.")
        return
    st.caption(f"{plain(channel)}, the last window of the test part. {count_words(prompt)}")
    shared, own = prompt.tokens[: prompt.shared], prompt.tokens[prompt.shared :]
    st.html(tokens_html(shared, colour=ACCENT, first=1))
    st.html(tokens_html(own, colour=OTHERS[0], first=prompt.shared + 1))
    st.caption("Green: the same for all windows. The rest is this window's own.")


def _decides(config: RunConfig, table: Table) -> str:
    """Everything that a prompt is made of, as the key of the cache."""
    parts = (config.data, config.task, config.forecaster)
    return " ".join([*(part.model_dump_json() for part in parts), f"{len(table.values)} {table.values.index[-1]}"])


@st.cache_resource(max_entries=8, show_spinner="Reading the tokenizer …")
def _prompt(_config: RunConfig, _table: Table, key: str, channel: str) -> WindowPrompt:
    from timellm.explain.prompt import PromptReader

    return PromptReader.planned(_config, _table).of_last_window(channel)
