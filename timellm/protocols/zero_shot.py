"""Zero-shot forecasting as in the Time-LLM paper: trained on one set, scored on another one without any training.

Each cell is a pair of sets, a horizon, a model and a seed. The run is that of the first set; measuring scores it on the
second one (timellm.forecasting.transfer), beside that set's own simple rules and ridge. Errors are on values z-scored
by the second set's training rows, over every test window. Maps by channel belong to one set, so maps are shared.

Where two sets have other steps between rows, the finer one is averaged to the coarser one's step, or each is read as it
is, as published.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pandas.tseries.frequencies import to_offset

from timellm.config import RunConfig
from timellm.errors import CheckpointError, ConfigError
from timellm.protocols.grid import HORIZONS, SEEDS
from timellm.protocols.models import DECIDED, MODELS, check_settings, configure, seeds_of
from timellm.protocols.protocol import Asked, Cell, Measured, MissingFile, Option, Plan, Protocol, ResultTable
from timellm.protocols.result_rows import places_of, rows_of
from timellm.protocols.sets import KnownSet, find_set, set_note

_PUBLISHED = (
    "ETTh1-ETTh2", "ETTh1-ETTm2", "ETTh2-ETTh1", "ETTh2-ETTm2", "ETTm1-ETTh2", "ETTm1-ETTm2", "ETTm2-ETTh2",
    "ETTm2-ETTm1",
)  # fmt: skip
_SAME_STATION = ("ETTh1-ETTm1", "ETTm1-ETTh1")
PAIRS = Option(
    "pairs", "set trained on and set scored on", _PUBLISHED, (*_PUBLISHED, *_SAME_STATION), key=("set", "target")
)
STEP = Option("step", "where steps differ: the coarser one for both, or each its own (as published)", ("coarser",),
              ("coarser", "own"), several=False, key=("step",))  # fmt: skip
_SAME_NOTE = (
    "ETTh1 and ETTm1 are the same measurements: a row of ETTh1 is the row of ETTm1 at the full hour. From one to the"
    " other is no transfer to an unseen series."
)
MODELS_ASKED = Option("models", "forecasters", ("ridge", "time_llm", "dlinear"), MODELS, key=("model",))
_ERRORS = {"mse": "mse_scaled", "mae": "mae_scaled"}
_READS = (
    "Learned on the first set; MSE and MAE are on the second one, z-scored by its training rows, over every test"
    " window.",
    "ridge there: a ridge fitted to the second set, which sees its training rows. Simple rule there: the best of its"
    " simple rules by the error shown.",
    "±: the sample standard deviation over seeds.",
)


_DECIDED = (*DECIDED, "split", "repair")
"""Settings that pair, step, horizon and seed of a cell stand for."""


def plan(asked: Asked) -> Plan:
    """The runs of the pairs whose two files are there.

    Raises:
        ConfigError: no model has a setting, an option decides it, or a horizon is none of a set's.
    """
    check_settings(asked.of(MODELS_ASKED), asked.settings, decided=_DECIDED)
    cells: list[Cell] = []
    missing: dict[str, MissingFile] = {}
    notes: dict[str, None] = {}
    there: dict[str, None] = {}
    for pair in asked.of(PAIRS):
        sets = [find_set(name) for name in pair.split("-")]
        found = [one.find(asked.data) for one in sets]
        gone = [one for one in found if isinstance(one, MissingFile)]
        missing |= {one.name: one for one in gone}
        there |= {one.name: None for one in found if isinstance(one, Path)}
        if gone:
            continue
        notes |= dict.fromkeys(filter(None, map(set_note, sets)))
        cells += _cells(sets[0], sets[1], asked)
    cells.sort(key=lambda cell: int(cell.key["seed"]))
    return Plan(tuple(cells), tuple(missing.values()), tuple(notes), tuple(there))


def _cells(source: KnownSet, target: KnownSet, asked: Asked) -> Iterator[Cell]:
    (step,), path = asked.of(STEP), source.find(asked.data)
    rows = source.rows // max(1, _finer(source, target)) if step == "coarser" else source.rows
    horizons = asked.numbers(HORIZONS) or source.horizons
    if unknown := [one for one in horizons if one not in source.horizons]:
        raise ConfigError(
            f"--horizons: {source.name} has no {unknown[0]}; it has {', '.join(map(str, source.horizons))}"
        )
    for horizon in horizons:
        settings = {"context": source.context, "horizon": horizon, **table_settings(source, target, step=step)}
        for model in asked.of(MODELS_ASKED):
            for seed in seeds_of(model, asked.numbers(SEEDS)):
                key = _key(source, target, step, horizon) | {"model": model, "seed": seed}
                config = configure(str(path), model, seed=seed, settings=settings, further=asked.settings)
                title = f"{source.name} to {target.name} {horizon}: {model}, seed {seed}"
                yield Cell(key, _with_shared_maps(config), title, (rows, source.channels))


def _key(source: KnownSet, target: KnownSet, step: str, horizon: int) -> dict[str, str | int]:
    return {"set": source.name, "target": target.name, "step": step, "horizon": horizon}


def table_settings(one: KnownSet, other: KnownSet, *, step: str) -> dict[str, Any]:
    """How a set is read and divided beside another one."""
    found: dict[str, Any] = {"split": one.split, "description": one.description, **(one.settings or {})}
    if step == "coarser" and (times := _finer(one, other)) > 1:
        found["repair"] = (*found.get("repair", ()), f"resample:{other.frequency}:mean")
        found["split"] = "/".join(str(int(part) // times) for part in one.split.split("/"))
    return found


def _finer(one: KnownSet, other: KnownSet) -> int:
    """How many rows of a set lie in one row of the other; 0 where it is the coarser one.

    Raises:
        ConfigError: a row of one is no whole number of the other's.
    """
    mine, theirs = (to_offset(each.frequency).nanos for each in (one, other))
    if theirs < mine:
        return 0
    if theirs % mine:
        raise ConfigError(f"a row of {other.name} is no whole number of rows of {one.name}; give --step own")
    return theirs // mine


def _with_shared_maps(config: RunConfig) -> RunConfig:
    has_maps = "linear_maps" in type(config.forecaster).model_fields
    return config.updated(linear_maps="shared", linear_others="none") if has_maps else config


def measure(cell: Cell, folder: Path) -> Mapping[str, Any]:
    """The errors of the run on the second set, with those of what is fitted there.

    Raises:
        CheckpointError: the run's folder is damaged, or the second set's file is gone.
    """
    from timellm.forecasting.transfer import config_elsewhere, score_elsewhere

    source, target = find_set(str(cell.key["set"])), find_set(str(cell.key["target"]))
    path = target.find(Path(cell.config.data.path).parent)
    if isinstance(path, MissingFile):
        raise CheckpointError(f"{path}; put it back beside {cell.config.data.path}")
    settings = table_settings(target, source, step=str(cell.key["step"]))
    with tempfile.TemporaryDirectory(prefix="timellm-") as scored_in:
        found = score_elsewhere(folder, config_elsewhere(folder, path, settings), Path(scored_in))
    assert found is not None, "nobody stops it"
    scores = found.scores
    rules = [name for name in scores.models if name not in (scores.own, "Ridge")]
    numbers: dict[str, Any] = {"context": cell.config.task.context}
    for name, metric in _ERRORS.items():
        numbers[name] = scores.error(scores.own, metric)
        numbers[f"{name}_ridge"] = scores.error("Ridge", metric) if "Ridge" in scores.models else None
        numbers[f"{name}_rule"] = float(np.nanmin([scores.error(rule, metric) for rule in rules]))
    numbers["windows"] = scores.scored.windows
    numbers["window_set"] = scores.scored.window_set
    numbers["verdict"] = found.verdict("mse").sentence()
    numbers["notes"] = list(found.notes)
    return numbers


def table(measured: Sequence[Measured]) -> ResultTable:
    """A row for each pair, horizon and model."""
    header = ("trained on", "scored on", "step", "context", "horizon", "model", "seeds", "MSE", "MAE",
              "MSE, ridge there", "MSE, simple rule there", "windows", "s", "MiB")  # fmt: skip
    order = list(PAIRS.choices)
    places = sorted(
        measured,
        key=lambda one: (
            order.index(f"{one.key['set']}-{one.key['target']}"), int(one.key["horizon"]),
            MODELS.index(str(one.key["model"])), int(one.key["seed"]),
        ),
    )  # fmt: skip
    rows, said = [], dict[str, None]()
    for row in rows_of(places):
        key, numbers = row.first.key, row.first.numbers
        further = "".join(f", {name}={value}" for name, value in row.first.settings.items())
        names = (str(key["set"]), str(key["target"]), str(key["step"]), str(numbers["context"]), str(key["horizon"]))
        shown = tuple(row.shown(name) for name in ("mse", "mae", "mse_ridge", "mse_rule"))
        counts = (f"{numbers['windows']:,}", row.seconds, row.memory)
        rows.append((*names, f"{key['model']}{further}", str(len(row.cells)), *shown, *counts))
        task = f"{key['set']} to {key['target']} {key['horizon']}, {key['model']}{further}"
        said |= {f"{task}: {note}": None for cell in row.cells for note in cell.numbers["notes"]}
    pairs = {f"{one.key['set']}-{one.key['target']}" for one in measured}
    if pairs & set(_SAME_STATION):
        said[_SAME_NOTE] = None
    return ResultTable(header, tuple(rows), (*_READS, *said, *places_of(measured)))


ZERO_SHOT = Protocol(
    "zero-shot",
    "Zero-shot forecasting",
    "Errors on a set that a model was not trained on, beside a ridge that was (Time-LLM, section 4.4).",
    (PAIRS, HORIZONS, MODELS_ASKED, SEEDS, STEP),
    plan,
    measure,
    table,
)
