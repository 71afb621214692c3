"""The runs of a protocol in the queue: one group under the protocol's tag, found again by the tag and their settings.

Inputs: a plan and the store. Outputs: queued runs, the state of each cell, and what the finished ones came to. A cell
that has a run gets no other one, so a plan can be started again at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from timellm.errors import CheckpointError
from timellm.files.sealed import read_sealed_json
from timellm.jobs.local.actions import TAG_LETTERS
from timellm.jobs.local.group import Planned, find_group, progress_of_group, start_group
from timellm.jobs.store.run import IMPORTED, Run, with_absolute_paths
from timellm.jobs.store.run_store import Store
from timellm.protocols.models import further_of
from timellm.protocols.protocol import Asked, Cell, Measured, Plan, Protocol

TAG = "protocol "
"""Begins the tag of a protocol's runs; its name follows."""


@dataclass(frozen=True)
class Placed:
    """A cell and its run."""

    cell: Cell
    run: Run | None
    """None while it has not been started."""


@dataclass(frozen=True)
class ProtocolRuns:
    """A protocol with what the user wants of it."""

    protocol: Protocol
    asked: Asked
    plan: Plan

    @classmethod
    def of(cls, protocol: Protocol, asked: Asked) -> ProtocolRuns:
        """Plan the runs.

        Raises:
            ConfigError: the settings contradict each other.
            DataError: the folder or a file in it cannot be used.
        """
        return cls(protocol, asked, protocol.plan(asked))

    @property
    def tag(self) -> str:
        """What the runs are found by."""
        return (TAG + self.protocol.name)[:TAG_LETTERS]

    def find(self, store: Store) -> tuple[Placed, ...]:
        """Every cell with its newest run.

        Raises:
            JobError: the store cannot be read.
        """
        found = find_group(self.tag, self._planned, store)
        return tuple(Placed(cell, run) for cell, run in zip(self.plan.cells, found, strict=True))

    def left(self, placed: Sequence[Placed], *, again: bool = False) -> tuple[Cell, ...]:
        """The cells that `start` would queue."""
        states = (None, "failed", "stopped") if again else (None,)
        return tuple(one.cell for one in placed if (one.run and one.run.state) in states)

    def start(self, store: Store, *, again: bool = False) -> tuple[Placed, ...]:
        """Queue the cells that have no run yet, one behind the other; with `again` also those that failed or stopped.

        Raises:
            JobError: the runner's process cannot be made.
        """
        start_group(self.tag, self._planned, store, again=again)
        return self.find(store)

    def measured(self, placed: Sequence[Placed]) -> tuple[Measured, ...]:
        """What the finished runs came to.

        Raises:
            CheckpointError: a result is missing or damaged.
        """
        return tuple(self._measured(one.cell, one.run) for one in placed if one.run and one.run.state == "finished")

    @cached_property
    def _planned(self) -> list[Planned]:
        note = f"{self.protocol.title}: a run of the protocol '{self.protocol.name}'"
        return [Planned(cell.title, note, with_absolute_paths(cell.config)) for cell in self.plan.cells]

    def _measured(self, cell: Cell, run: Run) -> Measured:
        summary = _summary(run)
        return Measured(
            key=cell.key,
            settings=further_of(str(cell.key["model"]), self.asked.further),
            numbers=self.protocol.measure(cell, run.run_dir),
            seconds=None if summary.get(IMPORTED) else summary.get("seconds"),
            memory_mib=None if summary.get(IMPORTED) else summary.get("memory_mib"),
            machine=str(summary.get("machine", "a machine that was not noted")),
            versions=summary.get("versions", {}),
            moment=f"{run.ended:%Y-%m-%d %H:%M}" if run.ended else "",
        )


def progress_words(placed: Sequence[Placed]) -> str:
    """How many of the cells have finished, and what became of the others; empty if none was started."""
    return progress_of_group([one.run for one in placed], "runs")


def _summary(run: Run) -> dict[str, Any]:
    path = run.run_dir / "summary.json"
    try:
        return dict(read_sealed_json(path))
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); delete the run and start it again") from error
