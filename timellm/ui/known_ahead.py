"""Columns with another role than to be forecast, to choose on the Data page: known ahead, measured only, static.

The choices are settings of `DataConfig` and are in the URL with the other roles. A second file with columns known ahead
is kept among the uploads, and the URL names it by its id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from timellm.config import setting_help
from timellm.data.uploads import save_upload, table_path, table_title
from timellm.errors import DataError, TimeLLMError
from timellm.ui import corrections, keys
from timellm.ui.errors import show_error
from timellm.ui.words import plain

if TYPE_CHECKING:
    from timellm.data.columns import ColumnRoles

_ROLES = {
    "known_ahead": ("Known ahead", "such as promotion, price, temperature forecast"),
    "past_only": ("Measured, not known ahead", "shown, not used"),
    "static_columns": ("Static", "shown, not used"),
}
_UPLOAD, _FAILURE = (keys.view("data", name) for name in ("known-upload", "known-failure"))


def roles(table_id: str, found: ColumnRoles) -> dict[str, Any]:
    """What the user chose, by setting; every other column of numbers is forecast, or ignored where channels are named.

    A part of the form with the other roles.
    """
    now = keys.roles()
    taken = {found.time_column, found.time_of_day_column, now.get("time_column"), now.get("id_column")}
    taken |= {found.id_column, now.get("value_column")} if found.layout == "long" else set()
    offered = [name for name in found.columns if name not in taken]
    second = _columns_of_second_file(now.get("known_file"))
    st.markdown("**Columns that are not forecast**")
    chosen: dict[str, Any] = {}
    for part, (setting, (label, hint)) in zip(st.columns(3), _ROLES.items(), strict=True):
        names = list(dict.fromkeys([*offered, *second])) if setting == "known_ahead" else offered
        chosen[setting] = part.multiselect(
            label,
            names,
            [name for name in now.get(setting, []) if name in names],
            placeholder=hint,
            help=setting_help(setting),
            key=keys.setting(table_id, setting),
        )
    chosen["known_holidays"] = st.text_input(
        "Public holidays, known ahead",
        now.get("known_holidays") or "",
        placeholder="none; or a country such as DE, FR, AU-VIC",
        help=setting_help("known_holidays"),
        key=keys.setting(table_id, "known_holidays"),
    ).strip()
    st.caption(
        "Every other column of numbers is forecast; name the channels above to ignore some. A column of texts that "
        "is known ahead counts as 0 and 1, or as a column for each of at most 12 texts. Rows at the end with what is "
        "known ahead and without values to forecast are the future. Validation decides whether what is known ahead "
        "helps, and the run says so."
    )
    return chosen


def second_file(table_id: str) -> None:
    """A second file with columns known ahead: for rows that the table lacks, and for rows after its end."""
    second = keys.roles().get("known_file")
    with st.expander("A second file with what is known ahead", expanded=bool(second)):
        st.caption(
            "A CSV file with timestamps and columns known ahead, such as a weather forecast or the plan of promotions. "
            "It fills what the table lacks, and decides after the table's end."
        )
        if second:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f":material/attach_file: {plain(_title(second))}")
                st.button("Take it away", on_click=lambda: _choose(None), key=keys.view("data", "known-away"))
        st.file_uploader("Second file (CSV)", type=["csv", "txt", "tsv"], key=_UPLOAD, on_change=_bring)
        if failure := st.session_state.pop(_FAILURE, None):
            show_error("The second file was not taken", failure)


def _bring() -> None:
    file = st.session_state[_UPLOAD]
    if file is None:  # taken out of the uploader again; the file stays chosen
        return
    try:
        path = save_upload(file.name, content=file.getvalue())
    except TimeLLMError as error:
        st.session_state[_FAILURE] = str(error)
        return
    _choose(path.name)


def _choose(upload_id: str | None) -> None:
    kept = {name: value for name, value in keys.roles().items() if name != "known_file"}
    corrections.choose(kept | ({"known_file": upload_id} if upload_id else {}))


def _title(upload_id: str) -> str:
    try:
        return table_title(table_path(upload_id))
    except DataError:
        return upload_id


def _columns_of_second_file(upload_id: Any) -> list[str]:
    """Its columns that are no timestamps; none where there is no such file, or it cannot be read."""
    from timellm.config import DataConfig
    from timellm.ui.loaders import columns

    if not upload_id:
        return []
    try:
        found = columns(DataConfig(path=str(table_path(str(upload_id)))))
    except DataError:  # reading the table shows why
        return []
    return [name for name in found.columns if name not in (found.time_column, found.time_of_day_column)]
