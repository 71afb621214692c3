"""Memory and time of scoring many windows: `python -m benchmarks.evaluation_memory [--windows N] [--models M]`.

Windows of random numbers come in batches, as forecasts do. What is reported is how far the process's peak memory grows
over that of one batch, for the scores, the errors by window, and the comparisons made from them. Each number of windows
is measured in a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from pathlib import Path

import numpy as np

from timellm.evaluation.accumulator import ForecastBatch, ScoreAccumulator
from timellm.evaluation.comparisons import compare_with_own
from timellm.evaluation.judge import judge
from timellm.evaluation.window_errors import WINDOW_ERRORS, writing_window_errors
from timellm.evaluation.windows import Reference, ScoredWindows
from timellm.training.peak_memory import peak_memory_mib

_CHANNELS = 10


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    print(f"{arguments.models} models, horizon {arguments.horizon}, batches of {arguments.batch:,} windows")
    print("| windows | scoring, MiB more | comparing, MiB more | file, MiB | scoring, s | comparing, s |")
    print("|---|---|---|---|---|---|")
    for windows in (arguments.windows // 10, arguments.windows):
        with multiprocessing.get_context("spawn").Pool(1) as process:
            scored, compared, size, scoring_s, comparing_s = process.apply(_measure, (windows, arguments))
        print(f"| {windows:,} | {scored:,.0f} | {compared:,.0f} | {size:,.0f} | {scoring_s:.0f} | {comparing_s:.0f} |")


def _measure(windows: int, arguments: argparse.Namespace) -> tuple[float, float, float, float, float]:
    rng = np.random.default_rng(1)
    batch, horizon = arguments.batch, arguments.horizon
    names = [f"model {number}" for number in range(arguments.models)]
    actual = rng.normal(size=(batch, horizon)) + 5
    forecasts = {name: actual + rng.normal(size=actual.shape) for name in names}
    cutoffs = windows // _CHANNELS
    scored = ScoredWindows("0" * 16, "test", windows, cutoffs, 0, cutoffs + horizon, horizon, 24, "day", 0.0)
    reference = Reference(tuple(f"channel {number}" for number in range(_CHANNELS)), *(np.ones(_CHANNELS),) * 3)
    import statsmodels.tsa.stattools  # noqa: F401, its memory is no part of the comparison's

    accumulator = ScoreAccumulator(reference, scored, names[0])
    before, begin = peak_memory_mib(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / WINDOW_ERRORS
        with writing_window_errors(path, reference=reference, scored=scored) as writer:
            for first in range(0, windows, batch):
                number = np.arange(first, min(first + batch, windows))
                part = {name: values[: len(number)] for name, values in forecasts.items()}
                given = ForecastBatch(number // cutoffs, number % cutoffs, actual[: len(number)], part)
                writer.write(given, accumulator.add(given))
        scores = accumulator.scores()
        after, middle = peak_memory_mib(), time.perf_counter()
        judge(scores, "mae", comparisons=compare_with_own([path], names[0]))
        end, size = time.perf_counter(), path.stat().st_size / 2**20
    return after - before, peak_memory_mib() - before, size, middle - begin, end - middle


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=200_000)
    parser.add_argument("--horizon", type=int, default=720)
    parser.add_argument("--models", type=int, default=6)
    parser.add_argument("--batch", type=int, default=1_000)
    return parser.parse_args()


if __name__ == "__main__":
    main()
