"""The table of all runs: sought, sorted, one of them opened, several of them ticked to be compared.

It reads one light statement of the store, is drawn as a fragment of its own, and ticks only while a run is active.
"""

from __future__ import annotations

from collections import Counter

import pandas as pd
import streamlit as st

from timellm.jobs.local.launcher import supervise
from timellm.jobs.store.listing import Listed, found, list_runs
from timellm.ui import keys
from timellm.ui.errors import explained
from timellm.ui.loaders import store
from timellm.ui.run_search import clear_search, in_words, search_bar
from timellm.ui.words import QUANTIZATION, ago, duration, overall_share, plain, without_minus_zero

_TICKED = keys.view("runs", "ticked")
_PICKED = keys.view("runs", "picked")
_VERSION = keys.view("runs", "version")  # of what is ticked in the table: a selection made elsewhere needs a new table
_TICK_S = 5.0  # every redraw takes from the two cores that train
_MOST_PIXELS = 320

COLUMNS = {
    "Run": st.column_config.TextColumn(width="large"),
    "Progress": st.column_config.ProgressColumn(min_value=0, max_value=1, format="percent", width="small"),
    "Best validation MSE": st.column_config.NumberColumn(
        "Best validation", format="%.3f", help="Lowest MSE on z-scored validation windows so far."
    ),
    "Skill": st.column_config.NumberColumn(
        format="%+.0f %%",
        help="How much lower the test MAE is than that of the best other model; negative is worse. In runs of earlier "
        "versions: than the seasonal naive's.",
    ),
}


def runs_frame(listed: tuple[Listed, ...]) -> pd.DataFrame:
    """One row a run, in words; numbers stay numbers so that columns sort. Columns without any value are left out."""
    frame = pd.DataFrame(
        {
            "Run": _names(listed),
            "State": ["stopping" if run.active and run.stop_requested else run.state for run in listed],
            "Progress": [overall_share(run) if run.active or run.state == "finished" else None for run in listed],
            "Time left": [duration(run.eta_s) if run.state == "running" else "" for run in listed],
            "Best validation MSE": [run.best_validation_loss for run in listed],
            "Skill": [None if run.skill is None else 100 * without_minus_zero(run.skill, decimals=2) for run in listed],
            "Data": [run.table for run in listed],
            "Forecaster": [run.forecaster or "unreadable" for run in listed],
            "Backbone": [run.backbone for run in listed],
            "Quantization": [QUANTIZATION.get(run.quantization, "") for run in listed],
            "Tags": [", ".join(run.tags) for run in listed],
            "Started": [ago(run.started or run.created) for run in listed],
        }
    )
    return frame.drop(
        columns=[name for name in frame if frame[name].isin(["", None]).all() or frame[name].isna().all()]
    )


def _names(listed: tuple[Listed, ...]) -> list[str]:
    """The runs' names, told apart by the end of their ids where several have the same."""
    often = Counter(run.name for run in listed)
    return [run.name if often[run.name] == 1 else f"{run.name} ({run.id[-5:]})" for run in listed]


def runs_table(listed: tuple[Listed, ...]) -> None:
    """Search bar and table of the runs `listed`, read again when it ticks."""
    first = [listed]

    @st.fragment(run_every=_TICK_S if any(run.active for run in listed) else None)
    def table() -> None:
        with explained("The list of runs cannot be read"):
            supervise(store())
            everything = first.pop() if first else list_runs(store().database)
        with st.container(horizontal=True, vertical_alignment="center"):
            search = search_bar(everything)
        kept = st.session_state.get(_TICKED, ())
        ticked = [run.id for run in everything if run.id in kept]
        shown = found(everything, search)
        if not shown:
            st.info(
                f"None of {len(everything):,} runs matches {plain(in_words(search))}.", icon=":material/search_off:"
            )
            st.button("Clear search and filters", on_click=clear_search)
            return
        count = f"{len(shown):,} of {len(everything):,} runs: {plain(in_words(search))}. " if search.leaves_out else ""
        # The table's tools appear above its right end: over this sentence, and not over the filter or other buttons.
        st.caption(
            f"{count}Select a cell to see its run, tick rows to compare. Runs continue when this page is closed."
        )
        _grid(shown, ticked)
        with st.container(horizontal=True, vertical_alignment="center"):
            _link_to_comparison(ticked)
            _picker(everything, ticked)

    table()


def _link_to_comparison(ticked: list[str]) -> None:
    few = len(ticked) < 2
    st.page_link(
        "compare.py", label="Compare" if few else f"Compare {len(ticked)} runs", icon=":material/compare_arrows:",
        query_params={keys.COMPARED: ",".join(ticked)} if ticked else None,
    )  # fmt: skip


def _picker(everything: tuple[Listed, ...], ticked: list[str]) -> None:
    """Ticks runs by name: the rows of the table can be ticked with a pointer alone."""
    names = dict(zip((run.id for run in everything), _names(everything), strict=True))
    with st.popover("Choose runs to compare", icon=":material/checklist:"):
        st.session_state[_PICKED] = ticked
        st.multiselect(
            "Runs to compare", list(names), key=_PICKED, format_func=lambda run_id: names.get(run_id, run_id),
            on_change=_picked,
            placeholder="Write a part of a name", width=420, select_all=False,  # so that Enter picks one run, not all
        )  # fmt: skip


def _picked() -> None:
    st.session_state[_TICKED] = tuple(st.session_state[_PICKED])
    st.session_state[_VERSION] = st.session_state.get(_VERSION, 0) + 1


def _grid(shown: tuple[Listed, ...], ticked: list[str]) -> None:
    ids = [run.id for run in shown]
    places = {run_id: place for place, run_id in enumerate(ids)}
    # A selection is kept as positions: a list of other runs, or in another order, is another table.
    key = keys.view("runs", f"table/{hash((st.session_state.get(_VERSION, 0), *ids))}")
    here = places.get(keys.chosen("run") or "")
    st.dataframe(
        runs_frame(shown),
        column_config=COLUMNS,
        hide_index=True,
        height=min(38 + 35 * len(shown), _MOST_PIXELS),
        key=key,
        on_select=lambda: _selected(key, ids),
        selection_mode=["multi-row", "single-cell"],
        selection_default={
            "selection": {
                "rows": [places[run_id] for run_id in ticked if run_id in places],
                "columns": [],
                "cells": [] if here is None else [(here, "Run")],
            }
        },
        placeholder="",
        alt="Runs",
    )


def _selected(key: str, ids: list[str]) -> None:
    selection = st.session_state[key].selection
    hidden = [run_id for run_id in st.session_state.get(_TICKED, ()) if run_id not in ids]
    st.session_state[_TICKED] = (*hidden, *(ids[row] for row in selection.rows if row < len(ids)))
    row = next((cell[0] for cell in selection.cells), None)
    if row is not None and row < len(ids) and ids[row] != keys.chosen("run"):
        keys.choose("run", ids[row])
        st.rerun()  # the table is a fragment; the rest of the page shows the chosen run
