"""How a page shows what went wrong: errors the user can mend as a panel, everything else as the bug it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from timellm.errors import TimeLLMError
from timellm.ui.words import plain


def show_error(failure: str, cause: str) -> None:
    """A panel that says what failed and, in the words of the error, why and what helps."""
    st.error(f"**{failure}**  \n{plain(cause[:1].upper() + cause[1:])}", icon=":material/error:")


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
