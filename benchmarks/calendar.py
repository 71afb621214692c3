"""What the calendar is worth, told to a language model in words and to a ridge in numbers; on validation windows alone.

    python -m benchmarks.calendar TABLE.csv [--context 96] [--steps 100] [--seeds 0,1] [--only ridge] [--out rows.csv]

Text must not win by being the only one told, so that the ridge is given the same hours, days and months as columns. Of
Time-LLM, both the default (with its ridge as the linear path) and the language model alone are trained. Every row is
scored on the same evenly spaced validation windows, in z-scores; the best step was chosen on them too. A row is written
as soon as it is measured.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.departures import base_config, rows_parser
from timellm.config import RunConfig, parse_setting
from timellm.data.prepared import PreparedData
from timellm.data.table import load_table
from timellm.forecasters.protocol import FitJob
from timellm.forecasters.registry import kind_of

ROWS: dict[str, dict[str, Any]] = {
    "ridge": {"kind": "ridge"},
    "ridge, calendar": {"kind": "ridge", "linear_features": "calendar"},
    "Time-LLM": {},
    "Time-LLM, calendar": {"prompt_calendar": True},
    "language model alone": {"linear_path": "none"},
    "language model alone, calendar": {"linear_path": "none", "prompt_calendar": True},
}


def configurations(base: RunConfig, seeds: list[int]) -> Iterator[tuple[str, int | None, RunConfig]]:
    """Name, seed and settings of every row; a ridge has no seed."""
    for name, settings in ROWS.items():
        if settings.get("kind") == "ridge":
            yield name, None, base.updated(**settings)
    for seed in seeds:
        for name, settings in ROWS.items():
            if settings.get("kind") != "ridge":
                yield name, seed, base.updated(**settings, seed=seed)


def measure(config: RunConfig, windows: int) -> dict[str, Any]:
    """Fit one configuration and score it on validation windows."""
    prepared = PreparedData.of(load_table(config.data), config)
    index = prepared.windows("validation").evenly(windows)
    begin = time.monotonic()
    with TemporaryDirectory() as folder:
        fitted, report = kind_of(config.kind).load().fit(prepared, FitJob(config, Path(folder)))
    assert fitted is not None  # nobody can stop it
    seconds = time.monotonic() - begin
    rows_WH = index.origin[:, None] + np.arange(prepared.horizon)
    error_WH = fitted.predict(prepared, index) - prepared.values[rows_WH, index.channel[:, None]]
    error_WH /= prepared.scaler.scale[index.channel, None]
    return {
        "mse": float(np.mean(error_WH**2)),
        "mae": float(np.mean(np.abs(error_WH))),
        "best_step": report.facts.get("best_step"),
        "seconds": seconds,
    }


def main() -> None:
    """Measure every row and print the table."""
    parser = rows_parser(__doc__)
    parser.add_argument("--windows", type=int, default=500, help="validation windows, evenly spaced")
    parser.add_argument("--seeds", default="0")
    options = parser.parse_args()

    lengths = {"context": options.context, "horizon": options.horizon, "steps": options.steps}
    judged = {"validations": 2, "validation_windows": options.windows}
    base = base_config(options.table, lengths | judged | dict(map(parse_setting, options.settings)))
    found: list[dict[str, Any]] = []
    for name, seed, config in configurations(base, [int(seed) for seed in options.seeds.split(",")]):
        if options.only not in name:
            continue
        found.append({"row": name, "seed": seed} | measure(config, options.windows))
        print(
            {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in found[-1].items()}, flush=True
        )
        if options.out:
            pd.DataFrame(found).to_csv(options.out, index=False)
    print(pd.DataFrame(found).to_string(index=False, float_format=lambda value: f"{value:.4g}"))


if __name__ == "__main__":
    main()
