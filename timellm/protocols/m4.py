"""The M4 competition: many short series without a shared time axis, the last values of each held out.

A cell is a set (all series of one step), a model and a seed. One model learns from all series of a set. Each series has
one test window, its held-out values, and its validation window is as long and stands just before. SMAPE, MASE and OWA
are those of the competition: by series, then the mean over series (timellm.evaluation.by_series).

The dates of the rows are made up (timellm.protocols.m4_table), so no model may be told of the calendar.

Shapes: N series, H horizon, W windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from timellm.config import RidgeConfig, RunConfig, TimeLLMConfig
from timellm.errors import CheckpointError, ConfigError, DataError
from timellm.evaluation.by_series import SeriesErrors
from timellm.protocols.m4_rows import HEADER, papers, rows_of_sets, rows_of_whole, sentences
from timellm.protocols.m4_sets import M4_SETS, M4Set
from timellm.protocols.m4_table import M4Reference, lay_out
from timellm.protocols.models import DECIDED, MODELS, check_settings, configure, seeds_of, settings_of
from timellm.protocols.protocol import Asked, Cell, Measured, MissingFile, Option, Plan, Protocol, ResultTable
from timellm.protocols.result_rows import places_of, rows_of
from timellm.workspace import workspace

_MODELS = tuple(name for name in MODELS if name != "linear_path")  # it may choose the calendar
SETS = Option("sets", "sets of the competition", tuple(M4_SETS), tuple(M4_SETS), key=("set",))
MODELS_ASKED = Option("models", "forecasters", ("ridge", "theta", "dlinear", "time_llm"), _MODELS, key=("model",))
SEEDS = Option("seeds", "seeds of models that are trained", ("0",))
_READ_AS: dict[str, Any] = {
    "time_column": "ds", "layout": "wide", "decimal": "point", "missing_codes": "none", "header": "yes",
}  # fmt: skip
_DECIDED = (*DECIDED, *_READ_AS, "split", "frequency", "repair")
"""Settings that the official files, the set and the seed of a cell stand for."""
_PATCH, _AVERAGE = 16, 25
"""Rows of the usual patch and of the usual trend average."""
_ENOUGH_S = 1_000_000.0
"""Every series is forecast, whatever time that takes."""
_NAMED = 10
"""Series that are named where they have no forecast; the others are counted."""


def plan(asked: Asked) -> Plan:
    """The runs of the sets whose files are there.

    Raises:
        ConfigError: a setting is not allowed.
        DataError: a file cannot be used, or its table cannot be written.
    """
    models = asked.of(MODELS_ASKED)
    check_settings(models, asked.settings, decided=_DECIDED)
    cells: list[Cell] = []
    missing: list[MissingFile] = []
    notes: list[str] = []
    there: list[str] = []
    for one in (M4_SETS[name] for name in asked.of(SETS)):
        files = one.find(asked.data)
        there += one.there(asked.data)
        if isinstance(files, tuple):
            missing += files
            continue
        if files.naive2 is None:
            missing.append(one.missing_naive2)
        try:
            path, reference = lay_out(one, files)
        except OSError as error:
            raise DataError(
                f"M4 {one.name} cannot be laid out as a table ({error}); its files must be readable, and"
                f" {workspace().root} writable (TIMELLM_HOME names another place)"
            ) from error
        notes += _notes(one, reference)
        cells += [
            _cell(one, path, asked, rows=reference.rows, key={"set": one.name, "model": model, "seed": seed})
            for model in models
            for seed in seeds_of(model, asked.numbers(SEEDS))
        ]
    # All models have one seed before any has two.
    cells.sort(key=lambda cell: int(cell.key["seed"]))
    return Plan(tuple(cells), tuple(dict.fromkeys(missing)), tuple(notes), tuple(dict.fromkeys(there)))


def _notes(one: M4Set, reference: M4Reference) -> list[str]:
    """What was not taken of a set's files."""
    notes = []
    if reference.left_out:
        name, reason = next(iter(reference.left_out.items()))
        notes.append(f"{one.name}: {len(reference.left_out):,} series are left out, such as {name}: {reason}")
    if reference.rows_left_out:
        notes.append(
            f"{one.name}: models learn from the last {reference.rows - one.horizon:,} training values of each series;"
            f" the longest one has {reference.rows_left_out:,} more. MASE and Naive2 rest on all of them."
        )
    return notes


def _cell(one: M4Set, path: Path, asked: Asked, *, rows: int, key: dict[str, str | int]) -> Cell:
    model = str(key["model"])
    settings = _READ_AS | {
        "frequency": one.step,
        "context": one.context,
        "horizon": one.horizon,
        "split": f"{rows - 2 * one.horizon}/{one.horizon}/{one.horizon}",
        "description": one.description,
    }
    context = configure(str(path), "naive", seed=0, settings=settings, further=asked.settings).task.context
    settings |= _settings_for(settings_of(model)["kind"], one, context=context)
    config = configure(str(path), model, seed=int(key["seed"]), settings=settings, further=asked.settings)
    _check_calendar_is_off(config)
    return Cell(key, config, f"M4 {one.name}: {model}, seed {key['seed']}")


def _settings_for(kind: str, one: M4Set, *, context: int) -> dict[str, Any]:
    """What a kind needs on such series; a short context has no room for the usual patches and averages."""
    found: dict[str, Any] = {}
    if kind in ("ets", "theta"):
        found |= {"season": one.season, "budget_s": _ENOUGH_S}
    if kind in ("time_llm", "patchtst") and context < _PATCH:
        found |= {"patch_length": context // 2, "stride": context // 4}
    if kind in ("dlinear", "autoformer") and context < _AVERAGE:
        found |= {"moving_average": context - (context % 2 == 0)}
    if kind == "time_llm":
        found |= {"linear_features": "plain"}
    return found


def _check_calendar_is_off(config: RunConfig) -> None:
    """Refuse what would take the made-up dates of the rows for true.

    Raises:
        ConfigError: a setting does.
    """
    forecaster, wrong = config.forecaster, None
    if isinstance(forecaster, RidgeConfig | TimeLLMConfig) and forecaster.linear_features in ("calendar", "auto"):
        wrong = f"linear_features={forecaster.linear_features}"
    elif isinstance(forecaster, TimeLLMConfig) and forecaster.tells_time:
        wrong = "words on the calendar, on holidays or on days in the prompt"
    elif config.task.closed_weekdays:
        wrong = f"closed_weekdays={config.task.closed_weekdays}"
    if wrong is not None:
        raise ConfigError(
            f"{wrong} would read the dates of the rows, and those of the M4 series are made up; leave it out"
        )


def measure(cell: Cell, folder: Path) -> Mapping[str, Any]:
    """SMAPE, MASE and OWA of the run's own model, and of the reference forecasts on the same series."""
    from timellm.forecasting.artifacts import RunFolder  # loads torch, which a list of protocols does not need

    run = RunFolder(folder)
    prepared, reference = run.prepared(), M4Reference.read(Path(cell.config.data.path))
    if prepared.table.channels != reference.series:
        raise CheckpointError(f"{folder.name} learned from other series than {cell.config.data.path}; start it again")
    index, forecast_WH = run.test_windows(prepared)
    horizon = prepared.horizon
    forecast_NH = np.full((len(reference.series), horizon), np.nan)
    forecast_NH[index.channel] = forecast_WH
    actual_NH = prepared.table.values.to_numpy(np.float64)[-horizon:].T
    own = SeriesErrors.of(actual_NH, forecast_NH, naive_error_N=reference.naive_error_N)
    without = [name for name, has in zip(reference.series, own.defined_N, strict=True) if not has]
    rules = {name: errors.only(own.defined_N) for name, errors in reference.rules.items()}
    naive2 = reference.naive2.only(own.defined_N)
    return {
        "context": prepared.context,
        "horizon": horizon,
        "adds_nothing": bool(run.summary().get("adds_nothing", False)),
        "series": int(own.defined_N.sum()),
        "without": without[:_NAMED],
        "series_without": len(without) + len(reference.left_out),
        "smape": _number(own.only(own.defined_N).smape),
        "mase": _number(own.only(own.defined_N).mase),
        "owa": _number(own.owa(naive2)),
        "naive2_smape": _number(naive2.smape),
        "naive2_mase": _number(naive2.mase),
        "rules": {
            name: {"smape": _number(one.smape), "mase": _number(one.mase), "owa": _number(one.owa(naive2))}
            for name, one in rules.items()
        },
    }


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return value if np.isfinite(value) else None


def table(measured: Sequence[Measured]) -> ResultTable:
    """A row for each set and model, then for each model that forecast several sets; reference forecasts first."""
    models = list(MODELS)
    ordered = sorted(
        measured,
        key=lambda one: (
            list(M4_SETS).index(str(one.key["set"])), models.index(str(one.key["model"])), int(one.key["seed"]),
        ),
    )  # fmt: skip
    rows = rows_of(ordered)
    return ResultTable(
        HEADER,
        (*rows_of_sets(rows), *rows_of_whole(rows)),
        (*_READ, *papers(), *sentences(rows), *places_of(measured)),
    )


_READ = (
    "SMAPE in percent and MASE: of each series over its held-out values, then the mean over series. OWA: the mean of"
    " their ratios to those of Naive2. Lower is better.",
    "MASE has the competition's seasons: 24 hours, 4 quarters, 12 months, and none for the other sets.",
    "One model learns from all series of a set, but for the rules, AutoETS and AutoTheta, which look at one series.",
    "±: the sample standard deviation over seeds. Seconds and MiB are those of the whole run with its scoring.",
)
M4 = Protocol(
    "m4",
    "M4 competition",
    "SMAPE, MASE and OWA on the series of the M4 competition, each forecast once (Makridakis et al. 2020).",
    (SETS, MODELS_ASKED, SEEDS),
    plan,
    measure,
    table,
)
