"""Tables that are not uploaded: at a place that the operator names, or in a database that the operator has set up."""

from __future__ import annotations

import streamlit as st
from streamlit import config

from timellm.data.elsewhere import MOST_LISTED, VARIABLE, Listed, bring, listed, place
from timellm.data.uploads import save_upload
from timellm.errors import TimeLLMError
from timellm.ui import keys
from timellm.ui.databases import connections, engine_of
from timellm.ui.errors import show_error
from timellm.ui.words import file_size, plain

_PICK, _CONNECTION, _SQL, _FAILURE = (
    keys.view("data", f"elsewhere-{name}") for name in ("pick", "connection", "sql", "failure")
)


def show() -> None:
    """An expander with both ways, and how a table that is too large for an upload gets here."""
    if failure := st.session_state.pop(_FAILURE, None):
        show_error("The table was not brought", failure)
    with st.expander("From a folder, a URL or a database", icon=":material/cloud_download:"):
        st.caption(
            f"An upload may have up to {config.get_option('server.maxUploadSize'):,} MB (the server's setting "
            f"server.maxUploadSize). Larger tables come from a folder or a URL (s3://…, https://…) that the operator "
            f"of this server names in {VARIABLE}, or from a database in .streamlit/secrets.toml."
        )
        if (where := place()) is not None:
            _from_place(where)
        for_sql = connections()
        if for_sql:
            _from_database(for_sql)
        if where is None and not for_sql:
            st.markdown("Neither is set up on this server.")


def _from_place(where: str) -> None:
    try:
        found = _listed(where)
    except TimeLLMError as error:
        show_error("The tables of this server cannot be listed", str(error))
        return
    if not found:
        st.markdown("There is no table at this server's place for tables.")
        return
    sizes = {one.name: one.size_bytes for one in found}
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    name = left.selectbox(
        f"Table, of {len(found):,}{' first ones' if len(found) == MOST_LISTED else ''}", list(sizes), index=None,
        key=_PICK, placeholder="Choose a table, or type a part of its name",
        format_func=lambda one: one if (size := sizes[one]) is None else f"{one} ({file_size(size)})",
    )  # fmt: skip
    right.button(
        "Bring it", key=f"{_PICK}/button", disabled=name is None, width="stretch", on_click=_bring, args=(where, name)
    )


@st.cache_data(ttl=30, max_entries=4, show_spinner="Listing the tables …")
def _listed(where: str) -> tuple[Listed, ...]:
    return listed(where)


def _from_database(names: tuple[str, ...]) -> None:
    name = st.selectbox("Database", names, key=_CONNECTION)
    sql = st.text_area(
        "SQL statement", key=_SQL, height=100, placeholder="SELECT date, load, price FROM plant ORDER BY date"
    )
    st.caption("It is run as it is, with the rights of this connection, and cannot change anything on PostgreSQL.")
    st.button("Ask the database", key=f"{_SQL}/button", on_click=_ask, args=(name, sql))


def _bring(where: str, name: str | None) -> None:
    if name is None:
        return
    try:
        with st.spinner(f"Copying {plain(name)} …"):
            keys.choose("table", bring(where, name).name)
    except TimeLLMError as error:
        st.session_state[_FAILURE] = str(error)


def _ask(name: str, sql: str) -> None:
    from timellm.ledger.asking import rows_as_csv

    try:
        keys.choose("table", save_upload(f"{name}.csv", content=rows_as_csv(engine_of(name), sql)).name)
    except TimeLLMError as error:
        st.session_state[_FAILURE] = str(error)
