"""Where the error is, on the Metrics page: by step, channel, hour, weekday and month, and the worst and best windows.

Inputs: the finished run on the page and the chosen metric.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from timellm.data.exported import to_csv
from timellm.data.season import season_length
from timellm.evaluation.metrics import BROKEN_DOWN, DIMENSIONS, METRICS
from timellm.plots.breakdown import by_key
from timellm.ui import charts, keys
from timellm.ui.errors import explained
from timellm.ui.run_results import Results
from timellm.ui.scoreboard import COLUMNS
from timellm.ui.words import moment, plain

if TYPE_CHECKING:
    from timellm.forecasting.backtest import Backtest

_ALL, _LAST, _ROLLING = "All test windows", "Last horizon alone", "Rolling origin"
_MOST_WINDOWS = 5
_IN_ORDER = ("step", "hour", "weekday", "month")


@st.cache_resource(max_entries=16, show_spinner="Looking where the errors are …")
def _backtest(run_dir: str, ended: str, step: int, count: int | None) -> Backtest:
    from pathlib import Path

    from timellm.forecasting.artifacts import RunFolder
    from timellm.forecasting.backtest import Cutoffs, backtest

    return backtest(RunFolder(Path(run_dir)), Cutoffs(step, count))


def show(results: Results, metric: str) -> None:
    """The part of the page that breaks the run's errors down."""
    st.header("Where the error is", anchor=False)
    if metric not in BROKEN_DOWN:
        st.caption(f"{METRICS[metric].short} is not worked out by window; this shows the MAE.")
        metric = "mae"
    step, count = _choose(results)
    with explained("The errors of this run cannot be broken down"):
        found = _backtest(str(results.run.run_dir), str(results.run.ended), step, count)
    overall = found.overall[found.own]
    st.caption(
        f"{len(found.windows):,} windows of {found.cutoffs:,} cut-off{'' if found.cutoffs == 1 else 's'}:"
        f" {METRICS[metric].short} {overall[metric]:.4g}, z-scored MAE {overall['mae_scaled']:.4g}."
        " Hour, weekday and month are those of the moment that is forecast."
    )
    usual = next((name for name in ("hour", "weekday", "month") if name in found.by), "step")
    dimension = st.segmented_control(
        "By", list(found.by), default=usual, required=True, format_func=lambda name: DIMENSIONS[name],
        **keys.in_address("by", tuple(found.by)),
    )  # fmt: skip
    _draw(found, dimension, metric)
    _windows(results, found, metric)


def _choose(results: Results) -> tuple[int, int | None]:
    """Rows between cut-offs, and how many of the last ones count."""
    which = st.segmented_control(
        "Windows", [_ALL, _LAST, _ROLLING], default=_ALL, required=True, **keys.in_address("backtest")
    )
    if which == _ALL:
        return 1, None
    if which == _LAST:
        return 1, 1
    horizon, season = results.run.config.task.horizon, season_length(results.table().frequency)
    left, right = st.columns(2)
    step = left.number_input(
        "Rows between cut-offs", 1, 1_000_000, horizon, key=keys.view("metrics", "step"),
        help=f"{horizon:,} rows are one horizon, so that windows do not overlap; {season:,} are one season.",
    )  # fmt: skip
    count = right.number_input(
        "Cut-offs, counted from the end", 1, 1_000_000, None, key=keys.view("metrics", "cutoffs"), placeholder="all"
    )
    return int(step), None if count is None else int(count)


def _draw(found: Backtest, dimension: str, metric: str) -> None:
    frame = found.rows_by(dimension)
    errors = {model: rows.set_index(dimension)[metric].rename(model) for model, rows in frame.groupby("model")}
    title = DIMENSIONS[dimension]
    charts.draw(
        by_key, errors[found.own], errors.get(found.naive), ordered=dimension in _IN_ORDER,
        label=METRICS[metric].title, axis="rows ahead" if dimension == "step" else title.lower(),
        alt=f"Error by {title.lower()}",
    )  # fmt: skip
    with st.expander(f"Table by {title.lower()}, original and z-scored", icon=":material/table_rows:"):
        shown = [metric, *(name for name in BROKEN_DOWN if name != metric)]
        st.dataframe(
            frame[["model", dimension, *shown, "points"]], hide_index=True, height=260,
            column_config=COLUMNS | {dimension: st.column_config.Column(title)}, alt=f"Errors by {title.lower()}",
        )  # fmt: skip
        st.download_button(
            "Download CSV", to_csv(frame), f"errors-by-{dimension}.csv", "text/csv", icon=":material/download:",
            on_click="ignore", key=keys.view("metrics", "by-csv"),
        )  # fmt: skip


def _windows(results: Results, found: Backtest, metric: str) -> None:
    worst, best = st.columns(2)
    for column, title, is_best in ((worst, "Worst windows", False), (best, "Best windows", True)):
        with column:
            st.subheader(title, anchor=False)
            rows = found.worst(metric, most=_MOST_WINDOWS, best=is_best)
            if rows.empty:
                st.caption("No window has a defined error.")
            for row in rows.itertuples():
                _link(results, row, metric, found.naive)
    st.caption("Each opens on its chart. None of them overlaps another one of its channel.")


def _link(results: Results, row: pd.Series, metric: str, naive: str | None) -> None:
    beside = f", {row.naive:.4g} by {plain(naive)}" if naive and pd.notna(row.naive) else ""
    st.page_link(
        "forecast.py",
        label=f"**{plain(row.channel)}**, from {moment(row.begin)}: {METRICS[metric].short} {row.error:.4g}{beside}",
        icon=":material/show_chart:",
        query_params={
            "run": results.run.id, "show": "Test period", "channel": row.channel, "cutoff": moment(row.cutoff),
        },
    )  # fmt: skip
