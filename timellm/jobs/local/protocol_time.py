"""How long the runs of a protocol will take, before they are queued.

Inputs: the cells that are left, what has been measured, the speed of this machine and what earlier runs took here.
Outputs: `TimeNeeded`, with its sentence. A cell's time is taken from the first of these that is known:

- what the same cell took on this machine, with any seed;
- what a cell of the same model and set took on this machine at another horizon or share of the rows. The work of a run
  grows with both, but not in proportion, as reading and scoring have a part that stays. So the time lies between that
  of the other cell and that in proportion, and the sum has a range;
- a count of the work for this machine (timellm.sizing), where the sizes of the table say enough;
- what the same or a similar cell took on another machine, which the sentence names.

Where none is known, the sentence says so; nothing is put in its place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from timellm.errors import TimeLLMError
from timellm.jobs.local.protocol_runs import ProtocolRuns
from timellm.protocols.models import further_of
from timellm.protocols.protocol import Cell, Measured
from timellm.sizing.estimate import Observation, Surroundings, estimate
from timellm.sizing.machine import MachineFacts, processor_name
from timellm.sizing.table import TableSize

Source = Literal["same", "similar", "counted", "elsewhere"]
_MOST = 0.5
"""Share of the time above which a model is named, so that it can be left out."""
_SCALES = ("horizon", "percent")
_WORDS: dict[Source, str] = {
    "same": "by what the same cells took here",
    "similar": "by cells of the same model and set here",
    "counted": "counted from the settings",
    "elsewhere": "by what such cells took on another machine",
}


@dataclass(frozen=True)
class Clues:
    """What times are taken from."""

    measured: Sequence[Measured]
    facts: MachineFacts | None
    """The speed of this machine; None while it has not been measured."""
    past: Sequence[Observation] = ()
    """What earlier runs and trials took here, newest first."""

    @cached_property
    def here(self) -> tuple[Measured, ...]:
        """What was measured on this machine, as far as its processor's name says."""
        name = processor_name()
        return tuple(one for one in self.measured if name and one.machine.startswith(f"{name},"))


@dataclass(frozen=True)
class CellTime:
    """Seconds of one run, at least and at most."""

    least_s: float
    most_s: float
    source: Source
    machine: str = ""
    """Where it was measured; empty where it was counted."""
    model: str = ""


@dataclass(frozen=True)
class TimeNeeded:
    """The time of several runs, one behind the other."""

    runs: int
    times: tuple[CellTime, ...]
    """Of the runs whose time is known."""
    unknown: Mapping[str, int]
    """How many runs have none, by model."""
    lacks_facts: bool
    """Some of them would have one if this machine had been measured."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        return {
            "runs": self.runs,
            "known": len(self.times),
            "seconds_at_least": sum(one.least_s for one in self.times),
            "seconds_at_most": sum(one.most_s for one in self.times),
            "rests_on": dict(Counter(one.source for one in self.times)),
            "not_known": dict(self.unknown),
            "sentence": self.sentence(),
        }

    def sentence(self) -> str:
        """How many runs there are, how long they take, and what that rests on."""
        if not self.runs:
            return "Nothing is left to run."
        said = f"{_runs(self.runs)} would be queued"
        if not self.times:
            return f"{said}. How long {'it takes' if self.runs == 1 else 'they take'} is not known{self._why()}."
        length = f"about {_length(self.times)}"
        counts = Counter(one.source for one in self.times)
        rests = [f"{counts[source]:,} {words}" for source, words in _WORDS.items() if counts[source]]
        if len(rests) == 1:  # it is all of them
            rests = [_WORDS[self.times[0].source]]
        order = "" if len(self.times) == 1 else ", one behind the other"
        if self.unknown:
            said += f". {len(self.times):,} of them {'takes' if len(self.times) == 1 else 'take'} {length}{order}"
        else:
            said += f", {length}{order}"
        sentences = [f"{said}: {', '.join(rests)}.", self._elsewhere(), self._largest()]
        if self.unknown:
            missing = ", ".join(f"{count:,} of {model}" for model, count in self.unknown.items())
            sentences.append(f"The time of the rest ({missing}) is not known{self._why()}.")
        return " ".join(filter(None, sentences))

    def _why(self) -> str:
        return ", because this machine has not been measured yet" if self.lacks_facts else ""

    def _largest(self) -> str:
        """The model that takes more than half of the time, where there are several."""
        by_model = {
            model: [one for one in self.times if one.model == model] for model in {one.model for one in self.times}
        }
        model, times = max(by_model.items(), key=lambda item: sum(one.most_s for one in item[1]))
        share = sum(one.most_s for one in times) / sum(one.most_s for one in self.times)
        return f"Of that, {model} takes about {_length(times)}." if len(by_model) > 1 and share > _MOST else ""

    def _elsewhere(self) -> str:
        machines = dict.fromkeys(one.machine for one in self.times if one.source == "elsewhere")
        return f"The other machine: {'; '.join(machines)}." if machines else ""


def time_needed(runs: ProtocolRuns, cells: Sequence[Cell], clues: Clues) -> TimeNeeded:
    """The time of some cells of a plan."""
    times, unknown, lacks_facts = [], Counter[str](), False
    for cell in cells:
        further = further_of(str(cell.key["model"]), runs.asked.further)
        found = (
            _measured(cell, further, clues.here)
            or _counted(cell, clues)
            or _of_another_machine(_measured(cell, further, clues.measured))
        )
        model = str(cell.key["model"])
        if found is not None:
            times.append(replace(found, model=model))
        else:
            unknown[model] += 1
            lacks_facts |= clues.facts is None and cell.size is not None
    return TimeNeeded(len(cells), tuple(times), unknown, lacks_facts)


def _measured(cell: Cell, further: Mapping[str, str], measured: Sequence[Measured]) -> CellTime | None:
    """By the same cell, or by the nearest one of the same model and set."""
    alike = [one for one in measured if one.seconds is not None and _alike(cell, further, one)]
    if not alike:
        return None
    nearest = min(_distance(cell, one) for one in alike)
    times = [_scaled(cell, one) for one in alike if _distance(cell, one) == nearest]
    least, most = min(time[0] for time in times), max(time[1] for time in times)
    place = next(one.machine for one in alike if _distance(cell, one) == nearest)
    return CellTime(least, most, "similar" if nearest else "same", place)


def _alike(cell: Cell, further: Mapping[str, str], one: Measured) -> bool:
    without = {"seed", *_SCALES}
    keys = [{name: str(value) for name, value in key.items() if name not in without} for key in (cell.key, one.key)]
    return keys[0] == keys[1] and further == further_of(str(cell.key["model"]), one.settings)


def _ratios(cell: Cell, one: Measured) -> list[float]:
    return [float(cell.key[name]) / float(one.key[name]) for name in _SCALES if name in cell.key]


def _distance(cell: Cell, one: Measured) -> float:
    """0 for the same cell; it grows with how many times larger or smaller a horizon or a share is."""
    return sum(max(ratio, 1 / ratio) - 1 for ratio in _ratios(cell, one))


def _scaled(cell: Cell, one: Measured) -> tuple[float, float]:
    """Between the time of the other cell, and the same in proportion."""
    assert one.seconds is not None, "only such are asked for"
    least = most = one.seconds
    for ratio in _ratios(cell, one):
        least, most = least * min(1.0, ratio), most * max(1.0, ratio)
    return least, most


def _counted(cell: Cell, clues: Clues) -> CellTime | None:
    """By the work, counted for this machine; None where its speed, the table or the need of the kind is not known."""
    if clues.facts is None or cell.size is None:
        return None
    try:
        found = estimate(cell.config, Surroundings(TableSize(*cell.size), clues.facts, clues.past))
    except TimeLLMError:  # such as a kind whose package decides; the caller says that its time is not known
        return None
    return CellTime(found.seconds, found.seconds, "counted")


def _of_another_machine(found: CellTime | None) -> CellTime | None:
    return None if found is None else CellTime(found.least_s, found.most_s, "elsewhere", found.machine)


def _length(times: Sequence[CellTime]) -> str:
    least, most = (about(sum(getattr(one, name) for one in times)) for name in ("least_s", "most_s"))
    return least if least == most else f"{least} to {most}"


def _runs(count: int) -> str:
    return f"{count:,} run{'' if count == 1 else 's'}"


def about(seconds: float) -> str:
    """A length of time, as round as an estimate is."""
    if seconds < 90:
        return f"{max(5, round(seconds / 5) * 5)} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h" if seconds < 10 * 3600 else f"{round(seconds / 3600)} h"
    return f"{round(seconds / 86_400):,} days"
