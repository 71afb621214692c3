"""What adapters that come trained are worth: trained on the bundled samples and on generated series, scored elsewhere.

    python -m benchmarks.pretrained --out FOLDER [--steps 200] [--context 96] [--horizon 24] [--set layers=6]
        [--targets ETTh1.csv national_illness.csv] [--fine-tune 50 200]

The adapters are trained together on the sample tables and on a table of generated series
(timellm.forecasting.pretraining), and lie in FOLDER/pretrained. A target is never learned from there. For each target a
row says the z-scored error on its test windows of: the adapters without any training on the target (zero-shot); a ridge
and the best simple rule, which see its training rows; fracast, if it is installed, on the windows it has time for; and
Time-LLM after so many steps on the target, from its first weights and from the adapters.

The generated series are sums of four parts, each drawn anew for every series:

- a trend: a line of slope N(0, 1) over the table, and a random walk of steps N(0, 0.02);
- two seasons of different lengths out of 7, 12, 24, 48 and 168 rows, each with three harmonics of amplitudes N(0, 1)
  divided by their number, and with random phases;
- events: on average one in 250 rows, half of them a lasting change of level N(0, 1), half a peak of height N(0, 2) that
  fades by a fifth a row;
- noise: autoregressive of order one with coefficient U(0, 0.8), innovations N(0, s), s log-uniform in 0.05 to 0.5.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from timellm.config import RunConfig, parse_setting
from timellm.data.prepared import PreparedData
from timellm.data.samples import samples
from timellm.data.table import load_table
from timellm.forecasters.protocol import FitJob
from timellm.forecasters.start_rules import PRETRAINED
from timellm.forecasting.pretraining import pretrained
from timellm.forecasting.transfer import config_elsewhere, score_elsewhere
from timellm.pipeline import fit
from timellm.training.zero import processes_of

SEASONS = (7, 12, 24, 48, 168)
_EVENTS_EVERY, _FADES_BY = 250, 0.8


def generated(rows: int, series: int, *, seed: int) -> pd.DataFrame:
    """The generated series, with a column of made-up hours."""
    drawn = np.random.default_rng(seed)
    frame = {"ds": pd.date_range("2000-01-01", periods=rows, freq="h")}
    for number in range(series):
        parts = (_trend, _seasons, _events, _noise)
        frame[f"s{number + 1}"] = np.sum([part(rows, drawn) for part in parts], axis=0).round(5)
    return pd.DataFrame(frame)


def _trend(rows: int, drawn: np.random.Generator) -> np.ndarray:
    return drawn.normal() * np.linspace(0, 1, rows) + drawn.normal(0, 0.02, rows).cumsum()


def _seasons(rows: int, drawn: np.random.Generator) -> np.ndarray:
    time, total = np.arange(rows), np.zeros(rows)
    for length in drawn.choice(SEASONS, 2, replace=False):
        for harmonic in (1, 2, 3):
            phase = drawn.uniform(0, 2 * np.pi)
            total += drawn.normal() / harmonic * np.sin(2 * np.pi * harmonic * time / length + phase)
    return total


def _events(rows: int, drawn: np.random.Generator) -> np.ndarray:
    total = np.zeros(rows)
    for row in np.flatnonzero(drawn.random(rows) < 1 / _EVENTS_EVERY):
        if drawn.random() < 0.5:
            total[row:] += drawn.normal()
        else:
            total[row:] += drawn.normal(0, 2) * _FADES_BY ** np.arange(rows - row)
    return total


def _noise(rows: int, drawn: np.random.Generator) -> np.ndarray:
    keeps, size = drawn.uniform(0, 0.8), np.exp(drawn.uniform(np.log(0.05), np.log(0.5)))
    steps, found = drawn.normal(0, size, rows), np.zeros(rows)
    for row in range(1, rows):
        found[row] = keeps * found[row - 1] + steps[row]
    return found


def adapters(config: RunConfig, out: Path) -> dict[str, Any]:
    """Train the adapters in `out`, or go on where that was cut off; what they came to."""
    out.mkdir(parents=True, exist_ok=True)
    made = out / "generated.csv"
    if not made.is_file():
        generated(3000, 24, seed=1).to_csv(made, index=False)
    tables = (*(str(sample.path) for sample in samples()), str(made))
    config = config.updated(pretrain=tables)
    target = PreparedData.of(load_table(config.data), config)  # what is said of leaks goes by it
    found = pretrained(target, FitJob(config, out), processes_of(config.trained))
    assert found is not None, "nobody stops it"
    return found


Row = tuple[str, float, int, int | None]
"""Name, z-scored MSE, test windows, step that was kept."""


def zero_shot(out: Path, target: Path, *, split: str) -> Iterator[Row]:
    """Errors on a target that nothing was trained on, beside what is fitted to it."""
    place = out / PRETRAINED
    with TemporaryDirectory() as folder:
        found = score_elsewhere(place, config_elsewhere(place, target, {"split": split}), Path(folder))
    assert found is not None, "nobody stops it"
    scores = found.scores
    errors = {name: scores.error(name, "mse_scaled") for name in scores.models}
    own, ridge, rule = errors.pop(scores.own), errors.pop("Ridge"), float(np.nanmin(list(errors.values())))
    for name, error in (("zero-shot", own), ("ridge", ridge), ("best simple rule", rule)):
        yield name, error, scores.scored.windows, None


def trained(name: str, config: RunConfig) -> Row:
    """What one run comes to."""
    with TemporaryDirectory() as folder:
        summary = fit(config, run_dir=folder).summary
    return name, summary["test"]["mse_scaled"], summary["test_windows"], summary.get("best_step")


def measure(config: RunConfig, out: Path, *, steps: list[int]) -> Iterator[Row]:
    """What each way of forecasting one target comes to."""
    yield from zero_shot(out, Path(config.data.path), split=config.task.split)
    if find_spec("fracast"):
        yield trained("fracast", config.updated(kind="fracast"))
    for count in steps:
        yield trained(f"{count} steps", config.updated(steps=count))
        begun = config.updated(steps=count, start_from=str((out / PRETRAINED).resolve()))
        yield trained(f"{count} steps from the adapters", begun)


def main() -> None:
    """Train, measure, and print a row each as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--targets", type=Path, nargs="+", required=True)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--context", type=int, default=96)
    parser.add_argument("--horizon", type=int, default=24)
    parser.add_argument("--fine-tune", type=int, nargs="*", default=[50, 200])
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    asked = parser.parse_args()
    settings = dict(map(parse_setting, asked.settings))
    lengths = {"context": asked.context, "horizon": asked.horizon, "missing": "interpolate", "linear_maps": "shared"}
    configs = [RunConfig.create(path.resolve(), **lengths | settings) for path in asked.targets]
    found = adapters(configs[0].updated(steps=asked.steps), asked.out)
    print(f"adapters: best at step {found['best_step']} of {found['steps']}, {found['training_seconds']:,.0f} s")
    print("| target | forecast | MSE, z-scored | windows | step kept |\n|---|---|---|---|---|", flush=True)
    for config in configs:
        for name, error, windows, step in measure(config, asked.out, steps=asked.fine_tune):
            kept = "" if step is None else f"{step}"
            print(f"| {Path(config.data.path).stem} | {name} | {error:.4f} | {windows:,} | {kept} |", flush=True)


if __name__ == "__main__":
    main()
