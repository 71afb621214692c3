"""Databases that the operator of this server has set up, in `.streamlit/secrets.toml`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st
from sqlalchemy.exc import SQLAlchemyError
from streamlit.errors import StreamlitAPIException

from timellm.errors import LedgerError

if TYPE_CHECKING:
    from sqlalchemy import Engine


def connections() -> tuple[str, ...]:
    """Names of the databases."""
    if not st.secrets.load_if_toml_exists():
        return ()
    return tuple(st.secrets.get("connections", {}))


def engine_of(name: str) -> Engine:
    """The engine of a connection.

    Raises:
        LedgerError: its settings are wrong, or its driver is not installed.
    """
    try:
        return st.connection(name, type="sql").engine
    except (ImportError, StreamlitAPIException, SQLAlchemyError) as error:
        said = " ".join(str(error).split())[:300]
        raise LedgerError(f"the connection '{name}' cannot be made: {said}; correct it in secrets.toml") from error
