"""What each departure from the paper costs or gains: the default set-up, then one setting at a time as published.

    python -m benchmarks.departures TABLE.csv [--context 96] [--steps 100] [--set split=8640/2880/2880] [--out rows.csv]

Every row trains the same steps on the same windows and is scored, with the adapters of its best validation, on evenly
spaced windows of the test part, in z-scores. "map" and the defaults are trained at each of `--rates`, because the two
kinds of prototypes take different ways through the optimiser: compare the best of each. The first of `--seeds` trains
everything, the others the defaults and "map" again: their spread says how much of a difference is chance. A row is
written as soon as it is measured.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from timellm.config import RunConfig, parse_setting
from timellm.data.prepared import PreparedData, in_force
from timellm.data.samples import samples
from timellm.data.table import load_table
from timellm.forecasters.time_llm.backbone import load_backbone
from timellm.forecasters.time_llm.network import TimeLLM
from timellm.forecasters.time_llm.patching import instance_norm
from timellm.training.evaluation import forecast_windows
from timellm.training.loop import train
from timellm.training.progress import never_stop
from timellm.training.step import TrainingWindows

PUBLISHED_DESCRIPTION = (
    "The Electricity Transformer Temperature (ETT) is a crucial indicator in the electric power long-term deployment."
)
"""The prompt's default in the published code, whatever the table."""

DEPARTURES: dict[str, dict[str, Any]] = {
    "prompt_style=paper": {"prompt_style": "paper"},
    "statistic_digits=0": {"statistic_digits": 0},
    "statistic_digits=3": {"statistic_digits": 3},
    "statistic_digits=4": {"statistic_digits": 4},
    "lags=circular": {"lags": "circular"},
    "attention_dropout=0.1": {"attention_dropout": 0.1},
    "round_patches": {"round_patches": True},
    "backbone_dtype=float32": {"backbone_dtype": "float32"},
    "description: ETT": {"description": PUBLISHED_DESCRIPTION},
    "description: name only": {"description": "Data."},
}


@dataclass(frozen=True)
class Trial:
    """One row of the result: the defaults with some settings changed."""

    name: str
    settings: dict[str, Any] = field(default_factory=dict)


def trials(seeds: list[int], rates: list[float], base_rate: float) -> Iterator[Trial]:
    """Every row, those that decide most first."""
    for rate in [base_rate, *(rate for rate in rates if rate != base_rate)]:
        yield Trial("defaults", {"learning_rate": rate, "seed": seeds[0]})
        yield Trial("prototype_source=map", {"prototype_source": "map", "learning_rate": rate, "seed": seeds[0]})
    for name, settings in DEPARTURES.items():
        yield Trial(name, settings | {"seed": seeds[0]})
    for seed in seeds[1:]:
        yield Trial("defaults", {"seed": seed})
        yield Trial("prototype_source=map", {"prototype_source": "map", "seed": seed})


def measure(trial: Trial, base: RunConfig, *, windows: int) -> dict[str, Any]:
    """Train and score one trial: a row of the result."""
    config = base.updated(**trial.settings)
    prepared = PreparedData.of(load_table(config.data), config)
    index = {part: prepared.windows(part) for part in ("training", "validation", "test")}
    backbone = load_backbone(config.model, device="cpu")
    torch.manual_seed(config.trained.seed)
    network = TimeLLM(config.model, backbone=backbone, description=config.data.description)
    source = prepared.source("cpu")

    best: dict[str, torch.Tensor] = {}
    step_ends: list[float] = []  # of the process's CPU time, which other work on the machine changes little

    def save_best() -> None:
        best.update({name: tensor.clone() for name, tensor in network.state_dict().items()})

    begin = time.monotonic()
    trained = train(
        network,
        TrainingWindows(source, index["training"], index["validation"]),
        config.trained,
        save_best=save_best,
        on_progress=lambda progress: step_ends.append(time.process_time()),
        should_stop=never_stop,
    )
    seconds = time.monotonic() - begin
    network.load_state_dict(best)
    test = index["test"].evenly(windows)
    forecast_WH = forecast_windows(network, source, test)
    context_WT, target_WH = (tensor.numpy() for tensor in source.gather(test.channel, origin=test.origin))
    error_WH = forecast_WH - target_WH
    return {
        "trial": trial.name,
        "seed": config.trained.seed,
        "learning_rate": config.trained.learning_rate,
        "mse": float(np.mean(error_WH**2)),
        "mae": float(np.mean(np.abs(error_WH))),
        "validation_mse": trained.best_validation_loss,
        "best_step": trained.best_step,
        "prompt_tokens": prompt_tokens(
            network, context_WT[:200], source.beside(test.channel[:200], origin=test.origin[:200]).get("told")
        ),
        "cpu_seconds_per_step": float(np.median(np.diff(step_ends))),
        "seconds": seconds,
    }


def prompt_tokens(network: TimeLLM, context_WT: np.ndarray, told: list[str] | None = None) -> float:
    """Tokens of a prompt, on average."""
    texts = network.template.texts(instance_norm(torch.as_tensor(context_WT))[0], told)
    return float(np.mean([len(ids) for ids in network.reader.backbone.token_ids(texts)]))


def base_config(table: str, settings: dict[str, Any]) -> RunConfig:
    """The defaults for `table`; a bundled sample comes with its own description, as on the set-up page."""
    described = {sample.path.name: sample.description for sample in samples()}
    config = RunConfig.create(table, **{"description": described.get(Path(table).name, "")} | settings)
    return in_force(config, load_table(config.data))


def rows_parser(doc: str) -> argparse.ArgumentParser:
    """The arguments of every benchmark that measures rows on one table; `doc` is its module's docstring."""
    parser = argparse.ArgumentParser(description=doc.split("\n\n")[0])
    parser.add_argument("table")
    parser.add_argument("--context", type=int, default=96)
    parser.add_argument("--horizon", type=int, default=96)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="key=value")
    parser.add_argument("--only", default="", help="measure only rows whose name holds this")
    parser.add_argument("--out", type=Path, help="CSV file, written after each row")
    return parser


def main() -> None:
    """Measure every row and print the table."""
    parser = rows_parser(__doc__)
    parser.add_argument("--windows", type=int, default=1000, help="test windows scored, evenly spaced")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--rates", default="0.0005,0.002,0.008", help="learning rates tried for both prototype kinds")
    options = parser.parse_args()

    changed = dict(map(parse_setting, options.settings))
    lengths = {"context": options.context, "horizon": options.horizon, "steps": options.steps, "validations": 2}
    base = base_config(options.table, lengths | changed)
    seeds = [int(seed) for seed in options.seeds.split(",")]
    rates = [float(rate) for rate in options.rates.split(",")]
    rows: list[dict[str, Any]] = []
    for trial in trials(seeds, rates, base.training.learning_rate):
        if options.only not in trial.name:
            continue
        rows.append(measure(trial, base, windows=options.windows))
        print({name: f"{value:.4g}" if isinstance(value, float) else value for name, value in rows[-1].items()})
        if options.out:
            pd.DataFrame(rows).to_csv(options.out, index=False)
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.4g}"))


if __name__ == "__main__":
    main()
