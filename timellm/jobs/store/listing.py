"""Every run as one row of a table, with only the columns that a list of thousands shows.

Inputs: the store's database. Outputs: `Listed` rows, and those of them that match a search, in the order asked for.
One statement reads them all; curves, events, errors and files stay where they are. A thousand rows are sought in less
time than it takes to draw them, so the search is done here and not in two dialects of SQL.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from timellm.config.upgrade import upgrade
from timellm.data.uploads import table_title
from timellm.errors import ConfigError
from timellm.forecasters.registry import kind_of
from timellm.jobs.store.database import Database
from timellm.jobs.store.run import ACTIVE, CauseKind, State
from timellm.jobs.store.schema import runs
from timellm.json_text import parse_json
from timellm.training.progress import Phase

Order = Literal["newest", "oldest", "validation", "skill", "name"]
_COLUMNS = (
    "id", "name", "state", "stop_requested", "cause", "phase", "fraction", "eta_s", "best_validation_loss", "summary",
    "config", "tags", "note", "created", "started",
)  # fmt: skip


@dataclass(frozen=True)
class Listed:
    """A run as a list shows it; `timellm.jobs.store.run.Run` says what the fields mean."""

    id: str
    name: str
    state: State
    stop_requested: bool
    cause: CauseKind | None
    phase: Phase | None
    fraction: float
    eta_s: float | None
    best_validation_loss: float | None
    skill: float | None
    table: str
    """The table's name; empty where the settings cannot be read, as for the next three."""
    forecaster: str
    """The kind's title."""
    backbone: str
    """Empty also where the forecaster has none, as for the next one."""
    quantization: str
    pretrains: bool
    """Whether it trains on other tables first."""
    tags: tuple[str, ...]
    note: str
    created: datetime
    started: datetime | None

    @property
    def active(self) -> bool:
        """Whether the run still waits or works."""
        return self.state in ACTIVE


@dataclass(frozen=True)
class Search:
    """A search. A run matches a choice if it has any of its values; an empty choice matches every run."""

    text: str = ""
    """Every word of it stands somewhere in name, tags, note, table, forecaster, backbone or id; upper or lower case."""
    states: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    backbones: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    order: Order = "newest"

    @property
    def leaves_out(self) -> bool:
        """Whether it can exclude a run."""
        return bool(self.text.split() or self.states or self.tags or self.backbones or self.tables)


def list_runs(database: Database) -> tuple[Listed, ...]:
    """Every run, newest first.

    Raises:
        JobError: the store cannot be read.
    """
    query = sa.select(*(runs.c[name] for name in _COLUMNS)).order_by(runs.c.created.desc(), runs.c.id.desc())
    with database.reading() as connection:
        rows = connection.execute(query).all()
    return tuple(_listed(*row) for row in rows)


def found(listed: Iterable[Listed], search: Search) -> tuple[Listed, ...]:
    """The runs that are looked for, in the order asked for; of `listed`, newest first, equals keep their order."""
    words = search.text.casefold().split()
    kept = [
        run
        for run in listed
        if (not search.states or run.state in search.states)
        and (not search.tags or not set(search.tags).isdisjoint(run.tags))
        and (not search.backbones or run.backbone in search.backbones)
        and (not search.tables or run.table in search.tables)
        and (not words or _holds(run, words))
    ]
    return tuple(_ORDERS[search.order](kept))


def _holds(run: Listed, words: list[str]) -> bool:
    text = "\n".join((run.name, *run.tags, run.note, run.table, run.forecaster, run.backbone, run.id)).casefold()
    return all(word in text for word in words)


def _by(value: Callable[[Listed], float | None]) -> Callable[[list[Listed]], list[Listed]]:
    """Lowest value first; runs without one last."""
    return lambda kept: sorted(kept, key=lambda run: (value(run) is None, value(run) or 0.0))


_ORDERS: dict[Order, Callable[[list[Listed]], list[Listed]]] = {
    "newest": lambda kept: kept,
    "oldest": lambda kept: kept[::-1],
    "validation": _by(lambda run: run.best_validation_loss),
    "skill": _by(lambda run: None if run.skill is None else -run.skill),
    "name": lambda kept: sorted(kept, key=lambda run: run.name.casefold()),
}


def _listed(*row: Any) -> Listed:
    values = dict(zip(_COLUMNS, row, strict=True))
    table, forecaster, backbone, quantization, pretrains = _settings(values.pop("config"))
    values["tags"] = tuple(values["tags"].split("\n")) if values["tags"] else ()
    skill = _skill(values.pop("summary"))
    return Listed(
        **values, skill=skill, table=table, forecaster=forecaster, backbone=backbone, quantization=quantization,
        pretrains=pretrains,
    )  # fmt: skip


@lru_cache(maxsize=16_384)
def _skill(summary: str) -> float | None:
    """How much better than the baseline; None where it is not known, or where the row is damaged."""
    try:
        skill = parse_json(summary, constants=True)["skill"]
    except (ValueError, KeyError, TypeError):
        return None
    return float(skill) if isinstance(skill, int | float) and math.isfinite(skill) else None


@lru_cache(maxsize=16_384)  # a list is read again every few seconds, and the settings in it hardly ever change
def _settings(config: str) -> tuple[str, str, str, str, bool]:
    """Table, forecaster, backbone, quantization, and whether it pre-trains.

    They are not validated, because a list may hold runs of other versions.
    """
    try:
        tree = upgrade(parse_json(config))
        forecaster = tree["forecaster"]
        table, title = table_title(Path(tree["data"]["path"])), kind_of(forecaster["kind"]).title
        backbone = Path(forecaster.get("backbone", ""))
        name = backbone.name if backbone.is_absolute() else str(backbone)  # a hub id keeps its owner
        pretrains = bool((tree.get("training") or {}).get("pretrain"))
        quantization = str(forecaster.get("quantization", ""))
        return table, title, name if "backbone" in forecaster else "", quantization, pretrains
    except (ValueError, KeyError, TypeError, AttributeError, ConfigError):
        return "", "", "", "", False
