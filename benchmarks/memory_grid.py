"""Estimated against measured memory over a grid of runs: `python -m benchmarks.memory_grid [--small]`.

Each point is a trial in a fresh process (load, two steps, one validation). Prints a Markdown table and the largest
deviation. The machine may be busy: memory does not mind, only the time does.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from typing import Any

from timellm.config import RunConfig
from timellm.data.samples import find_sample
from timellm.data.table import load_table
from timellm.sizing.estimate import Surroundings, estimate
from timellm.sizing.machine import measured_facts
from timellm.sizing.table import TableSize
from timellm.sizing.trial import TRIAL, Trial, trial

_TABLE = find_sample("melbourne-pedestrians").path
_DESCRIPTION = "Pedestrians counted each hour at three places in the middle of Melbourne in 2016."


def grid() -> Iterator[dict[str, Any]]:
    """Backbones x layers x batch sizes x quantizations, and one setting at a time beside them."""
    for layers, batch_size, quantization in itertools.product((2, 6, 12), (8, 32, 96), ("none", "8bit", "4bit")):
        yield {"layers": layers, "batch_size": batch_size, "quantization": quantization}
    minilm = {"backbone": "all-minilm-l6-v2", "context": 168}
    for layers, batch_size, quantization in itertools.product((2, 6), (8, 32), ("none", "8bit", "4bit")):
        yield minilm | {"layers": layers, "batch_size": batch_size, "quantization": quantization}
    yield from (
        {"layers": 30},
        {"layers": 30, "batch_size": 96},
        {"context": 96},
        {"context": 512, "batch_size": 64},
        {"context": 1440},
        {"backbone_dtype": "float32"},
        {"backbone_dtype": "float32", "batch_size": 96},
        {"prototype_source": "map"},
        {"prototypes": 4000},
        {"attention_dropout": 0.1},
        {"prompt_style": "paper", "statistic_digits": 0, "lags": "circular"},
        {"batch_size": 192, "accumulation": 4},
        {"batch_size": 192, "gradient_checkpointing": True},
        minilm | {"backbone_dtype": "float32"},
        minilm | {"batch_size": 96},
    )


def small_grid() -> Iterator[dict[str, Any]]:
    """Six points for the tests, of those that take little time."""
    yield from (
        {},
        {"layers": 2, "batch_size": 96},
        {"quantization": "8bit", "layers": 2, "batch_size": 8},
        {"context": 96, "backbone_dtype": "float32"},
        {"prototype_source": "map", "layers": 2},
        {"backbone": "all-minilm-l6-v2", "context": 168, "quantization": "4bit", "layers": 2, "batch_size": 8},
    )


def compare(settings: dict[str, Any]) -> tuple[float, Trial]:
    """MiB that were estimated by counting alone, and what a trial measured."""
    config = RunConfig.create(_TABLE, description=_DESCRIPTION, **settings)
    table = load_table(config.data)
    around = Surroundings(TableSize(len(table.values), len(table.channels)), measured_facts())
    return estimate(config.updated(**TRIAL), around).memory_mib, trial(config)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="the six points of the tests")
    worst = 0.0
    print("| settings | estimated, MiB | measured, MiB | deviation |\n|---|---|---|---|")
    for settings in small_grid() if parser.parse_args().small else grid():
        estimated, found = compare(settings)
        named = ", ".join(f"{name}={value}" for name, value in settings.items()) or "defaults"
        if found.memory_mib is None:
            print(f"| {named} | {estimated:,.0f} | {found.ending}: {found.cause} | |", flush=True)
            continue
        deviation = estimated / found.memory_mib - 1
        worst = max(worst, abs(deviation))
        print(f"| {named} | {estimated:,.0f} | {found.memory_mib:,.0f} | {deviation:+.0%} |", flush=True)
    print(f"\nlargest deviation {worst:.0%}")


if __name__ == "__main__":
    main()
