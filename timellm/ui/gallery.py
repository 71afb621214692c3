"""The bundled tables as cards: what there is to see, whose data it is, and a button that starts a run on it."""

from __future__ import annotations

import streamlit as st

from timellm.data.samples import Sample, samples
from timellm.data.season import step_name
from timellm.ui import corrections, keys, loaders, setup, tables
from timellm.ui.errors import explained
from timellm.ui.place import Place
from timellm.ui.words import plain


def show() -> None:
    """Draw the cards."""
    st.header("Samples", anchor=False)
    with st.grid("auto", min_column_width=300):
        pressed = [sample for sample in samples() if _card(sample)]
    for sample in pressed:
        with explained("The run on this sample cannot be started"):
            _fit(sample)


def _card(sample: Sample) -> bool:
    """One sample; whether its fit was asked for."""
    with st.container(border=True, height="stretch"):
        st.markdown(f"**{plain(sample.title)}**")
        st.markdown(plain(sample.shows))
        channels = len(sample.channels)
        st.caption(
            f"{sample.rows:,} rows of {channels} {'channel' if channels == 1 else 'channels'}, one every "
            f"{step_name(sample.frequency)}. {plain(sample.attribution)}."
        )
        st.space("stretch")
        with st.container(horizontal=True):
            st.button(
                "Look at it", key=keys.view("data", f"open/{sample.key}"), icon=":material/table_chart:",
                on_click=keys.choose, args=("table", tables.sample_id(sample)),
            )  # fmt: skip
            fit = st.button("Fit it", key=keys.view("data", f"fit/{sample.key}"), icon=":material/play_arrow:")
            with st.popover("Licence", type="tertiary"):
                st.markdown(plain(sample.licence))
                st.caption(f"Source: {plain(sample.source)}")
                st.caption(f"What was taken: {plain(sample.cut)}")
    return fit


def _fit(sample: Sample) -> None:
    """Start a run with the suggested settings, and open the page that shows its progress.

    Raises:
        TimeLLMError: the table cannot be read, or the run cannot be queued.
    """
    table_id = tables.sample_id(sample)
    keys.choose("table", table_id)
    corrections.restore()
    data = tables.config(table_id)
    config = tables.form(table_id, data, loaders.table(data)).defaults
    setup.start(config, setup.run_name(sample.title, {}, config=config, usual=config), Place(), None)
