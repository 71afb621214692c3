"""What a repair did: cells by channel, the first moments, and what else is worth knowing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from timellm.config.repair import RepairStep

_MOST_CHANNELS = 5


@dataclass(frozen=True)
class StepReport:
    """The outcome of one step; counts are cells by channel, without those of 0."""

    step: RepairStep
    changed: Mapping[str, int] = field(default_factory=dict)
    """Cells with another value, or with one made of several."""
    added: Mapping[str, int] = field(default_factory=dict)
    """Missing cells that have a value now."""
    removed: Mapping[str, int] = field(default_factory=dict)
    """Values that have no cell any more, or whose cell is missing now."""
    places: tuple[str, ...] = ()
    """The first moments at which something changed."""
    notes: tuple[str, ...] = ()
    """Sentences."""

    @property
    def nothing(self) -> bool:
        """Whether the table is as it was."""
        return not (self.changed or self.added or self.removed or self.notes)

    @property
    def counts(self) -> dict[str, int]:
        """Cells of all channels by what happened to them, without those of 0."""
        found = {"changed": self.changed, "added": self.added, "removed": self.removed}
        return {what: sum(cells.values()) for what, cells in found.items() if cells}

    @property
    def sentence(self) -> str:
        """The report in one or a few sentences, with the step's text."""
        return f"Repair {self.step}: {self.outcome}"

    @property
    def outcome(self) -> str:
        """What was done, without the step's own text."""
        if self.nothing:
            return "Nothing to do."
        told = "; ".join(f"{count:,} cells {what}{self._where(what)}" for what, count in self.counts.items())
        first = f"First at {', '.join(self.places[:3])}." if self.places else ""
        return " ".join(filter(None, [f"{told}." if told else "", first, *self.notes]))

    def _where(self, what: str) -> str:
        cells: Mapping[str, int] = getattr(self, what)
        shown = [f"'{name}' {count:,}" for name, count in list(cells.items())[:_MOST_CHANNELS]]
        more = len(cells) - len(shown)
        return f" ({', '.join(shown)}{f' and {more:,} more channels' if more > 0 else ''})"

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        return {
            "step": str(self.step), "changed": dict(self.changed), "added": dict(self.added),
            "removed": dict(self.removed), "places": list(self.places), "notes": list(self.notes),
        }  # fmt: skip
