"""Cells of the grid that most protocols span: sets, horizons, models and seeds.

Inputs: what the user asked, and the variants of a protocol, such as shares of the training part. Outputs: a `Plan`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timellm.config import RunConfig
from timellm.errors import ConfigError
from timellm.protocols.models import DECIDED, MODELS, check_settings, configure, seeds_of
from timellm.protocols.protocol import Asked, Cell, MissingFile, Option, Plan
from timellm.protocols.sets import KnownSet, find_set, known_sets, set_note

SETS = Option("sets", "published sets", tuple(known_sets()), tuple(known_sets()), key=("set",))
HORIZONS = Option("horizons", "rows to forecast, of those that papers report of a set", usual=(), key=("horizon",))
MODELS_ASKED = Option(
    "models", "forecasters", ("ridge", "time_llm", "published", "dlinear", "patchtst"), MODELS, key=("model",)
)
SEEDS = Option("seeds", "seeds of models that are trained", ("0",))


class TooShortError(ConfigError):
    """A part of a set holds no window in this variant; the other cells are run all the same."""


@dataclass(frozen=True)
class Variant:
    """One way in which the same grid is run."""

    key: Mapping[str, str | int]
    """What tells its cells from those of another variant."""
    words: str
    """In the name of its runs; empty for the usual one."""
    change: Callable[[KnownSet, RunConfig], RunConfig]
    """What it changes of a run; raises TooShortError, with the reason, where a set cannot be run so."""


def plan_grid(asked: Asked, variants: Sequence[Variant]) -> Plan:
    """The runs of the sets whose files are there.

    Raises:
        ConfigError: no model has a setting, its value is not allowed or an option decides it, or no set has a horizon.
    """
    models, sets = asked.of(MODELS_ASKED), [find_set(name) for name in asked.of(SETS)]
    check_settings(models, asked.settings, decided=DECIDED)
    horizons = _horizons(sets, asked.numbers(HORIZONS))
    cells: list[Cell] = []
    missing: list[MissingFile] = []
    notes: list[str] = []
    there: list[str] = []
    for one in sets:
        path = one.find(asked.data)
        if isinstance(path, MissingFile):
            missing.append(path)
            continue
        there.append(path.name)
        notes += filter(None, [set_note(one)])
        tasks = [(variant, horizon) for variant in variants for horizon in one.horizons if horizon in horizons]
        for variant, horizon in tasks:
            try:
                cells += _cells(one, path, asked, variant=variant, horizon=horizon)
            except TooShortError as error:
                notes.append(f"{one.name} {horizon}{variant.words} is not run: {error}.")
    # All models have one seed before any has two.
    cells.sort(key=lambda cell: int(cell.key["seed"]))
    return Plan(tuple(cells), tuple(missing), tuple(notes), tuple(there))


def _cells(one: KnownSet, path: Path, asked: Asked, *, variant: Variant, horizon: int) -> list[Cell]:
    settings = {"context": one.context, "horizon": horizon, "split": one.split, "description": one.description}
    found = []
    for model in asked.of(MODELS_ASKED):
        for seed in seeds_of(model, asked.numbers(SEEDS)):
            key = {"set": one.name, "horizon": horizon, **variant.key, "model": model, "seed": seed}
            all_settings: dict[str, Any] = {**settings, **(one.settings or {})}
            config = configure(str(path), model, seed=seed, settings=all_settings, further=asked.settings)
            title = f"{one.name} {horizon}{variant.words}: {model}, seed {seed}"
            found.append(Cell(key, variant.change(one, config), title, (one.rows, one.channels)))
    return found


def _horizons(sets: Sequence[KnownSet], asked: Sequence[int]) -> tuple[int, ...]:
    """The horizons to run.

    Raises:
        ConfigError: papers report none of the sets at one of them.
    """
    known = tuple(dict.fromkeys(horizon for one in sets for horizon in one.horizons))
    if unknown := [horizon for horizon in asked if horizon not in known]:
        raise ConfigError(f"--horizons: no chosen set has {unknown[0]}; they have {', '.join(map(str, known))}")
    return tuple(asked) or known
