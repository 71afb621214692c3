"""Runs that belong to another run, such as its twins or its folds: one group in the queue under one tag.

A run is a member of a group if it has the group's tag and learns the same from the same windows as was planned.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import sqlalchemy as sa

from timellm.config import RunConfig
from timellm.errors import ConfigError
from timellm.jobs.local.actions import label
from timellm.jobs.local.launcher import start_again, start_run, supervise
from timellm.jobs.store.run import Run, run_of
from timellm.jobs.store.run_store import Store
from timellm.jobs.store.schema import runs

_LOOK_EVERY_S = 1.0


@dataclass(frozen=True)
class Planned:
    """A run that a group is to have."""

    name: str
    """As the run is called in the list of runs."""
    note: str
    config: RunConfig

    @cached_property
    def learned(self) -> str:
        """What it learns from which windows; equal for two runs that need not both be made."""
        return _learned_by(self.config)


def find_group(tag: str, planned: Sequence[Planned], store: Store) -> tuple[Run | None, ...]:
    """The newest run of each plan; None where it has not been started.

    Raises:
        JobError: the store cannot be read.
    """
    query = sa.select(runs).where(runs.c.tags.contains(tag, autoescape=True))
    with store.database.reading() as connection:
        rows = connection.execute(query.order_by(runs.c.created.desc(), runs.c.id.desc())).mappings().all()
    tagged = [run for row in rows if tag in (run := run_of(row, store.place.checkpoints)).tags]
    newest: dict[str, Run] = {}
    for run in tagged:
        if (learned := _learned(run.config_text)) is not None:
            newest.setdefault(learned, run)
    return tuple(newest.get(one.learned) for one in planned)


def start_group(tag: str, planned: Sequence[Planned], store: Store, *, again: bool = False) -> None:
    """Queue the plans that have no run yet, one behind the other; with `again` those that failed or were stopped, too.

    Raises:
        JobError: the runner's process cannot be made.
    """
    for one, run in zip(planned, find_group(tag, planned, store), strict=True):
        if run is None:
            started = start_run(one.config, name=one.name, store=store)
            label(store, started.id, tags=[tag], note=one.note)
        elif again and run.state in ("failed", "stopped"):
            start_again(run.id, store=store)


def wait_for_group(find: Callable[[], Sequence[Run | None]], store: Store) -> None:
    """Wait until none of the runs that `find` gives is waiting or at work; the queue goes on meanwhile.

    Raises:
        JobError: the store cannot be read.
    """
    supervise(store)
    while any(run is not None and run.active for run in find()):
        time.sleep(_LOOK_EVERY_S)
        supervise(store)


def progress_of_group(found: Sequence[Run | None], what: str) -> str:
    """How many of the runs have finished, and what became of the others; empty if none was started.

    `what` is what they are called.
    """
    states = [run.state for run in found if run is not None]
    if not states:
        return ""
    parts = [f"{states.count('finished')} of {len(found)} {what} have finished"]
    words = {"running": "at work", "queued": "waiting", "failed": "failed", "stopped": "stopped"}
    parts += [f"{states.count(state)} {word}" for state, word in words.items() if state in states]
    parts += [f"{len(found) - len(states)} not started"] if len(states) < len(found) else []
    return ", ".join(parts) + "."


@lru_cache(maxsize=4096)  # whoever waits for a group asks every second
def _learned(config_text: str) -> str | None:
    """What a run learns from which windows; None for one of another version, which can be none of today's plans."""
    try:
        return _learned_by(RunConfig.from_json(config_text))
    except ConfigError:
        return None


def _learned_by(config: RunConfig) -> str:
    """Equal for two configurations that learn the same from the same windows."""
    return json.dumps([config.kind, config.affecting("windows", "weights")], sort_keys=True)
