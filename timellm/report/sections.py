"""The sections of a report on one run, each from the files of its folder.

Inputs: a `Reported` run. Outputs: HTML. A section that a run has nothing for is empty. The verdict stands first, then
what is decided by it: forecast, errors, bands; then what they rest on: data, settings, training; and how it was made.
"""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from timellm.config import RunConfig, TimeLLMConfig
from timellm.config import setting_label as label
from timellm.data.uploads import table_title
from timellm.evaluation.comparisons import by_other
from timellm.evaluation.intervals import DEFAULT_LEVELS, band_columns
from timellm.evaluation.leaderboard import leaderboard
from timellm.evaluation.metrics import METRICS
from timellm.evaluation.twins import in_set
from timellm.forecasters.registry import kind_of
from timellm.forecasting.artifacts import SUMMARY
from timellm.plots.report_print import curve_figure, forecast_figure, overview_figure, steps_figure
from timellm.report.facts import Reported
from timellm.report.found import found_in
from timellm.report.html import Html, figure, heading, moment, paragraph, table

METRIC = "mae"
_MOST_FORECASTS, _MOST_SERIES, _MOST_CHANNELS, _MOST_MODELS, _MOST_DRAWN = 8, 12, 40, 30, 4
_MOST_PROTOTYPES = 12
_SHOWN = ("mae", "rmse", "smape", "mase")


def verdict(run: Reported) -> Html:
    """The verdict by MAE, in sentences."""
    return paragraph(run.folder.verdict(METRIC).sentence(), kind="lead")


def forecasts(run: Reported, *, name: str) -> list[Html]:
    """The forecast beyond the data: a figure for each of the first channels, with bands where the run has them."""
    levels = DEFAULT_LEVELS if run.folder.intervals() is not None else ()
    future, values = run.folder.future(levels), run.table.values
    parts = [heading("Forecast")]
    if future.empty:
        return [*parts, paragraph("There is none beyond the data, because values are missing at the end of the table.")]
    channels = list(dict.fromkeys(future["unique_id"]))
    first, last = future["ds"].min(), future["ds"].max()
    shaded = f" Bands of {' and '.join(f'{level} %' for level in levels)} are shaded." if levels else ""
    span = f"{run.config.task.horizon:,} rows from {moment(first)} to {moment(last)}"
    parts.append(paragraph(f"{span}, in the units of the data.{shaded}"))
    for place, channel in enumerate(channels[:_MOST_FORECASTS]):
        rows = future[future["unique_id"] == channel].set_index("ds")
        bands = {level: (rows[band_columns(level)[0]], rows[band_columns(level)[1]]) for level in levels}
        before = values.index < rows.index[0]
        history = values.loc[before, channel].iloc[-3 * run.config.task.horizon :]
        drawn = forecast_figure(history, {run.scores.own: rows["yhat"]}, bands)
        parts.append(figure(drawn, alt=f"Forecast of {channel}", name=f"{name}-forecast{place}"))
    if len(channels) > _MOST_FORECASTS:
        parts.append(paragraph(f"{len(channels) - _MOST_FORECASTS:,} more channels are not drawn.", kind="faint"))
    return parts


def errors(run: Reported, *, name: str) -> list[Html]:
    """The leaderboard, the errors by step and by channel, and what the scores say of themselves."""
    scores = run.scores
    comparisons = by_other(run.folder.comparisons(), METRIC)
    ranked = leaderboard(scores, METRIC, comparisons=comparisons)
    overall = scores.overall.set_index("model")
    header = ["", "Model", *(METRICS[one].title for one in _SHOWN), "Skill", "p", "Windows"]
    rows = [
        [
            row.rank, row.model + (" (this run)" if row.own else ""),
            *(float(overall.at[row.model, one]) for one in _SHOWN), _percent(row.skill), _p(row.p_value), row.windows,
        ]
        for row in ranked[:_MOST_MODELS]
    ]  # fmt: skip
    own = next((place for place, row in enumerate(ranked) if row.own), None)
    drawn = [scores.own, *(row.model for row in ranked if not row.own)][: _MOST_DRAWN + 1]
    title = METRICS[METRIC].title
    parts = [
        heading("Errors on the test part"),
        table(header, rows, own=own),
        paragraph(
            f"{scores.scored.windows:,} test windows, none of which the model was trained on; they overlap and cover"
            f" about {scores.scored.independent:,.0f} horizons. Lower is better. Skill: share of the error of the best"
            " simple forecast that the model takes away. p: how often luck alone would make such a difference to this"
            " run's own model (Diebold-Mariano on blocks).",
            kind="faint",
        ),
        figure(steps_figure(scores.by_step, drawn, METRIC, title), alt=f"{title} by rows ahead", name=f"{name}-steps"),
        *_by_channel(run),
    ]
    return [*parts, *(paragraph(note, kind="faint") for note in scores.notes)]


def _by_channel(run: Reported) -> list[Html]:
    frame = run.scores.by_channel
    mine = frame[frame["model"] == run.scores.own].sort_values(METRIC, ascending=False)
    if len(mine) < 2:
        return []
    rows = [
        [str(one["channel"]), *(float(one[name]) for name in _SHOWN)] for _, one in mine.head(_MOST_CHANNELS).iterrows()
    ]
    return [heading("By channel, worst first", 3), table(["Channel", *(METRICS[name].title for name in _SHOWN)], rows)]


def coverage(run: Reported, *, level: int = 2) -> list[Html]:
    """What the bands promised on the test part and what they kept."""
    card = run.folder.coverage()
    if card is None:
        return []
    said = (card.made_of(DEFAULT_LEVELS[0]), *map(card.sentence, DEFAULT_LEVELS))
    return [heading("Bands: promised and kept", level), *map(paragraph, said)]


def twins(run: Reported, *, level: int = 2) -> list[Html]:
    """The run beside its twins without one part each, if there are any."""
    found = run.known.twins
    if found is None:
        return []
    words = {True: "yes", False: "no", None: ""}
    rows = [
        [row.title, row.mse, row.mae, _percent(row.change), _p(row.p_value), words[in_set(row)], row.seconds]
        for row in found.rows
    ]
    header = ["", "z-scored MSE", "z-scored MAE", "MSE to run", "p", "May be best", "Seconds"]
    sentences = (found.sentence, *found.notes)
    return [
        heading("Is the language model earning its cost?", level),
        *map(paragraph, sentences),
        table(header, rows, own=0),
    ]


def attention(run: Reported) -> list[Html]:
    """Which text prototypes the test part attends to most, for a run that has them."""
    config = run.config
    kept = (run.folder.path / "words.json").is_file()
    if not (kind_of(config.kind).attention and config.model.reprogramming != "linear" and kept):
        return []
    from timellm.explain.dictionary import prototype_dictionary

    found = prototype_dictionary(run.folder.path)
    top = found.matching("").head(_MOST_PROTOTYPES)
    rows = [
        [int(place), str(one["words"]), str(one["what"]), float(one["times_even"])]
        for place, one in zip(top.index, top.to_dict("records"), strict=True)
    ]
    sentence = "The prototypes that the windows of the test part attend to most:"
    return [
        heading("Attention"),
        *map(paragraph, found.sentences()),
        paragraph(sentence),
        table(["Prototype", "Words", "What it is", "Times an even share"], rows),
    ]


def data(run: Reported, *, name: str) -> list[Html]:
    """The table: its size, what was found in it, each channel, and how it was divided."""
    found, config = run.table, run.config
    values, index = found.values, found.values.index
    sizes = config.task.split_rows(len(values))
    begins = (0, sizes[0], sizes[0] + sizes[1])
    split = [(part, index[begin]) for part, begin in zip(("train", "validation", "test"), begins, strict=True)]
    missing = int(values.isna().to_numpy().sum())
    gaps = f"{missing:,} {'value is' if missing == 1 else 'values are'} missing"
    rows = [
        [
            str(channel),
            int(column.isna().sum()),
            *(float(number) for number in column.describe()[["min", "mean", "max", "std"]]),
        ]
        for channel, column in values.iloc[:, :_MOST_CHANNELS].items()
    ]
    more = len(values.columns) - _MOST_CHANNELS
    description = config.data.description
    return [
        heading("Data", new_page=True),
        paragraph(
            f"{table_title(Path(config.data.path))}: {len(values):,} rows of {len(values.columns):,} channels, one"
            f" every {found.frequency}, from {moment(index[0])} to {moment(index[-1])}. {gaps}."
        ),
        paragraph(description) if description else Html(""),
        *found_in(run),
        figure(
            overview_figure(values.iloc[:, :_MOST_SERIES], split), name=f"{name}-data",
            alt="The table, thinned for drawing; dotted lines part training, validation and test",
        ),
        table(["Channel", "Missing", "Lowest", "Mean", "Highest", "Deviation"], rows),
        paragraph(f"{more:,} more channels are not listed.", kind="faint") if more > 0 else Html(""),
    ]  # fmt: skip


def settings(run: Reported) -> list[Html]:
    """Settings that differ from the defaults, then all of them."""
    config = run.config
    changed = config.differences(RunConfig.create(config.data.path, kind=config.kind))
    rows = [
        [label(one, config.kind), setting_text(one, mine), setting_text(one, usual)]
        for one, (mine, usual) in changed.items()
        if one not in ("path", "description")
    ]
    everything = [
        [label(one, config.kind), setting_text(one, value)]
        for one, value in config.settings().items()
        if one != "description"
    ]
    parts = [heading("Settings")]
    if rows:
        parts.append(table(["Differs from the default", "This run", "Default"], rows))
    else:
        parts.append(paragraph("Every setting is at its default."))
    return [*parts, heading("All settings", 3), table(["Setting", "Value"], everything)]


def training(run: Reported, *, name: str, level: int = 2) -> list[Html]:
    """The losses of a training."""
    if run.known.curve.empty:
        return []
    drawn = curve_figure(run.known.curve)
    return [heading("Training", level), figure(drawn, alt="Losses by optimiser step", name=f"{name}-curve")]


def making(run: Reported, *, level: int = 2) -> list[Html]:
    """When, where and in what time the run was made."""
    kept = (run.folder.path / SUMMARY).is_file()  # not of a run that was stopped before its end
    summary, known = run.folder.summary() if kept else {}, run.known
    config, rows = run.config, []
    rows.append(["Forecaster", kind_of(config.kind).title])
    if isinstance(config.forecaster, TimeLLMConfig):
        rows.append(["Backbone", setting_text("backbone", config.forecaster.backbone)])
    times = {"Started": known.started, "Ended": known.ended}
    rows += [[what, f"{moment:%Y-%m-%d %H:%M} UTC"] for what, moment in times.items() if moment is not None]
    if known.machine:
        rows.append(["Machine", known.machine])
    seconds = {"seconds": "Whole run", "evaluation_seconds": "Scoring", "intervals_seconds": "Intervals"}
    rows += [[what, f"{summary[key]:,.1f} s"] for key, what in seconds.items() if isinstance(summary.get(key), float)]
    if isinstance(memory := summary.get("memory_mib"), float) and math.isfinite(memory):
        rows.append(["Peak memory", f"{memory * 1.048576:,.0f} MB"])
    if config.training is not None:
        rows += [["Seed", str(config.training.seed)], ["Steps", f"{summary.get('steps', config.training.steps):,}"]]
    rows += [["Processes", summary.get("processes", 1)], ["Folder", run.folder.path.name]]
    if known.tags or known.note:
        rows.append(["Tags and note", ", ".join([*known.tags, known.note]).strip(", ")])
    notes = summary.get("notes") or []
    parts = [heading("How it was made", level), table(["What", "Value"], [[str(a), str(b)] for a, b in rows])]
    return [*parts, *(paragraph(str(note), kind="faint") for note in notes)]


def _percent(share: float | None) -> str:
    return "" if share is None or not math.isfinite(share) else f"{share:+z.1%}"


def _p(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.2g}"


def setting_text(name: str, value: object) -> str:
    """A setting as text; of a file or a backbone's folder the name alone, because a path says where a user works."""
    if name in ("path", "known_file") and value:
        return table_title(Path(str(value)))
    if name == "pretrain" and isinstance(value, list | tuple) and value:
        return ", ".join(table_title(Path(str(one))) for one in value)
    if name == "start_from" and value:
        return Path(str(value)).name
    if name == "backbone" and Path(str(value)).is_absolute():
        return Path(str(value)).name
    if value is None or value in ((), [], ""):
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def same_windows(runs: list[Reported]) -> bool:
    """Whether all runs were scored on the same windows, so that their errors can be compared."""
    sets = {run.scores.scored.window_set for run in runs}
    return len(sets) == 1 and "" not in sets


def future_of(run: Reported, channel: str) -> pd.Series:
    """The forecast of one channel beyond the data."""
    future = run.folder.future()
    return future[future["unique_id"] == channel].set_index("ds")["yhat"]
