"""The verb that says where a finished run's errors are."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from timellm.cli.answer import Answer, columns
from timellm.cli.folding import retrained
from timellm.cli.results import opened
from timellm.evaluation.metrics import METRICS

if TYPE_CHECKING:
    import pandas as pd

    from timellm.forecasting.backtest import Backtest


def backtest(arguments: argparse.Namespace) -> Answer:
    """Errors of a run by step, channel, hour, weekday or month on chosen cut-offs, and its worst and best windows.

    Raises:
        CheckpointError: the run folder is incomplete or damaged.
        ConfigError: the run has no such dimension.
    """
    if arguments.retrain is not None:
        return retrained(arguments)
    from timellm.forecasting.backtest import Cutoffs, check_metric
    from timellm.forecasting.backtest import backtest as of_folder

    metric = arguments.metric
    check_metric(metric)
    found = of_folder(opened(arguments.run_dir), Cutoffs(arguments.step, arguments.cutoffs))
    worst, best = (found.worst(metric, most=arguments.worst, best=one) for one in (False, True))
    data = found.to_dict() | {
        "metric": metric,
        "worst": worst.to_dict("records"),
        "best": best.to_dict("records"),
    }
    lines = [_on_what(found), "", _table(found, arguments.by, metric)]
    for title, rows in (("Worst windows", worst), ("Best windows", best)):
        lines += ["", f"{title}, none of which overlap:", _windows(rows, found, metric)]
    return Answer(data, "\n".join(lines))


def _on_what(found: Backtest) -> str:
    cutoffs = "1 cut-off" if found.cutoffs == 1 else f"{found.cutoffs:,} cut-offs"
    return f"{len(found.windows):,} windows of {cutoffs}, {found.horizon:,} rows each."


def _table(found: Backtest, by: str, metric: str) -> str:
    shown = [metric, *(name for name in ("mae", "mae_scaled") if name != metric)]
    if by == "overall":
        return columns(["model", *shown], [(model, *(row[name] for name in shown)) for model, row in
                                           found.overall.items()])  # fmt: skip
    frame = found.rows_by(by)
    own = frame[frame["model"] == found.own]
    header, parts = [by, *shown, "points"], [own[by], *(own[name] for name in shown), own["points"]]
    if found.naive:
        theirs = frame[frame["model"] == found.naive].set_index(by)[metric]
        header.append(f"{METRICS[metric].short} of {found.naive}")
        parts.append(own[by].map(theirs))
    return columns(header, zip(*parts, strict=True))


def _windows(rows: pd.DataFrame, found: Backtest, metric: str) -> str:
    header = ["channel", "cutoff", "until", METRICS[metric].short, *([found.naive] if found.naive else [])]
    names = ["channel", "cutoff", "end", "error", *(["naive"] if found.naive else [])]
    return columns(header, rows[names].itertuples(index=False, name=None))
