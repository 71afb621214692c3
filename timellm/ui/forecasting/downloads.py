"""A forecast as a file: CSV, CSV with decimal commas, or Excel."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from timellm.data.excel import to_excel
from timellm.data.exported import to_csv, to_local_csv
from timellm.errors import ConfigError
from timellm.installation import install_command
from timellm.optional import import_optional
from timellm.ui.words import plain

_EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def offer(rows: pd.DataFrame, name: str, label: str) -> None:
    """Buttons for the rows as files called `name`; each file is made when it is asked for."""
    with st.container(horizontal=True):
        st.download_button(
            label, lambda: to_csv(rows), f"{name}.csv", "text/csv", icon=":material/download:", type="primary",
            on_click="ignore",
        )  # fmt: skip
        with st.popover("Other files", icon=":material/table_view:"):
            st.download_button(
                "CSV with decimal comma", lambda: to_local_csv(rows), f"{name}-comma.csv", "text/csv",
                on_click="ignore", width="stretch",
                help="Semicolons between columns, and a byte-order mark: spreadsheets set to a decimal comma open it.",
            )  # fmt: skip
            missing = _excel_missing()
            st.download_button(
                "Excel", "" if missing else lambda: to_excel(rows), f"{name}.xlsx", _EXCEL, on_click="ignore",
                width="stretch", disabled=bool(missing),
            )  # fmt: skip
            if missing:
                st.caption(plain(missing))


def _excel_missing() -> str:
    """Why no workbook can be written here; empty if one can."""
    try:
        import_optional("xlsxwriter", title="Excel", install=install_command("excel"))
    except ConfigError as error:
        return str(error)
    return ""
