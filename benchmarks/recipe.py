"""What helps Time-LLM, found without any test part: settings are changed one at a time, over seven tables.

    python -m benchmarks.recipe --data FOLDER --log results.jsonl [--tables etth1 illness]
                                [--variants default dropout=0] [--seeds 0 1] [--hours 2]
    python -m benchmarks.recipe --log results.jsonl --show

Of a variant of the network, the log has the validation error before the first step, which is the linear path's, and the
lowest one after it. That lowest one is chosen among several, so it is a little too low; a variant helps if it is lower
than others of the same number of validations, on two seeds, and on a third one that chose nothing.

Of a variant of the linear path (those that name `linear_features`), the test part is left out and the rest is cut anew,
65 % to fit, 15 % to find penalties and choose, 20 % to judge, which nothing else sees.

FOLDER and the tables are those of benchmarks.accuracy. A cell is written as soon as it is measured, and one that the
log has is not run again: the command can be stopped and repeated. After `--hours` no further cell begins.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.accuracy import CASES, TABLES
from benchmarks.cells import cells_parser, markdown_row, measure_missing, read_cells
from timellm.config import RunConfig, parse_setting
from timellm.data.prepared import PreparedData
from timellm.data.table import load_table
from timellm.forecasters.protocol import FitJob
from timellm.forecasters.registry import kind_of
from timellm.training.progress import Progress

ALIKE = {"validations": 8, "validation_windows": 256, "patience": 16}
"""Every network is validated as often, on as many windows."""
LINEAR = [
    *(
        f"linear_features={features} linear_maps={maps}"
        for features in ("plain", "level", "calendar")
        for maps in ("shared", "by_channel")
    ),
    *(
        f"linear_features={features} linear_maps={maps} linear_penalty=by_age"
        for features, maps in (("plain", "shared"), ("plain", "by_channel"), ("level", "by_channel"))
    ),
    *(f"linear_features=plain linear_maps={maps} linear_fallback=last" for maps in ("shared", "by_channel")),
    *(f"linear_features=plain linear_maps={maps} linear_others=recent" for maps in ("shared", "by_channel")),
    "linear_features=auto linear_maps=auto linear_fallback=auto linear_others=auto",
]
NETWORK = [
    "default", "learning_rate=2e-3", "learning_rate=1e-3", "learning_rate=2e-4", "steps=300",
    "batch_size=128 steps=50", "schedule=cosine",
    "loss=huber", "loss=mae", "layers=2", "layers=12", "dropout=0", "dropout=0.3", "weight_decay=0.1", "d_model=64",
    "d_ff=8", "d_ff=128", "heads=4", "prototypes=100", "patch_length=32 stride=16", "patch_length=8 stride=8",
    "prototype_start=shapes", "prompt_style=none", "prompt_calendar=true",
    "linear_path=weighted", "linear_path=trained", "linear_path=none",
]  # fmt: skip
"""Time-LLM's settings, one or two changed at a time."""


@dataclass(frozen=True)
class Cell:
    """What one fit showed."""

    table: str
    variant: str
    seed: int
    first: float
    """MSE on z-scored values that the variant is compared with: of the linear path, or of the plain shared ridge."""
    best: float
    """MSE of the variant."""
    step: int | None
    """After which the lowest error was found; None for a linear path."""
    kept: int | None
    """The step that the run would keep: 0 where none was surely better."""
    seconds: float

    @property
    def key(self) -> tuple[str, str, int]:
        """Which fit it is."""
        return self.table, self.variant, self.seed


def is_linear(variant: str) -> bool:
    """Whether it is one of the linear path."""
    return "linear_features" in variant


def settings_of(variant: str, kind: str) -> dict[str, Any]:
    """The settings that a variant's name spells out."""
    return {} if variant == "default" else dict(parse_setting(part, kind) for part in variant.split())


def prepared_of(table: str, folder: Path | None, *, place: Path, **settings: Any) -> PreparedData:
    """A table of the benchmark with the settings of its task and some more."""
    case = CASES[table]
    config = RunConfig.create(case.path(folder, place=place), **(case.settings | settings))
    return PreparedData.of(load_table(config.data), config)


def network_cell(table: str, variant: str, *, seed: int, folder: Path | None) -> Cell:
    """Train one variant of the network."""
    losses: list[tuple[int, float]] = []

    def on_progress(progress: Progress) -> None:
        if progress.validation_loss is not None:
            losses.append((progress.done, progress.validation_loss))

    began = time.monotonic()
    with TemporaryDirectory() as place:
        changed = ALIKE | settings_of(variant, "time_llm") | {"seed": seed}
        prepared = prepared_of(table, folder, place=Path(place), **changed)
        job = FitJob(prepared.config, Path(place), on_progress)
        _, report = kind_of("time_llm").load().fit(prepared, job)
    step, best = min(losses[1:] or losses, key=lambda one: one[1])
    seconds = round(time.monotonic() - began, 1)
    return Cell(table, variant, seed, losses[0][1], best, step, report.facts["best_step"], seconds)


def linear_cell(table: str, variant: str, *, seed: int, folder: Path | None) -> Cell:
    """Fit one variant of the linear path where the test part is left out, and the plain ridge beside it."""
    with TemporaryDirectory() as place:
        whole = prepared_of(table, folder, place=Path(place), kind="ridge")
        rows = whole.split.bounds("validation")[1]
        fitted, chosen = int(rows * 0.65), int(rows * 0.15)
        split = f"{fitted}/{chosen}/{rows - fitted - chosen}"
        began, errors = time.monotonic(), []
        for settings in (settings_of(variant, "ridge"), {}):
            config = whole.config.updated(split=split, **settings)
            prepared = PreparedData.of(whole.table, config)
            forecaster, _ = kind_of("ridge").load().fit(prepared, FitJob(config, Path(place)))
            assert forecaster is not None  # nobody can stop it
            index = prepared.windows("test")
            rows_WH = index.origin[:, None] + np.arange(prepared.horizon)
            error_WH = forecaster.predict(prepared, index) - prepared.values[rows_WH, index.channel[:, None]]
            errors.append(float(np.mean(np.square(error_WH / prepared.scaler.scale[index.channel, None]))))
    return Cell(table, variant, seed, errors[1], errors[0], None, None, round(time.monotonic() - began, 1))


def table_of(cells: list[Cell]) -> str:
    """Markdown: of each variant, the error as a share of what it is compared with, a column a table."""
    shares: dict[tuple[str, str], list[float]] = defaultdict(list)
    for cell in cells:
        shares[cell.variant, cell.table].append(cell.best / cell.first)
    tables = [table for table in CASES if any(cell.table == table for cell in cells)]
    lines = [markdown_row(["variant", *tables, "geometric mean"]), markdown_row(["---"] * (len(tables) + 2))]
    for variant in dict.fromkeys(cell.variant for cell in cells):
        means = {table: statistics.fmean(found) for table in tables if (found := shares.get((variant, table)))}
        each = [f"{means[table]:.3f}" if table in means else "" for table in tables]
        whole = f"{statistics.geometric_mean(means.values()):.3f}" if len(means) == len(tables) else ""
        lines.append(markdown_row([variant, *each, whole]))
    return "\n".join(lines)


def main() -> None:
    """Measure what the log does not have, or show what it has."""
    parser = cells_parser(__doc__, tables=CASES, usual=TABLES, seeds=[0, 1])
    parser.add_argument("--variants", nargs="+", default=LINEAR + NETWORK, help="settings of one variant in quotes")
    options = parser.parse_args()
    wanted = [
        (table, variant, seed)
        for seed in options.seeds
        for variant in options.variants
        for table in options.tables
        if not is_linear(variant) or seed == options.seeds[0]  # the closed form has nothing random
    ]

    def one(table: str, variant: str, seed: int) -> Cell:
        cell = linear_cell if is_linear(variant) else network_cell
        return cell(table, variant, seed=seed, folder=options.data)

    if not options.show:
        measure_missing(options.log, Cell, wanted, one, hours=options.hours)
    print(table_of(read_cells(options.log, Cell)))


if __name__ == "__main__":
    main()
