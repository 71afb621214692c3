"""Tables to pre-train on, in the set-up form: which, for how many steps, and what each gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from timellm.config import RunConfig
from timellm.data.corrections import kept_corrections
from timellm.data.joined_settings import balanced
from timellm.data.season import step_name
from timellm.data.uploads import table_title
from timellm.errors import DataError, TimeLLMError
from timellm.ui import loaders, tables
from timellm.ui.beginning.checks import read_table
from timellm.ui.beginning.chosen import BEGIN_STEPS, BEGIN_TABLES, key_of, path_of, paths, title_of
from timellm.ui.settings import Form, label
from timellm.ui.words import plain


def choose(form: Form, config: RunConfig) -> dict[str, Any]:
    """Tables to pre-train on, and for how many steps."""
    st.caption(
        "The adapters are trained on these tables together first, and then on the table of this run. Try it where this"
        " table is short and the others behave like it."
    )
    titles = tables.titles()
    here = [one for one in titles if one != form.table_id]
    key = key_of(form, BEGIN_TABLES)
    gone = [one for one in st.session_state.get(key, []) if one not in here]
    st.multiselect(
        "Tables to pre-train on",
        [*here, *gone],
        key=key,
        format_func=lambda one: titles[one] if one in here else f"{table_title(Path(one))} (not here)",
        placeholder="Choose one or several tables",
        persist_state="session",
    )
    steps = st.number_input(
        "Steps of pre-training",
        min_value=1,
        max_value=10_000_000,
        value=None,
        step=1,
        placeholder="As many as this run's own" if config.trained.minutes is None else "As many as its minutes allow",
        key=key_of(form, BEGIN_STEPS),
        help="Steps at most, before those of this run. With a limit in minutes, each of both trainings may take them.",
        persist_state="session",
    )
    pretrain = {"pretrain": paths(form), "pretrain_steps": int(steps) if steps and paths(form) else None}
    _facts(config.updated(**pretrain))
    return pretrain


def _facts(config: RunConfig) -> None:
    """The size and the share of each table, and what is not as the user may expect."""
    rows, windows, steps = [], [], {}
    for path in config.trained.pretrain:
        try:
            content, counts = read_table(path, config)
        except TimeLLMError:  # it is said where the run starts
            continue
        title = title_of(path)
        steps[title] = step_name(content.frequency)
        windows.append(counts.parts["training"].usable)
        rows.append({"Table": title, "Rows": f"{len(content.values):,}", "Channels": f"{len(content.channels):,}"})
        if corrected := [one for one in _corrections(path) if one != "description"]:
            st.caption(
                f":material/info: {plain(title)} is read as its file stands, without what was"
                f" corrected on the Data page ({plain(', '.join(map(label, corrected)))})."
            )
    if len(rows) > 1 and all(windows):
        for row, count in zip(rows, balanced(windows), strict=True):
            row["Share"] = f"{count / sum(windows):.0%}"
    if rows:
        st.dataframe(rows, hide_index=True, height="content")
    if len(rows) > 1:
        st.caption("Share: how often a window of this table is trained on. A large table does not drown a small one.")
    try:
        own = step_name(loaders.table(config.data).frequency)
    except TimeLLMError:
        return
    if others := [f"{plain(name)} has one row each {step}" for name, step in steps.items() if step != own]:
        st.caption(
            f":material/info: Context and horizon count rows. Here a row is one {own}; {', '.join(others)}. Tables with"
            " one step go together best."
        )


def _corrections(path: str) -> dict[str, Any]:
    """What was corrected about a table; nothing of one that is no upload and no sample."""
    found = next((one for one in tables.titles() if path_of(one) == path), None)
    try:
        return kept_corrections(found) if found else {}
    except DataError:  # the Data page says so
        return {}
