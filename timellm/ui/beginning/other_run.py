"""A finished run whose adapters training begins at, in the set-up form: those that fit, and why others do not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import streamlit as st

from timellm.config import RunConfig
from timellm.errors import ConfigError
from timellm.forecasters.registry import kind_of
from timellm.forecasters.start_rules import check_settings
from timellm.jobs.store.run import Run
from timellm.ui import loaders
from timellm.ui.beginning.chosen import BEGIN_RUN, folder_of, key_of, run_of, title_of
from timellm.ui.pickers import has_results
from timellm.ui.settings import Form
from timellm.ui.words import plain

_LOOKED_AT = 200  # newest runs among which those to begin at are sought
_MOST_REASONS, _MOST_NAMES = 12, 5
_WEIGHTS = "adapter.safetensors"


def choose(form: Form, config: RunConfig) -> dict[str, Any]:
    """A run whose adapters training begins at."""
    st.caption(
        "Training begins at the adapters that another run has learned, instead of at random ones. What belongs to the"
        " table of that run alone, such as the linear path, is not taken."
    )
    runs = {run.id: run for run in _trained_runs() if has_results(run) and (run.run_dir / _WEIGHTS).is_file()}
    unfit = {run_id: why for run_id, run in runs.items() if (why := _why_not(run, config))}
    fit = [run_id for run_id in runs if run_id not in unfit]
    key = key_of(form, BEGIN_RUN)
    chosen = run_of(form)
    if not fit and chosen is None:
        st.caption(
            f":material/block: No finished run of {kind_of(config.kind).title} fits these settings."
            if unfit
            else f":material/block: There is no finished run of {kind_of(config.kind).title} here yet."
        )
    else:
        chosen = st.selectbox(
            "Run to start from",
            [*fit, *([chosen] if chosen is not None and chosen not in fit else [])],
            index=None,
            key=key,
            format_func=lambda one: _title(runs.get(one), one),
            placeholder="Choose a run",
            persist_state="session",
        )
    _reasons([(runs[run_id].name, why) for run_id, why in unfit.items()])
    if (run := runs.get(chosen or "")) is not None and run.id in fit:
        horizon = run.config.task.horizon
        if horizon != config.task.horizon:
            st.caption(
                f"It forecasts {horizon:,} rows, and this run {config.task.horizon:,}. So its head, which is made for"
                f" {horizon:,} rows, is not taken."
            )
    return {"start_from": folder_of(chosen)}


def _trained_runs() -> tuple[Run, ...]:
    """The newest runs that have settings of this version."""
    found = []
    for run in loaders.store().runs(_LOOKED_AT):
        try:
            trains = run.config.training is not None
        except ConfigError:  # its own page says so
            continue
        if trains:
            found.append(run)
    return tuple(found)


def _why_not(run: Run, config: RunConfig) -> str:
    """Why a run of this configuration cannot begin at another run; empty if it can."""
    try:
        check_settings(run.config, config, "it", kind_of(config.kind).start_rules)
    except ConfigError as error:
        return str(error).replace("the adapters in it", "its adapters").partition(", or leave")[0]
    return ""


def _reasons(unfit: list[tuple[str, str]]) -> None:
    """Which runs are not offered, and why."""
    if not unfit:
        return
    often = Counter(why for _, why in unfit)
    one = len(unfit) == 1
    with st.popover(f"Why {len(unfit):,} {'run is' if one else 'runs are'} not offered", icon=":material/help:"):
        for why, count in often.most_common(_MOST_REASONS):
            names = [name for name, reason in unfit if reason == why]
            st.markdown(f"{plain(why[:1].upper() + why[1:])}:")
            st.caption("\n".join(f"- {plain(name)}" for name in names[:_MOST_NAMES]))
            if count > _MOST_NAMES:
                st.caption(f"and {count - _MOST_NAMES:,} more")


def _title(run: Run | None, chosen: str) -> str:
    if run is None:
        return f"{Path(chosen).name} (not here)"
    # The browser answers with this text, so it must not change with the time.
    return f"{run.name} ({run.id[-5:]}) · {title_of(run.config.data.path)}"
