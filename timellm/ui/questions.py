"""Questions about a table that can be read in several ways: each is answered with one click.

Inputs: a `QuestionError`. Outputs: the answer, among the table's corrected settings in the URL.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from timellm.errors import QuestionError
from timellm.ui import corrections, keys, raw_preview, tables
from timellm.ui.words import plain


@contextmanager
def asked(table_id: str) -> Iterator[None]:
    """Draw the question that a table's reading raises, and end the page there."""
    try:
        yield
    except QuestionError as question:
        _ask(table_id, question)
        st.stop()


def _ask(table_id: str, question: QuestionError) -> None:
    before = keys.roles().get(question.setting)  # a second question on one setting offers other answers
    key = keys.view("data", f"answer/{table_id}/{question.setting}" + (f"/{before}" if before else ""))
    choices = {choice.value: choice for choice in question.choices}

    def answer() -> None:
        value = st.session_state[key]
        corrections.choose(keys.roles() | {question.setting: value})
        st.session_state[keys.setting(table_id, question.setting)] = value  # the form that corrects it shows it, too

    with st.container(border=True):
        st.markdown(f"**:material/help: How is this table to be read?**  \n{plain(question.found)}.")
        st.radio(
            "Your answer is kept with the table, and can be corrected under Columns.",
            list(choices),
            index=None,
            format_func=lambda value: plain(_sentence(choices[value].label)),
            captions=[plain(choice.reading) for choice in question.choices],
            key=key,
            on_change=answer,
        )
    raw_preview.show(tables.config(table_id), expanded=True)


def _sentence(label: str) -> str:
    return label[:1].upper() + label[1:]
