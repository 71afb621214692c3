"""Test errors of ridges, Time-LLM, DLinear and PatchTST over seven tables: the honest table of README and docs.

    python -m benchmarks.accuracy --data FOLDER --log results.jsonl [--tables etth1 illness] [--models ridge time_llm]
                                  [--seeds 0 1 2] [--hours 2]
    python -m benchmarks.accuracy --log results.jsonl --show

FOLDER holds ETTh1.csv, ETTm1.csv, weather.csv, exchange_rate.csv and national_illness.csv; the two bundled tables need
nothing. `linear_path` is the ridge from which Time-LLM begins, as a run of its own. A cell is a run of `python -m
timellm fit` in a process of its own, at the defaults of its kind, scored over every window of the test part. A cell is
written as soon as it is measured, and one that the log has is not run again: the command can be stopped and repeated.
After `--hours` no further cell begins. Errors are on z-scored values, as in papers. Memory is the peak of the process.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cells import cells_parser, markdown_row, measure_missing, read_cells
from timellm.data.samples import find_sample
from timellm.forecasting.artifacts import RunFolder
from timellm.protocols.models import settings_of


@dataclass(frozen=True)
class Case:
    """A table and its task."""

    file: str
    """In the folder; for a bundled table its name."""
    settings: dict[str, Any]
    bundled: bool = False
    repeats: bool = False
    """Whether a timestamp stands in two lines, which the program refuses; the second one is left out."""
    longer: bool = False
    """Whether it is a longer horizon of another case; the mean over tables does not count it."""

    def path(self, folder: Path | None, *, place: Path) -> Path:
        """Where the table lies; in `place` if a line had to be left out."""
        if self.bundled:
            return find_sample(self.file).path
        if folder is None:
            raise SystemExit(f"--data must name the folder with {self.file}")
        if not self.repeats:
            return folder / self.file
        lines = (folder / self.file).read_bytes().splitlines(keepends=True)
        first = {line.split(b",", 1)[0]: line for line in reversed(lines)}
        whole = place / self.file
        whole.write_bytes(b"".join(reversed(first.values())))
        return whole


ETTH1 = {"context": 512, "split": "8640/2880/2880"}
CASES = {
    "pedestrians": Case("melbourne-pedestrians", {"context": 336, "horizon": 96}, bundled=True),
    "seattle": Case("seattle-weather", {"context": 112, "horizon": 28}, bundled=True),
    "etth1": Case("ETTh1.csv", ETTH1 | {"horizon": 96}),
    "ettm1": Case("ETTm1.csv", {"context": 512, "horizon": 96, "split": "34560/11520/11520"}),
    "weather": Case("weather.csv", {"context": 512, "horizon": 96, "missing_codes": "none"}, repeats=True),
    "exchange": Case("exchange_rate.csv", {"context": 96, "horizon": 96}),
    "illness": Case("national_illness.csv", {"context": 104, "horizon": 24}),
    **{f"etth1_{horizon}": Case("ETTh1.csv", ETTH1 | {"horizon": horizon}, longer=True) for horizon in (192, 336, 720)},
}


TABLES = [name for name, case in CASES.items() if not case.longer]


MODELS: dict[str, dict[str, Any]] = {
    name: settings_of(name) for name in ("ridge", "linear_path", "time_llm", "published", "dlinear", "patchtst")
}


@dataclass(frozen=True)
class Cell:
    """What one run measured."""

    table: str
    model: str
    seed: int
    mse: float
    mae: float
    seconds: float
    memory_mib: float
    test_windows: int
    best_step: int | None

    @property
    def key(self) -> tuple[str, str, int]:
        """Which run it is."""
        return self.table, self.model, self.seed


def measure(table: str, model: str, *, seed: int, folder: Path | None) -> Cell:
    """Fit and score one run.

    Raises:
        SystemExit: the run failed; says how.
    """
    case, settings = CASES[table], MODELS[model]
    options = case.settings | {name: value for name, value in settings.items() if name != "kind"}
    if settings["kind"] != "ridge":  # the closed form has nothing random
        options["seed"] = seed
    changed = [f"--set={name}={value}" for name, value in options.items()]
    with tempfile.TemporaryDirectory() as place:
        run, began = Path(place) / "run", time.monotonic()
        command = [sys.executable, "-m", "timellm", "fit", str(case.path(folder, place=Path(place)))]
        command += [f"--run-dir={run}", f"--model={settings['kind']}", *changed]
        done = subprocess.run(command, capture_output=True, text=True)
        seconds = time.monotonic() - began
        if done.returncode:
            raise SystemExit(f"{model} on {table} failed:\n{done.stderr[-2000:]}")
        summary = RunFolder(run).summary()
    test = summary["test"]
    return Cell(
        table, model, seed, test["mse_scaled"], test["mae_scaled"], round(seconds, 1), summary["memory_mib"],
        summary["test_windows"], summary.get("best_step"),
    )  # fmt: skip


def table_of(cells: list[Cell]) -> str:
    """Markdown: the mean over seeds, the largest distance of a seed from it, and the ratio to the ridge's MSE."""
    groups: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[cell.table, cell.model].append(cell)
    names = ("table", "model", "seeds", "MSE", "MAE", "MSE to ridge", "s", "MiB", "kept steps")
    lines = [markdown_row(names), markdown_row(["---"] * len(names))]
    ratios = defaultdict(list)
    for table in CASES:
        ridge = groups.get((table, "ridge"))
        for model in MODELS:
            if not (found := groups.get((table, model))):
                continue
            mse = _mean(found, "mse")
            spread = f" ± {max(abs(cell.mse - mse) for cell in found):.4f}" if len(found) > 1 else ""
            ratio = mse / _mean(ridge, "mse") if ridge else None
            if ratio is not None and not CASES[table].longer:
                ratios[model].append(ratio)
            kept = "/".join("-" if cell.best_step is None else str(cell.best_step) for cell in found)
            numbers = (f"{mse:.4f}{spread}", f"{_mean(found, 'mae'):.4f}", "" if ratio is None else f"{ratio:.3f}")
            costs = (f"{_mean(found, 'seconds'):,.0f}", f"{_mean(found, 'memory_mib'):,.0f}", kept)
            lines.append(markdown_row([table, model, str(len(found)), *numbers, *costs]))
    lines.append("")
    lines += [
        f"{model}: {statistics.geometric_mean(found):.3f} of the ridge's MSE, the geometric mean of {len(found)} tables"
        for model, found in ratios.items()
    ]
    return "\n".join(lines)


def _mean(cells: list[Cell], name: str) -> float:
    return statistics.fmean(getattr(cell, name) for cell in cells)


def main() -> None:
    """Measure what the log does not have, or show what it has."""
    parser = cells_parser(__doc__, tables=CASES, usual=TABLES, seeds=[0, 1, 2])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    options = parser.parse_args()
    wanted = [
        (table, model, seed)
        for seed in options.seeds
        for table in options.tables
        for model in options.models
        if MODELS[model]["kind"] != "ridge" or seed == options.seeds[0]
    ]

    def one(table: str, model: str, seed: int) -> Cell:
        return measure(table, model, seed=seed, folder=options.data)

    if not options.show:
        measure_missing(options.log, Cell, wanted, one, hours=options.hours)
    print(table_of(read_cells(options.log, Cell)))


if __name__ == "__main__":
    main()
