"""The kept forecasts as a table, one of which is opened; the rows are read again when a file of an entry was added."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from timellm.ledger.folder import Ledger
from timellm.ledger.listing import Row, row
from timellm.ledger.words import RULE
from timellm.ui import keys
from timellm.ui.words import ago, moment

_TABLE = keys.view("ledger", "table")
_MOST_PIXELS = 320
_TTL_S = 300
"""A forecast that waits becomes due with time alone."""

COLUMNS = {
    "State": st.column_config.TextColumn(
        help="waiting: its moments lie ahead. due: they have passed, and no actual value came yet. partly scored: some"
        " are known. scored: the table reaches beyond its end."
    ),
    "Error": st.column_config.NumberColumn(
        "MAE", format="%.4g", help="Mean absolute error of the model's own numbers on the values that are known."
    ),
    "Promised": st.column_config.NumberColumn(
        "Promised", format="%.4g", help="Mean absolute error of the run's test windows at the same steps and channels."
    ),
    "Against it": st.column_config.NumberColumn("To promise", format="%.2f ×", help=RULE),
    "Skill": st.column_config.NumberColumn(
        format="percent", help="How much lower its error is than that of the seasonal naive, made from what it saw."
    ),
    "Coverage": st.column_config.TextColumn(help="Share of the known values within the bands of each level."),
    "Adjusted": st.column_config.TextColumn(help="What adjustments by hand did to the error, where they were made."),
}


@st.cache_resource(max_entries=500, ttl=_TTL_S, show_spinner=False)
def _row(root: str, entry_id: str, stamp: tuple[str, ...]) -> Row:
    from pathlib import Path

    return row(Ledger(Path(root)), entry_id)


def read(ledger: Ledger) -> tuple[Row, ...]:
    """Every kept forecast with what can be said of it by now, the newest first."""
    return tuple(_row(str(ledger.root), entry_id, ledger.stamp(entry_id)) for entry_id in ledger.ids())


def show(rows: tuple[Row, ...]) -> None:
    """The table; selecting a cell opens its forecast."""
    ids = [one.entry_id for one in rows]
    chosen = keys.chosen("kept")
    here = ids.index(chosen) if chosen in ids else None
    key = f"{_TABLE}/{hash(tuple(ids))}"
    st.dataframe(
        frame(rows), hide_index=True, column_config=COLUMNS, height=min(38 + 35 * len(rows), _MOST_PIXELS), key=key,
        on_select=lambda: _selected(key, ids), selection_mode="single-cell", placeholder="", alt="Kept forecasts",
        selection_default={
            "selection": {"rows": [], "columns": [], "cells": [] if here is None else [(here, "Run")]}
        },
    )  # fmt: skip


def frame(rows: tuple[Row, ...]) -> pd.DataFrame:
    """One row a kept forecast, in words; columns without any value are left out."""
    table = pd.DataFrame([_cells(one) for one in rows])
    return table.drop(
        columns=[name for name in table if table[name].isin(["", None]).all() or table[name].isna().all()]
    )


def _cells(one: Row) -> dict[str, object]:
    if one.score is None:
        return {"Run": one.entry_id, "State": "damaged"}
    entry, overall = one.score.entry, one.score.overall
    adjusted = overall.adjusted
    change = "" if adjusted is None else f"{adjusted.change:+.0%}"
    if not change and one.score.adjustments:
        change = "not known yet"
    return {
        "Run": entry.run.name,
        "State": one.score.state + (", below promise" if one.score.below_promise else ""),
        "Cut-off": moment(entry.cutoff),
        "Rows ahead": entry.horizon,
        "Known": f"{overall.known:,} of {overall.of:,}",
        "Error": overall.mae,
        "Promised": overall.judged.promised,
        "Against it": overall.judged.ratio,
        "Skill": overall.skill,
        "Coverage": ", ".join(
            f"{share:.0%} in {level:g} %" for level, share in overall.coverage.items() if share == share
        ),
        "Adjusted": change,
        "Made": ago(entry.made),
        "By": entry.by,
        "Note": entry.note,
    }


def _selected(key: str, ids: list[str]) -> None:
    cells = st.session_state[key].selection.cells
    if cells and cells[0][0] < len(ids):
        keys.choose("kept", ids[cells[0][0]])
