"""Adjusting a kept forecast by hand on its page: a grid of the open values, a reason, and what was changed so far."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from timellm.errors import TimeLLMError
from timellm.ledger.adjusting import adjust
from timellm.ledger.entry import Adjustment, Entry
from timellm.ledger.folder import Ledger
from timellm.ledger.words import values
from timellm.ui import keys
from timellm.ui.errors import show_error
from timellm.ui.ledger import who
from timellm.ui.words import plain

_REASON, _FAILURE, _DONE, _VERSION = (
    keys.view("ledger", name) for name in ("reason", "not-adjusted", "adjusted", "grid")
)
_HEIGHT = 320


def grid(ledger: Ledger, entry: Entry, rows: pd.DataFrame) -> None:
    """The values of one channel that are still open, to be changed; `rows` are its points."""
    history = ledger.adjustments(entry.id)
    if failure := st.session_state.pop(_FAILURE, None):
        show_error("Nothing was adjusted", failure)
    if done := st.session_state.pop(_DONE, None):
        st.success(plain(done), icon=":material/check_circle:")
    open_rows = rows[rows["y"].isna()]
    if open_rows.empty:
        st.markdown("All its values are known, so nothing is left to adjust: that would be hindsight.")
    else:
        _form(ledger, entry, open_rows, tuple(one.id for one in history))
    if history:
        st.dataframe(history_frame(history), hide_index=True, alt="Adjustments so far")


def history_frame(history: tuple[Adjustment, ...]) -> pd.DataFrame:
    """One row for each time that somebody changed values, the newest first."""
    return pd.DataFrame(
        [
            {
                "When (UTC)": f"{one.at:%Y-%m-%d %H:%M}",
                "Who": one.by,
                "Why": one.reason,
                "Values": len(one.changes),
                "Channels": ", ".join(sorted({change.channel for change in one.changes})),
                "Withdrawn": sum(change.becomes is None for change in one.changes),
            }
            for one in reversed(history)
        ]
    )


def _form(ledger: Ledger, entry: Entry, rows: pd.DataFrame, seen: tuple[str, ...]) -> None:
    st.caption(
        "Write a value beside the model's, or empty a cell to take the model's again. The model's numbers stay, and"
        " both are scored."
    )
    shown = pd.DataFrame({"Time": rows["ds"], "Model": rows["yhat"], "Adjusted": rows["adjusted"]}).reset_index(
        drop=True
    )
    channel = str(rows["unique_id"].iloc[0])
    daily = bool((rows["ds"] == rows["ds"].dt.normalize()).all())
    # Each save begins a new grid, whose edits are none.
    version = st.session_state.get(_VERSION, 0)
    edited = st.data_editor(
        shown, hide_index=True, height=_HEIGHT, disabled=["Time", "Model"], width=560,
        key=keys.view("ledger", f"values/{entry.id}/{channel}/{version}/{len(seen)}"),
        placeholder="",
        column_config={
            "Time": st.column_config.DatetimeColumn(format="YYYY-MM-DD" if daily else "YYYY-MM-DD HH:mm"),
            "Model": st.column_config.NumberColumn(format="%.5g"),
            "Adjusted": st.column_config.NumberColumn(format="%.5g", help="What you put in its place."),
        },
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = who.ask("adjust")
        reason = st.text_input("Reason", key=_REASON, max_chars=200, placeholder="Why it will be otherwise")
        st.button(
            "Save the adjustment", type="primary", on_click=_save, key=keys.view("ledger", "save"),
            args=(ledger, entry, _wanted(channel, shown, edited), (name, reason), seen),
        )  # fmt: skip


def _wanted(channel: str, shown: pd.DataFrame, edited: pd.DataFrame) -> pd.DataFrame:
    """The cells that were changed."""
    before, after = shown["Adjusted"].to_numpy(np.float64), edited["Adjusted"].to_numpy(np.float64)
    changed = ~((before == after) | (np.isnan(before) & np.isnan(after)))
    return pd.DataFrame({"unique_id": channel, "ds": shown["Time"][changed], "value": after[changed]})


def _save(ledger: Ledger, entry: Entry, wanted: pd.DataFrame, words: tuple[str, str], seen: tuple[str, ...]) -> None:
    try:
        made = adjust(ledger, entry, wanted, by=words[0], reason=words[1], seen=seen)
    except TimeLLMError as error:
        st.session_state[_FAILURE] = str(error)
        return
    done = f"{values(len(made.adjustment.changes))} adjusted."
    if made.met:
        done += f" {' and '.join(made.met)} had changed some of them since you opened this page; yours hold now."
    st.session_state[_DONE] = done
    st.session_state[_VERSION] = st.session_state.get(_VERSION, 0) + 1
