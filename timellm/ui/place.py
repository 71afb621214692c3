"""Where a run works, on this machine or on the cluster that is set here, and the state of its cluster."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from timellm.config import RunConfig
from timellm.errors import JobError, TimeLLMError
from timellm.jobs.cluster.client import Cluster
from timellm.jobs.cluster.runs import MOST_WORKERS, check_files, trouble
from timellm.jobs.store.run import Run
from timellm.ui import keys
from timellm.ui.loaders import store
from timellm.ui.words import plain

_HERE, _THERE = "This machine", "Cluster"


@dataclass(frozen=True)
class Place:
    """The place where a run will work."""

    on_cluster: bool = False
    workers: int = 1


def choose(table_id: str, *, several: bool) -> Place:
    """Ask where the run will work, and with how many workers if `several` can; draw nothing when no cluster is set."""
    try:
        cluster = Cluster.configured()
    except TimeLLMError as error:
        st.caption(f":material/warning: {plain(str(error))}.")
        return Place()
    if cluster is None:
        return Place()
    where = st.segmented_control(
        "Where",
        [_HERE, _THERE],
        default=_HERE,
        required=True,
        width="stretch",
        key=keys.setting(table_id, "where"),
        help=f"The cluster is {plain(cluster.address)}. Its nodes report to the same store, so the run shows here too.",
        persist_state="session",
    )
    if where == _HERE:
        return Place()
    if not store().database.shared:
        st.caption(
            ":material/block: Runs on a cluster need a store that its nodes can reach: set TIMELLM_STORE to a"
            " PostgreSQL server, on this machine and on the nodes."
        )
    if not several:
        return Place(True)
    workers = st.number_input(
        "Workers",
        min_value=1,
        max_value=MOST_WORKERS,
        value=1,
        step=1,
        key=keys.setting(table_id, "workers"),
        help="Processes that train the run together. Each step's windows are divided among them.",
        persist_state="session",
    )
    return Place(True, int(workers))


def what_is_missing(where: Place, config: RunConfig | None) -> list[str]:
    """Why a run cannot work where it should; empty when it can, or when its settings are not known."""
    try:
        if where.on_cluster and config is not None:
            check_files(config)
    except JobError as error:
        return [str(error)]
    return []


def of_run(run: Run) -> None:
    """Show the cluster and the workers of a run; draw nothing for a run of a machine."""
    if run.on_cluster:
        workers = f", {run.workers:,} workers" if run.workers > 1 else ""
        st.caption(f"On the cluster {plain(run.machine.partition(':')[2])}{workers}.")


def word_of_cluster(run: Run) -> None:
    """Show what a cluster's run waits for, and why the cluster does not answer; draw nothing otherwise."""
    if run.on_cluster and run.state == "queued" and run.message:
        st.caption(plain(run.message))
    if why := trouble(run):
        st.warning(
            f"The cluster could not be asked about this run: {plain(why)}. This page shows what the run"
            " itself has reported to the store.",
            icon=":material/cloud_off:",
        )
