"""A form in which the prompt of one window says something else, and the forecast that it then gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from timellm.plots.prompt import ChangedPicture, changed_chart
from timellm.plots.prompt_print import changed_figure
from timellm.ui import charts, keys
from timellm.ui.errors import show_error
from timellm.ui.seeing import downloads
from timellm.ui.seeing.chosen import Chosen
from timellm.ui.seeing.working import Report, fitted_run, run_now, working
from timellm.ui.words import moment, number, plain

if TYPE_CHECKING:
    from timellm.explain.prompt import WindowPrompt
    from timellm.explain.prompted import Changed, PromptedRun

_LABELS = {
    "description": "What the data is",
    "time": "What is said of the window's time",
    "minimum": "Minimum",
    "maximum": "Maximum",
    "median": "Median",
    "trend": "Trend",
    "lags": "Lags",
}
_HISTORY_ROWS = 2
"""The context is drawn for so many horizons."""
_MOST_LETTERS = 120


def show(chosen: Chosen, prompt: WindowPrompt) -> None:
    """Draw the form, and what came of it."""
    from timellm.errors import TimeLLMError
    from timellm.explain.prompt import edited, said

    original = said(prompt.facts)
    st.caption(
        "Change what the prompt says of this window, and see its forecast beside the original one. Statistics are "
        "those of the window after it was scaled to mean 0 and deviation 1."
    )
    wished = _form(chosen, original)
    changes = {name: text for name, text in _values(chosen, original).items() if text != original[name]}
    if not changes:
        if wished:
            st.info("The prompt is as it was. Change something in the form first.", icon=":material/edit:")
        return
    try:
        changed = chosen.results.prompts().with_tokens(edited(prompt.facts, changes))
        changed.check_length()
        key = ("changed", *_window(chosen), changed.text)
        found = working().result(key)
        if found is None and wished:
            found = run_now(lambda report: _forecast(chosen, changed.text, report), result=key)
    except TimeLLMError as error:
        show_error("This prompt cannot be read", str(error))
        return
    if found is None:
        st.caption("The form was changed; press the button to forecast with it.")
    else:
        _result(chosen, found, len(changed.tokens) - len(prompt.tokens))


def loaded(chosen: Chosen) -> PromptedRun:
    """The run with its language model; call it only within work."""
    from timellm.explain.prompted import PromptedRun

    return PromptedRun(fitted_run(chosen.results))


def _forecast(chosen: Chosen, text: str, report: Report) -> Changed:
    from timellm.explain.prompted import change_prompt

    run = loaded(chosen)
    report(0.3)
    return change_prompt(run, text, channel=chosen.channel, cutoff=chosen.cutoff)


def _window(chosen: Chosen) -> tuple[str, ...]:
    run = chosen.results.run
    return str(run.run_dir), str(run.ended), chosen.channel, str(chosen.cutoff)


def _key(chosen: Chosen, name: str) -> str:
    _, _, channel, cutoff = _window(chosen)
    return keys.view("prompt", f"{chosen.results.run.id}/{channel}/{cutoff}/{name}")


def _values(chosen: Chosen, original: dict[str, str]) -> dict[str, str]:
    return {name: st.session_state.get(_key(chosen, name)) or "" for name in original}


def _form(chosen: Chosen, original: dict[str, str]) -> bool:
    """The fields; whether the reader wants the forecast."""
    from timellm.explain.prompt import LONGEST_EDIT

    for name, text in original.items():
        st.session_state.setdefault(_key(chosen, name), text)

    def as_it_was() -> None:
        for name, text in original.items():
            st.session_state[_key(chosen, name)] = text

    def field(name: str) -> None:
        st.text_input(_LABELS[name], key=_key(chosen, name), max_chars=_MOST_LETTERS)

    with st.form(_key(chosen, "form")):
        st.text_area(_LABELS["description"], key=_key(chosen, "description"), max_chars=LONGEST_EDIT, height=100)
        st.text_input(
            _LABELS["time"], key=_key(chosen, "time"), max_chars=LONGEST_EDIT,
            placeholder="Nothing; for example: The forecast begins on Sunday at 00:00 in December.",
        )  # fmt: skip
        with st.grid(4, min_column_width=120):
            for name in ("minimum", "maximum", "median"):
                field(name)
            trends = list(dict.fromkeys([original["trend"], "upward", "downward"]))
            st.selectbox(_LABELS["trend"], trends, key=_key(chosen, "trend"))
        field("lags")
        with st.container(horizontal=True):
            wished = st.form_submit_button(
                "Forecast with this prompt", type="primary", icon=":material/play_arrow:", key=_key(chosen, "go")
            )
            st.form_submit_button("As it was", on_click=as_it_was, icon=":material/undo:", key=_key(chosen, "undo"))
    return wished


def _result(chosen: Chosen, found: Changed, tokens: int) -> None:
    difference = found.changed - found.original
    most = difference.abs().idxmax()
    share = f", **{found.share:.1%}** of the forecast's own deviation" if found.share == found.share else ""
    longer = f" The prompt has {abs(tokens):,} tokens {'more' if tokens > 0 else 'fewer'}." if tokens else ""
    st.markdown(
        f"The forecast of {plain(chosen.channel)} changes by **{number(found.size)}** on average{share}; most at "
        f"{moment(most)}, by {'+' if difference[most] > 0 else '-'}{number(abs(difference[most]))}.{longer}"
    )
    series = chosen.results.table().values[chosen.channel]
    horizon = len(found.original)
    picture = ChangedPicture(
        series.loc[: chosen.cutoff].iloc[-_HISTORY_ROWS * horizon :],
        series.loc[found.original.index[0] : found.original.index[-1]],
        found.original,
        found.changed,
    )
    charts.draw(changed_chart, picture, alt="The forecast with the window's own prompt and with the changed one")
    downloads.offer(
        f"changed-prompt-{chosen.results.run.id}",
        lambda: changed_figure(picture, title=f"{chosen.channel}, forecast after {moment(chosen.cutoff)}"),
        lambda: found.frame().set_index("ds"),
    )
