"""A report as one HTML file: of a run, or of several side by side.

Inputs: runs (timellm.report.facts). Outputs: the file's text. It opens from a disk without a network.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime

from timellm import __version__
from timellm.config import RunConfig
from timellm.config import setting_label as label
from timellm.errors import ConfigError
from timellm.evaluation.leaderboard import leaderboard
from timellm.evaluation.metrics import METRICS
from timellm.evaluation.others import OtherRun, with_others
from timellm.plots.report_print import forecast_figure, steps_figure
from timellm.report import sections
from timellm.report.facts import Reported
from timellm.report.html import Html, code, document, figure, heading, paragraph, table
from timellm.report.script import script_of

MOST_RUNS = 8
_MOST_CHANNELS = 4
_SHOWN = ("mae", "rmse", "smape", "mase")


def report(runs: Sequence[Reported]) -> str:
    """The report of one run, or of up to eight.

    Raises:
        ConfigError: there is no run, or there are too many or two of one name.
        CheckpointError: a file of a run is missing or damaged.
    """
    if not 1 <= len(runs) <= MOST_RUNS:
        raise ConfigError(f"a report is about one to {MOST_RUNS} runs; {len(runs)} are given")
    if len({run.folder.path for run in runs}) < len(runs):
        raise ConfigError("a run is named twice; name each run of a report once")
    return _of_one(runs[0]) if len(runs) == 1 else _of_several(list(runs))


def _of_one(run: Reported) -> str:
    title = f"Forecast report: {run.name}"
    parts: list[Html] = [
        heading(run.name, 1),
        _made(),
        sections.verdict(run),
        *sections.forecasts(run, name="r"),
        *sections.errors(run, name="r"),
        *sections.coverage(run),
        *sections.twins(run),
        *sections.attention(run),
        *sections.data(run, name="r"),
        *sections.settings(run),
        *sections.training(run, name="r"),
        *sections.making(run),
        heading("The program that repeats it"),
        code(script_of(run)),
    ]
    return document(title, parts)


def _of_several(runs: list[Reported]) -> str:
    names = _names(runs)
    title = f"Comparison of {len(runs)} runs"
    parts: list[Html] = [heading(title, 1), _made(), paragraph(", ".join(names))]
    parts += _leaderboard(runs, names) if sections.same_windows(runs) else _apart(runs, names)
    parts += _side_by_side(runs, names)
    parts += _differences(runs, names)
    parts += sections.data(runs[0], name="r")
    if len({run.folder.config().data.path for run in runs}) > 1:
        parts.append(paragraph(f"This is the table of {names[0]}; other runs have other tables.", kind="faint"))
    for place, (run, name) in enumerate(zip(runs, names, strict=True)):
        parts += [heading(name, new_page=True), sections.verdict(run), *sections.coverage(run, level=3)]
        parts += [*sections.twins(run, level=3), *sections.training(run, name=f"r{place}", level=3)]
        parts += sections.making(run, level=3)
    return document(title, parts)


def _leaderboard(runs: list[Reported], names: list[str]) -> list[Html]:
    """Every model of every run on the same windows."""
    first, others = runs[0], []
    taken = set(first.scores.models)
    for run, name in zip(runs[1:], names[1:], strict=True):
        model = run.scores.own if run.scores.own not in taken else f"{run.scores.own}: {name}"
        taken.add(model)
        others.append(OtherRun(model, run.folder.path, run.scores))
    scores = with_others(first.scores, others)
    ranked = leaderboard(scores, sections.METRIC)
    overall = scores.overall.set_index("model")
    mine = {first.scores.own: names[0]} | {one.name: name for one, name in zip(others, names[1:], strict=True)}
    rows = [
        [
            row.rank,
            row.model,
            mine.get(row.model, ""),
            *(float(overall.at[row.model, one]) for one in _SHOWN),
            row.windows,
        ]
        for row in ranked
    ]
    drawn = [*mine, *(row.model for row in ranked if row.model not in mine)][: len(mine) + 2]
    title = METRICS[sections.METRIC].title
    return [
        heading("Leaderboard"),
        paragraph(f"All on the same {scores.scored.windows:,} test windows. Lower is better."),
        table(["", "Model", "Run", *(METRICS[one].title for one in _SHOWN), "Windows"], rows),
        figure(steps_figure(scores.by_step, drawn, sections.METRIC, title), alt=f"{title} by rows ahead", name="steps"),
    ]


def _apart(runs: list[Reported], names: list[str]) -> list[Html]:
    rows = [
        [name, run.scores.own, *(run.scores.error(run.scores.own, one) for one in _SHOWN), run.scores.scored.windows]
        for run, name in zip(runs, names, strict=True)
    ]
    return [
        heading("Errors on the test part"),
        paragraph("These runs are not scored on the same windows, so their errors cannot be compared with each other."),
        table(["Run", "Model", *(METRICS[one].title for one in _SHOWN), "Windows"], rows),
    ]


def _side_by_side(runs: list[Reported], names: list[str]) -> list[Html]:
    """The forecasts of all runs on one figure a channel, for channels that all of them have."""
    shared = [name for name in runs[0].table.channels if all(name in run.table.channels for run in runs)]
    parts = [heading("Forecasts", new_page=True)]
    for place, channel in enumerate(shared[:_MOST_CHANNELS]):
        found = {name: sections.future_of(run, channel) for run, name in zip(runs, names, strict=True)}
        found = {name: one for name, one in found.items() if len(one)}
        if found:
            history = runs[0].table.values[channel].iloc[-3 * runs[0].config.task.horizon :]
            parts.append(figure(forecast_figure(history, found, {}), alt=f"Forecasts of {channel}", name=f"f{place}"))
    if len(parts) == 1:
        parts.append(paragraph("The runs share no channel that has a forecast."))
    return parts


def _differences(runs: list[Reported], names: list[str]) -> list[Html]:
    """Settings in which the runs differ; of one that a single run has, only what is not its default."""
    trees = [run.config.settings() for run in runs]
    usuals = [RunConfig.create(run.config.data.path, kind=run.config.kind).settings() for run in runs]
    every = dict.fromkeys(name for tree in trees for name in tree if name != "description")
    rows = []
    for name in every:
        values = [sections.setting_text(name, tree[name]) if name in tree else "" for tree in trees]
        shared = sum(name in tree for tree in trees) > 1
        changed = any(name in tree and tree[name] != usual.get(name) for tree, usual in zip(trees, usuals, strict=True))
        if len(set(values)) > 1 and (shared or changed):
            kind = next(run.config.kind for run, tree in zip(runs, trees, strict=True) if name in tree)
            rows.append([label(name, kind), *values])
    parts = [heading("Settings in which they differ")]
    return [*parts, table(["Setting", *names], rows) if rows else paragraph("They have the same settings.")]


def _names(runs: list[Reported]) -> list[str]:
    """The runs' names, told apart by the end of their folders' where two have the same."""
    names = [run.name for run in runs]
    return [
        name if names.count(name) == 1 else f"{name} ({run.folder.path.name[-5:]})"
        for run, name in zip(runs, names, strict=True)
    ]


def _made() -> Html:
    cores = os.cpu_count() or 1
    return paragraph(
        f"Written {datetime.now(UTC):%Y-%m-%d %H:%M} UTC by timellm {__version__}, Python {platform.python_version()},"
        f" on {platform.system()} {platform.machine()} with {cores} cores.",
        kind="faint",
    )
