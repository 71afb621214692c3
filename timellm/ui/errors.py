"""How a page shows what went wrong: errors the user can mend as a panel, everything else as the bug it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import streamlit as st

from timellm.errors import TimeLLMError
from timellm.ui.words import plain
from timellm.workspace import PROJECT, cache_folder, workspace


def show_error(failure: str, cause: str) -> None:
    """A panel that says what failed and, in the words of the error, why and what helps."""
    cause = without_server_paths(cause)
    st.error(f"**{failure}**  \n{plain(cause[:1].upper() + cause[1:])}", icon=":material/error:")


def without_server_paths(text: str) -> str:
    """A text in which paths begin at the workspace, the cache, the project or the home folder, not at the root.

    A visitor of the pages need not know where the server keeps its files.
    """
    folders = {workspace().root, cache_folder(), PROJECT, Path.home()}
    for folder in sorted(folders, key=lambda folder: -len(folder.parts)):
        if len(folder.parts) > 1:
            text = re.sub(rf"(?<![\w.-]){re.escape(str(folder))}(/|(?![\w.-]))", _relative, text)
    return text


def _relative(found: re.Match[str]) -> str:
    return "" if found[1] else "the workbench's folder"


@contextmanager
def explained(failure: str) -> Iterator[None]:
    """Show a `TimeLLMError` as a panel headed `failure` and end the page there; what was drawn before stays usable."""
    try:
        yield
    except TimeLLMError as error:
        show_error(failure, str(error))
        st.stop()


def nothing_here(text: str, *, page: str, label: str) -> None:
    """An empty state: one sentence on what to do next, one link that does it, and the page ends."""
    with st.container(border=True):
        st.markdown(text)
        st.page_link(page, label=label, icon=":material/arrow_forward:")
    st.stop()
