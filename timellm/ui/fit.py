"""Will it fit? Memory and time of the run on the set-up page against what this machine has, and what to change if not.

Estimates are counted without torch, so they follow every change of a setting at once. The machine is measured once, in
the background; a trial of the settings runs in a process of its own and is remembered for the next estimate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from timellm.config import RunConfig, TimeLLMConfig
from timellm.errors import TimeLLMError
from timellm.jobs.store.promise import Promise
from timellm.sizing.estimate import Estimate, Surroundings, estimate
from timellm.sizing.machine import Budget, budget
from timellm.sizing.offers import Offer, fits, largest_that_fits
from timellm.sizing.table import TableSize
from timellm.sizing.trial import Trial
from timellm.ui import keys, measuring, setup
from timellm.ui.beginning.checks import joined_size
from timellm.ui.loaders import backbone_ready
from timellm.ui.settings import Form, label, shown
from timellm.ui.words import about, duration, memory, plain

if TYPE_CHECKING:
    from timellm.data.table import Table

_PARTS = {
    "process": "Program and libraries",
    "table": "Table and test forecasts",
    "embeddings": "Word embeddings of the backbone",
    "layers": "Layers of the backbone",
    "adapters": "Trained weights",
    "optimizer": "Gradients and optimiser",
    "prompt": "Keys and values of the prompts",
    "activations": "Activations, windows in work",
}


def card(form: Form, config: RunConfig, table: Table, *, test_windows: int, here: bool) -> Promise | None:
    """Memory, time, and what to change if the run does not fit; of a run that works elsewhere, memory alone.

    Returns the time that was told, so that the run can be compared with it.
    """
    facts = measuring.machine_facts()
    if facts is None:
        return None
    size = TableSize(len(table.values), len(table.channels))
    try:
        around = Surroundings(size, facts, measuring.past(), joined_size(config))
        found = estimate(config, around, windows=test_windows)
        if not here:
            st.markdown(f"Each worker needs at most about **{memory(found.memory_mib)}**.")
            st.caption("How much the cluster's nodes have free, and how fast they are, is not known here.")
            return None
        have = budget(facts, config.device, freed_mib=measuring.held_by_a_run())
    except TimeLLMError as error:
        st.caption(f"Memory and time are not known: {plain(str(error))}.")
        return None
    enough = fits(found.memory_mib, have.free_mib)
    may_find_nothing = isinstance(config.forecaster, TimeLLMConfig) and config.forecaster.linear_path != "none"
    _bar(found, have, enough=enough, may_find_nothing=may_find_nothing)
    if not enough:
        _offers(form, largest_that_fits(config, have.free_mib, around))
    _details(found)
    if isinstance(config.forecaster, TimeLLMConfig):
        _trial(config)
    return Promise.of(config, found)


def _bar(found: Estimate, have: Budget, *, enough: bool, may_find_nothing: bool) -> None:
    share = min(1.0, found.memory_mib / max(have.free_mib, 1.0))
    needs = f"Needs about **{memory(found.memory_mib)}** of {memory(have.free_mib)} free {have.where}"
    most = "at most " if may_find_nothing else ""
    st.progress(share, text=f"{needs}, {most}about **{about(found.seconds)}**")
    # Training then ends early, and the linear path alone is scored in seconds.
    less = " It takes far less where the language model finds nothing to add." if may_find_nothing else ""
    before = f" pre-training {about(found.pretraining_s)}," if found.pretraining_s else ""
    st.caption(
        f"Loading {about(found.loading_s)},{before} {'training' if found.step_s else 'fitting'}"
        f" {about(found.training_s)}, scoring {found.test_windows:,} test windows and forecasting"
        f" {about(found.evaluation_s + found.forecast_s)}, if nothing else uses this machine.{less}"
    )
    if not enough:
        st.warning("The run does not fit into the free memory; the operating system would probably end it.")


def _offers(form: Form, offers: list[Offer]) -> None:
    if not offers:
        st.markdown("No smaller setting of this run fits either. Free some memory, or choose a smaller model.")
        return
    st.markdown("These fit:")
    for offer in offers:
        st.button(
            offer_label(offer), width="stretch", on_click=setup.put, args=(form, offer.settings),
            key=keys.view("finetune", f"offer/{offer.as_options}"),
        )  # fmt: skip
        st.caption(plain(offer.price))


def offer_label(offer: Offer) -> str:
    """An offer on a button: what changes, and what the run then takes."""
    changes = ", ".join(f"{label(name)} {shown(name, value)}" for name, value in offer.settings.items())
    return plain(f"{changes} · {memory(offer.memory_mib)}, {about(offer.seconds)}")


def _details(found: Estimate) -> None:
    rests_on = "counted from the settings" if found.rests_on == "arithmetic" else f"by {found.rests_on}"
    with st.expander(f"Memory and time in detail · {rests_on}"):
        rows = [
            {"Part": words, "Memory": memory(value)}
            for name, words in _PARTS.items()
            if (value := getattr(found.memory, name)) >= 1
        ]
        st.dataframe(rows, hide_index=True, height="content")
        step = f"A step takes about {found.step_s:.2g} s, training" if found.step_s else "The fit takes about"
        st.caption(f"{step} {duration(found.training_s)}, the test part {duration(found.evaluation_s)}.")


def _trial(config: RunConfig) -> None:
    trying = measuring.trying()
    if trying.busy:
        measuring.watch(trying)
        return
    st.button(
        "Try one step", on_click=measuring.start_trial, args=(config,), type="tertiary", icon=":material/speed:",
        disabled=measuring.a_run_works() or not backbone_ready(config.model.backbone),
        help="Loads the backbone, trains two steps in a process of its own and measures them. Not while a run works, "
        "because both would be slower, and not before the backbone is here.",
    )  # fmt: skip
    if trying.result is not None and trying.config == config:
        _say(trying.result)


def _say(found: Trial) -> None:
    if found.ending == "measured":
        st.caption(f"Tried: {memory(found.memory_mib)}, {found.step_s:.2g} s a step.")
    elif found.ending == "out of memory":
        st.warning(f"The trial ran out of memory: {plain(found.cause)}. Take smaller settings.")
    elif found.ending == "failed":
        st.warning(f"The trial failed: {plain(found.cause)}")
