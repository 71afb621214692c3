"""The table of a grid of cells: a row for each set, variant, horizon and model, with the papers' numbers beside it.

Inputs: `Measured` cells of a protocol that was planned by timellm.protocols.grid. Outputs: a `ResultTable`. A model
that was measured at every horizon of a set, with the same seeds, has a row with its means, too, as papers print them.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from timellm.protocols.beside import Beside, beside
from timellm.protocols.models import MODELS, is_limited
from timellm.protocols.protocol import Measured, ResultTable
from timellm.protocols.published import Published, published_of
from timellm.protocols.result_rows import Row, places_of, rows_of
from timellm.protocols.sets import find_set, known_sets, set_note

MEAN = "mean"
_AVERAGED = ("mse", "mae", "mse_batches", "mae_batches")
_SUMMED = ("windows", "windows_batches")
_NOISE = (
    "paper: what the paper named below reports of this model; difference: our MSE (as published) less the paper's."
    " It is within noise if one more of our runs could lie as far from the mean of ours: up to t(n - 1) * s *"
    " sqrt(1 + 1/n) for n seeds of deviation s, with 95 % certainty, and half a unit of the paper's last digit. One"
    " seed tells nothing about noise.",
    "A paper's Time-LLM has LLaMA 7B; ours has the backbone that its row names, or the default one.",
)


@dataclass(frozen=True)
class GridTable:
    """How a protocol's table is made."""

    protocol: str
    variant: str
    """The key by which its variants differ, such as mode."""
    reads: tuple[str, ...]
    """How its numbers are to be read, in sentences."""
    reported: str | None = None
    """The variant that papers report; None where no numbers of papers are kept."""

    def rows(self, measured: Sequence[Measured]) -> tuple[Row, ...]:
        """The rows in their order: sets, variants, models' horizons and their means."""
        rows = rows_of(sorted(measured, key=self._place))
        return tuple(sorted((*rows, *self._means(rows)), key=lambda row: self._place(row.first)))

    def beside(self, row: Row) -> Beside | None:
        """The first number of a paper that a row may be held against."""
        return next((found for record in self._records(row) if (found := beside(row, record))), None)

    def table(self, measured: Sequence[Measured]) -> ResultTable:
        """As people read it."""
        rows, compared = self.rows(measured), self.reported is not None
        header = ("set", self.variant, "context", "horizon", "model", "seeds", "MSE", "MAE", "windows",
                  "MSE (as published)", "MAE (as published)", "windows (as published)")  # fmt: skip
        header += (*(("paper", "difference") if compared else ()), "s", "MiB")
        notes = [*self.reads, *(_NOISE if compared else ()), *self._papers(rows)]
        notes += [*_on_sets(measured), *self._on_windows(rows), *self._on_fewer(rows)]
        return ResultTable(header, tuple(map(self._row, rows)), (*notes, *places_of(measured)))

    def _row(self, row: Row) -> tuple[str, ...]:
        key, numbers = row.first.key, row.first.numbers
        further = "".join(f", {name}={value}" for name, value in row.first.settings.items())
        named = (str(key["set"]), str(key[self.variant]), str(numbers["context"]), str(key["horizon"]))
        whole = (row.shown("mse"), row.shown("mae"), f"{numbers['windows']:,}")
        kept = (row.shown("mse_batches"), row.shown("mae_batches"), f"{numbers['windows_batches']:,}")
        paper: tuple[str, ...] = ()
        if self.reported is not None:
            found = self.beside(row)
            paper = (str(found.published), str(found)) if found else ("", "")
        model = f"{key['model']}{further}"
        return (*named, model, str(len(row.cells)), *whole, *kept, *paper, row.seconds, row.memory)

    def _place(self, one: Measured) -> tuple[int, str, float, int, int]:
        """Where a cell stands: in the order of sets, variants, horizons with their mean, models and seeds."""
        key = one.key
        horizon = float("inf") if key["horizon"] == MEAN else float(key["horizon"])
        number, model = list(known_sets()).index(str(key["set"])), MODELS.index(str(key["model"]))
        return number, f"{key[self.variant]:>4}", horizon, model, int(key["seed"])

    def _means(self, rows: Sequence[Row]) -> Iterator[Row]:
        """A row for each model and set of which every horizon was measured, with the same seeds."""
        groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
        for row in rows:
            key = {name: value for name, value in row.first.key.items() if name not in ("horizon", "seed")}
            groups[tuple(map(str, (*key.values(), *row.first.settings.items())))].append(row)
        for group in groups.values():
            wanted = find_set(str(group[0].first.key["set"])).horizons
            seeds = {tuple(cell.key["seed"] for cell in row.cells) for row in group}
            if len(seeds) == 1 and sorted(wanted) == sorted(int(row.first.key["horizon"]) for row in group):
                yield Row(tuple(map(_mean, zip(*(row.cells for row in group), strict=True))))

    def _records(self, row: Row) -> list[Published]:
        key = row.first.key
        if key[self.variant] != self.reported:
            return []
        found = published_of(self.protocol, name=str(key["set"]), horizon=str(key["horizon"]))
        return [record for record in found if key["model"] in record.ours]

    def _papers(self, rows: Sequence[Row]) -> list[str]:
        """Every number of a paper on the tasks of the rows, in sentences, and the papers."""
        measured = (row.first.key for row in rows if row.first.key[self.variant] == self.reported)
        tasks = dict.fromkeys((str(key["set"]), str(key["horizon"])) for key in measured)
        found = {task: published_of(self.protocol, name=task[0], horizon=task[1]) for task in tasks}
        lines = [
            f"Papers on {name} {horizon}: " + "; ".join(f"{one} ({_context(one)})" for one in records) + "."
            for (name, horizon), records in found.items()
            if records
        ]
        said = {one.model: one.source for records in found.values() for one in records}
        by_source: dict[str, list[str]] = defaultdict(list)
        for model, source in said.items():
            by_source[source].append(model)
        return lines + [f"{', '.join(models)}: {source}." for source, models in by_source.items()]

    def _on_windows(self, rows: Sequence[Row]) -> list[str]:
        """Sentences on tasks whose cells were scored on different windows: a file or a setting is another one."""
        seen: dict[tuple[str | int, ...], set[str]] = {}
        for row in rows:
            if row.first.key["horizon"] != MEAN:
                task = tuple(row.first.key[name] for name in ("set", self.variant, "horizon"))
                seen.setdefault(task, set()).update(str(cell.numbers["window_set"]) for cell in row.cells)
        return [
            f"{' '.join(map(str, task))}: rows were scored on different windows, so they cannot be compared; the file"
            " or the split was changed between them."
            for task, sets in seen.items()
            if len(sets) > 1
        ]

    def _on_fewer(self, rows: Sequence[Row]) -> list[str]:
        """Sentences on rows of fewer windows than others of their task: of a kind whose time is limited."""
        counts: dict[tuple[str, ...], list[tuple[Row, int]]] = defaultdict(list)
        for row in rows:
            if row.first.key["horizon"] != MEAN:
                task = tuple(str(row.first.key[name]) for name in ("set", self.variant, "horizon"))
                counts[task].append((row, int(row.first.numbers["windows"])))
        return [
            f"{' '.join(task)}, {row.first.key['model']}: {windows:,} of {most:,} test windows were forecast, as many"
            " as its time allowed (budget_s). Its errors are of these windows and not of the whole test part."
            for task, group in counts.items()
            if (most := max(windows for _, windows in group))
            for row, windows in group
            if windows < most and is_limited(str(row.first.key["model"]))
        ]


def _on_sets(measured: Sequence[Measured]) -> list[str]:
    """Sentences on how files were read, and on windows that miss a value."""
    names = dict.fromkeys(str(one.key["set"]) for one in measured)
    said = [set_note(find_set(name)) for name in known_sets() if name in names]
    gaps = {(str(one.key["set"]), str(one.key["horizon"])): one.numbers.get("left_out", 0) for one in measured}
    said += [
        f"{name} {horizon}: {count:,} windows of the test part miss a value and are left out."
        for (name, horizon), count in gaps.items()
        if count
    ]
    return [sentence for sentence in said if sentence]


def _mean(cells: Sequence[Measured]) -> Measured:
    """The mean over the horizons of one seed; times and windows are sums, memory is the largest."""
    first, numbers = cells[0], {}
    for name in _AVERAGED:
        values = [cell.numbers[name] for cell in cells]
        numbers[name] = None if None in values else statistics.fmean(values)
    numbers |= {name: sum(cell.numbers[name] for cell in cells) for name in _SUMMED}
    seconds = [cell.seconds for cell in cells if cell.seconds is not None]
    memory = [cell.memory_mib for cell in cells if cell.memory_mib is not None]
    return replace(
        first,
        key={**first.key, "horizon": MEAN},
        numbers={"context": first.numbers["context"], **numbers},
        seconds=sum(seconds) if len(seconds) == len(cells) else None,
        memory_mib=max(memory) if len(memory) == len(cells) else None,
    )


def _context(one: Published) -> str:
    return f"context {one.context}" if one.context else "context not known"
