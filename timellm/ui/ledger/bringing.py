"""Bringing actual values to the ledger: an uploaded table, the watched folder, or a database that is asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from timellm.data.uploads import save_upload, table_title
from timellm.errors import TimeLLMError
from timellm.ledger.arriving import INBOX, Outcome, bring, inbox
from timellm.ledger.folder import Ledger
from timellm.ledger.words import revised_words, values
from timellm.ui import keys
from timellm.ui.databases import connections, engine_of
from timellm.ui.errors import show_error, without_server_paths
from timellm.ui.ledger import who
from timellm.ui.words import plain

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

_UPLOAD, _CONNECTION, _SQL, _CAME, _FAILURE = (
    keys.view("ledger", name) for name in ("upload", "connection", "sql", "came", "failure")
)
_MOST_SAID = 6


def ways(ledger: Ledger) -> None:
    """The ways in which actual values come, and what came of the last one."""
    names = connections()
    with st.expander("Bring actual values", icon=":material/move_to_inbox:"):
        tabs = st.tabs(["Grown table", "Watched folder", *(["Database"] if names else [])])
        with tabs[0]:
            file = st.file_uploader(
                "The same table with newer rows (CSV)", type=["csv", "txt", "tsv"], key=_UPLOAD,
                help="With the columns of the table that the run learned from. All kept forecasts are scored with it.",
            )  # fmt: skip
            st.button(
                "Score with this table", type="primary", disabled=file is None, on_click=_upload, args=(ledger, file)
            )
        with tabs[1]:
            _watched(ledger)
        if names:
            with tabs[2]:
                _ask(ledger, names)
    if failure := st.session_state.pop(_FAILURE, None):
        show_error("No actual values came", failure)
    _say(st.session_state.pop(_CAME, ()))


def look(ledger: Ledger) -> None:
    """Take in the tables of the watched folder that changed since this server last looked."""
    for file in inbox(ledger):
        stat = file.stat()
        _taken_in(str(ledger.root), str(file), (stat.st_mtime_ns, stat.st_size), ledger.ids())


@st.cache_data(max_entries=200, show_spinner="Reading the watched folder …")
def _taken_in(root: str, file: str, stamp: tuple[int, int], ids: tuple[str, ...]) -> tuple[Outcome, ...]:
    return bring(Ledger(Path(root)), [Path(file)], by="watched folder")


def _watched(ledger: Ledger) -> None:
    st.markdown(
        f"Tables that lie in the folder `ledger/{INBOX}` of the workspace are read whenever this page opens, and by the"
        " command `python -m timellm ledger score`. A table that was read before changes nothing."
    )
    files = inbox(ledger)
    if not files:
        st.caption("There is no table in it now.")
    for file in files:
        stat = file.stat()
        found = _taken_in(str(ledger.root), str(file), (stat.st_mtime_ns, stat.st_size), ledger.ids())
        fits = [one for one in found if not one.refused]
        st.markdown(f"`{plain(file.name)}`: belongs to {len(fits):,} of {len(found):,} kept forecasts")
        for one in [one for one in found if one.refused][:_MOST_SAID]:
            st.caption(f"Not to {one.entry_id}: {plain(without_server_paths(one.refused))}.")


def _ask(ledger: Ledger, names: tuple[str, ...]) -> None:
    name = st.selectbox("Connection", names, key=_CONNECTION)
    sql = st.text_area(
        "SQL statement", key=_SQL, height=100, placeholder="SELECT date, load, price FROM plant ORDER BY date",
        help="It has to return the columns of the table that the run learned from, with rows from before the cut-off:"
        " by them a forecast's own series is known again.",
    )  # fmt: skip
    st.caption("It is run as it is, with the rights of this connection, and cannot change anything on PostgreSQL.")
    st.button("Ask and score", type="primary", on_click=_query, args=(ledger, name, sql))


def _upload(ledger: Ledger, file: UploadedFile | None) -> None:
    if file is None:
        return
    try:
        path = save_upload(file.name, content=file.getvalue())
        _bring(ledger, path, table_title(path))
    except TimeLLMError as error:
        st.session_state[_FAILURE] = str(error)


def _query(ledger: Ledger, name: str, sql: str) -> None:
    from timellm.ledger.asking import rows_as_csv

    try:
        engine = engine_of(name)
        path = save_upload(f"{name}.csv", content=rows_as_csv(engine, sql))
        _bring(ledger, path, f"database {name}")
    except TimeLLMError as error:
        st.session_state[_FAILURE] = str(error)


def _bring(ledger: Ledger, path: Path, title: str) -> None:
    st.session_state[_CAME] = bring(ledger, [path], by=who.known() or "not named", name=title)


def _say(outcomes: tuple[Outcome, ...]) -> None:
    fits = [one for one in outcomes if not one.refused]
    if fits:
        new, revised = sum(one.new for one in fits), sum(one.revised for one in fits)
        st.success(
            f"{values(new, 'new actual value')} for {values(len(fits), 'kept forecast')}."
            + (f" {revised_words(revised)}." if revised else ""),
            icon=":material/check_circle:",
        )
    refused = [one for one in outcomes if one.refused]
    for one in refused[:_MOST_SAID]:
        st.warning(
            f"**{plain(one.file)}** does not belong to {one.entry_id}: {plain(without_server_paths(one.refused))}.",
            icon=":material/link_off:",
        )
    if len(refused) > _MOST_SAID:
        st.caption(f"Nor to {len(refused) - _MOST_SAID:,} other kept forecasts.")
