"""The windows of a run before it starts: how many there are, what gaps cost, and one click that mends it.

Inputs: the set-up form's configuration and table, or a failed run. Outputs: words and buttons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from timellm.config.repair import filling
from timellm.errors import TimeLLMError
from timellm.jobs.store.run import Run
from timellm.ui import keys, loaders, setup
from timellm.ui.settings import Form, label, shown
from timellm.ui.words import plain

if TYPE_CHECKING:
    from timellm.data.usable import Remedy, WindowCounts

_FILLED = {"missing": "interpolate"}
_WORTH_SAYING = 0.01
"""A smaller share of the windows that gaps cost calls for no remedy."""
_IN_WORDS = {
    "missing": "fill the gaps",
    "context": "lower the context",
    "horizon": "lower the horizon",
    "channels": "leave out the channels without values",
}


def said(form: Form, counts: WindowCounts) -> None:
    """How many windows each part has, how many gaps cost, and the remedies to choose from."""
    parts = counts.parts
    st.caption(
        f"Windows: {parts['training'].usable:,} to train on, {parts['validation'].usable:,} to choose the best"
        f" checkpoint, {parts['test'].usable:,} to score."
    )
    lost = {name: part for name, part in parts.items() if part.left_out}
    if (fill := filling(form.defaults.data.repair)) is not None:
        treated = "left out, with the windows that touch them" if fill == "skip" else "filled in what the model sees"
        st.caption(f"Gaps are {treated}, as chosen under Repair on the Data page.")
    elif form.value("missing") == "interpolate":
        st.caption("Gaps in what the model sees are filled, from each window's own past.")
        st.button("Do not fill gaps", type="tertiary", icon=":material/undo:", on_click=setup.put,
                  args=(form, {"missing": "skip"}), key=keys.view("finetune", "do-not-fill"))  # fmt: skip
    if lost:
        listed = ", ".join(f"{part.left_out:,} of {part.possible:,} {name}" for name, part in lost.items())
        st.caption(f"Left out, because they touch a missing value: {listed} windows.")
    worst = max((part.left_out / part.possible for part in lost.values()), default=0.0)
    if not counts.reason and worst < _WORTH_SAYING:
        return
    for number, remedy in enumerate(counts.remedies):
        st.button(
            remedy_label(remedy), width="stretch", icon=":material/healing:", on_click=setup.put,
            args=(form, remedy.settings), key=keys.view("finetune", f"remedy/{number}"),
        )  # fmt: skip
        st.caption(gain(remedy))


def leave_gaps_to_the_repair(form: Form) -> None:
    """Take back a choice of this form where a repair of the table says how gaps are treated; before it is drawn."""
    if filling(form.defaults.data.repair) is not None:
        st.session_state.pop(form.key("missing"), None)


def what_is_missing(counts: WindowCounts) -> list[str]:
    """Why a run with these windows cannot start, in words that name only what helps; empty if it can."""
    if not counts.reason:
        return []
    short = [
        f"{part.reason.partition(' (')[0].capitalize()}: lower the horizon or the context"
        for part in counts.parts.values()
        if not part.possible and part.rows
    ]
    gaps = [name for name, part in counts.parts.items() if part.possible and not part.usable]
    if short:
        return short
    if not gaps:
        return [counts.reason]
    remedy = _what_helps(counts)
    return [f"{remedy}: no window of the {' or the '.join(gaps)} part is without a missing value"]


def _what_helps(counts: WindowCounts) -> str:
    ways = [" and ".join(_IN_WORDS[name] for name in remedy.settings) for remedy in counts.remedies]
    if not ways:
        return "This table has too many gaps for any context and horizon"
    return " or ".join(dict.fromkeys(ways)).capitalize()


def remedy_label(remedy: Remedy) -> str:
    """A remedy on a button."""
    words = []
    for name, value in remedy.settings.items():
        if name == "missing":
            words.append("Fill gaps")
        elif name == "channels":
            words.append(f"Leave out the channels without values, {len(value):,} stay")
        else:
            words.append(f"{label(name)} {shown(name, value)}")
    return plain(", ".join(words))


def gain(remedy: Remedy) -> str:
    """How many windows each part has with a remedy."""
    parts = remedy.parts
    return (
        f"Then {parts['training'].usable:,} windows to train on, {parts['validation'].usable:,} to choose, "
        f"{parts['test'].usable:,} to score."
    )


def remedies_of(run: Run) -> tuple[Remedy, ...]:
    """What would give a failed run usable windows; nothing where it failed for another cause, or its table is gone."""
    if run.state != "failed" or run.cause != "data":
        return ()
    try:
        counts = loaders.window_counts(run.config, loaders.table(run.config.data))
    except TimeLLMError:  # its failure is shown on the page; without a table nothing can be offered beside it
        return ()
    return counts.remedies if counts.reason else ()


def again_label(remedy: Remedy) -> str:
    """A remedy on the button that starts a failed run again."""
    if remedy.settings == _FILLED:
        return "Fill the gaps and start again"
    return f"Start again: {remedy_label(remedy)}"
