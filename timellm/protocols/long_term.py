"""Long-term forecasting as in the Time-LLM paper and those before it: sets, horizons and a long context.

Each cell is a set, a horizon, a mode, a model and a seed. Errors are on values z-scored by the training rows. Modes: M
learns from and scores all channels, S the target alone, MS learns from all and scores the target. Forecasters here
treat channels alike and one by one, so the run of MS is that of M, and its errors are those of the target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from timellm.errors import ConfigError
from timellm.protocols.errors_of_run import CUTOFFS_A_BATCH, errors_of_run
from timellm.protocols.models import MODELS, check_settings, configure, seeds_of
from timellm.protocols.protocol import Asked, Cell, Measured, MissingFile, Option, Plan, Protocol, ResultTable
from timellm.protocols.result_rows import Row, places_of, rows_of
from timellm.protocols.sets import KnownSet, find_set, known_sets

SETS = Option("sets", "published sets", tuple(known_sets()), tuple(known_sets()))
HORIZONS = Option("horizons", "rows to forecast, of those that papers report of a set", usual=())
MODELS_ASKED = Option("models", "forecasters", ("ridge", "time_llm", "published", "dlinear", "patchtst"), MODELS)
SEEDS = Option("seeds", "seeds of models that are trained", ("0",))
MODE = Option("mode", "channels: all (M), the target alone (S), all in and one out (MS)", ("M",), ("M", "S", "MS"),
              several=False)  # fmt: skip


def plan(asked: Asked) -> Plan:
    """The runs of the sets whose files are there."""
    (mode,) = asked.of(MODE)
    models, sets = asked.of(MODELS_ASKED), [find_set(name) for name in asked.of(SETS)]
    check_settings(models, asked.settings)
    horizons = _horizons(sets, asked.numbers(HORIZONS))
    cells, missing, notes = [], [], []
    for one in sets:
        path = one.find(asked.data)
        if isinstance(path, MissingFile):
            missing.append(path)
            continue
        if one.note:
            notes.append(f"{one.name}: {one.note}")
        cells += [
            _cell(
                one, path, asked, key={"set": one.name, "horizon": horizon, "mode": mode, "model": model, "seed": seed}
            )
            for horizon in one.horizons
            if horizon in horizons
            for model in models
            for seed in seeds_of(model, asked.numbers(SEEDS))
        ]
    # All models have one seed before any has two.
    return Plan(tuple(sorted(cells, key=lambda cell: int(cell.key["seed"]))), tuple(missing), tuple(notes))


def _horizons(sets: Sequence[KnownSet], asked: Sequence[int]) -> tuple[int, ...]:
    """The horizons to run.

    Raises:
        ConfigError: papers report none of the sets at one of them.
    """
    known = tuple(dict.fromkeys(horizon for one in sets for horizon in one.horizons))
    if unknown := [horizon for horizon in asked if horizon not in known]:
        raise ConfigError(f"--horizons: no chosen set has {unknown[0]}; they have {', '.join(map(str, known))}")
    return tuple(asked) or known


def _cell(one: KnownSet, path: Path, asked: Asked, *, key: dict[str, str | int]) -> Cell:
    settings: dict[str, Any] = {
        "context": one.context,
        "horizon": key["horizon"],
        "split": one.split,
        "description": one.description,
    }
    settings |= one.settings or {}
    settings |= {"channels": [one.target]} if key["mode"] == "S" else {}
    config = configure(str(path), str(key["model"]), seed=int(key["seed"]), settings=settings, further=asked.settings)
    alone = ", target alone" if key["mode"] == "S" else ""
    return Cell(key, config, f"{one.name} {key['horizon']}{alone}: {key['model']}, seed {key['seed']}")


def measure(cell: Cell, folder: Path) -> Mapping[str, Any]:
    """The errors of the run's own model: of all channels, or in mode MS of the target alone."""
    target = find_set(str(cell.key["set"])).target if cell.key["mode"] == "MS" else None
    return {"context": cell.config.task.context} | errors_of_run(folder, channel=target)


def table(measured: Sequence[Measured]) -> ResultTable:
    """A row for each set, horizon, mode and model."""
    header = ("set", "mode", "context", "horizon", "model", "seeds", "MSE", "MAE", "windows", "MSE (batches)",
              "MAE (batches)", "windows (batches)", "s", "MiB")  # fmt: skip
    ordered = sorted(measured, key=_place)
    return ResultTable(header, tuple(map(_row, rows_of(ordered))), (*_READ, *places_of(measured)))


def _row(row: Row) -> tuple[str, ...]:
    key, numbers = row.first.key, row.first.numbers
    further = "".join(f", {name}={value}" for name, value in row.first.settings.items())
    named = (
        str(key["set"]),
        str(key["mode"]),
        str(numbers["context"]),
        str(key["horizon"]),
        f"{key['model']}{further}",
    )
    whole = (row.shown("mse"), row.shown("mae"), f"{numbers['windows']:,}")
    batches = (row.shown("mse_batches"), row.shown("mae_batches"), f"{numbers['windows_batches']:,}")
    return (*named, str(len(row.cells)), *whole, *batches, row.seconds, row.memory)


def _place(one: Measured) -> tuple[int, str, int, int, int]:
    """Where a cell stands: in the order of sets, modes, horizons, models and seeds."""
    key = one.key
    names, models = list(known_sets()), list(MODELS)
    return (
        names.index(str(key["set"])), str(key["mode"]), int(key["horizon"]), models.index(str(key["model"])),
        int(key["seed"]),
    )  # fmt: skip


_READ = (
    "Errors are on values z-scored by the training rows. MSE and MAE count every test window.",
    f"(batches): without the last cut-offs that fill no batch of {CUTOFFS_A_BATCH}, which the published loaders drop; "
    "from the same forecasts.",
    "±: the sample standard deviation over seeds.",
)
LONG_TERM = Protocol(
    "long-term",
    "Long-term forecasting",
    "Errors at four horizons on nine published sets, each model on every test window.",
    (SETS, HORIZONS, MODELS_ASKED, SEEDS, MODE),
    plan,
    measure,
    table,
)
