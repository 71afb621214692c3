"""Training that begins at adapters which were trained before: what of them is taken, and what is not.

Inputs: the folder that the setting `start_from` names (a finished run, or adapters alone: config.json and
adapter.safetensors), and a network with its first weights. Outputs: the network with the trained weights in place of
its first ones, and a copy of what was taken in the run's own folder. The run depends on the copy alone: its digest
stands in the run's weights and training state, so that `start_from` is a place, like the path of a table.

Nothing is taken in part without being said. Settings that decide what the weights mean must be equal. What belongs to
one table (the linear path, quantiles) begins anew. With another horizon the weights that are made for the horizon begin
anew, too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from timellm.config import RunConfig
from timellm.errors import CheckpointError
from timellm.files.tensorfile import read_tensors, write_tensors
from timellm.forecasters.start_rules import StartRules, check_place, check_settings, differing
from timellm.training.checkpoint import CONFIG, START_ADAPTER, load_config, read_adapter

_REMEDY = "start the run again in a new folder"
_FACTS = "start"


@dataclass(frozen=True)
class Start:
    """What a training began with beside its first weights."""

    source: str
    """Name of the folder."""
    tables: tuple[str, ...]
    """Names of the tables that the adapters were trained on."""
    left: tuple[str, ...]
    """Groups of weights that were not taken, because they are made for another horizon."""
    horizon: int
    """Rows that the adapters forecast."""
    differing: tuple[str, ...]
    """Settings that may differ, and do."""

    def notes(self, horizon: int) -> tuple[str, ...]:
        """What the reader of a run with this horizon should know."""
        found = [f"Training began at the adapters in {self.source}, trained on {', '.join(self.tables)}."]
        if self.left:
            found.append(
                f"Not taken from them: {', '.join(self.left)}, because they forecast {self.horizon:,} rows and this run"
                f" {horizon:,}."
            )
        if self.differing:
            found.append(f"They were trained with other settings: {', '.join(self.differing)}.")
        return tuple(found)

    @property
    def facts(self) -> dict[str, Any]:
        """What a run's summary says of it: JSON values."""
        return {"started_from": {"folder": self.source, "tables": list(self.tables), "left": list(self.left)}}

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """What the run in `folder` began with; None if that was its first weights.

        Raises:
            CheckpointError: the copy of it is damaged.
        """
        path = folder / START_ADAPTER
        if not path.is_file():
            return None
        _, facts = read_tensors(path, remedy=_REMEDY)
        try:
            found = json.loads(facts[_FACTS])
            texts = (tuple(map(str, found[name])) for name in ("tables", "left", "differing"))
            tables, left, differing = texts
            return cls(str(found["source"]), tables, left, int(found["horizon"]), differing)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path} is damaged ({error}); {_REMEDY}") from error


def check_start(config: RunConfig, source: Path, rules: StartRules) -> RunConfig:
    """Refuse adapters in `source` at which this run cannot begin, by their settings alone, which are returned.

    Raises:
        ConfigError: there are none, or they are made for another network; says which setting to change.
        CheckpointError: their settings are damaged.
    """
    check_place(source)
    theirs = load_config(source)
    check_settings(theirs, config, source, rules)
    return theirs


def begin_at(network: nn.Module, config: RunConfig, folder: Path, *, source: Path, rules: StartRules) -> None:
    """Put the adapters in `source` into `network`, and keep what was taken in the run's `folder`.

    Raises:
        ConfigError: there are no adapters, or they are made for another network; says which setting to change.
        CheckpointError: they are damaged.
    """
    theirs, tensors = check_start(config, source, rules), read_adapter(source)
    taken, left = _taken(network.state_dict(), tensors, rules, same_horizon=theirs.task.horizon == config.task.horizon)
    assert taken, "rules.for_the_horizon refuses this"
    network.load_state_dict(taken, strict=False)
    others = [f"{name} {then!r}, now {now!r}" for name, (then, now) in differing(theirs, config).items()]
    facts = {
        "source": source.resolve().name,
        "tables": tables_of(source, theirs),
        "left": left,
        "horizon": theirs.task.horizon,
        "differing": others,
    }
    write_tensors(folder / START_ADAPTER, taken, facts={_FACTS: json.dumps(facts), CONFIG: theirs.to_json()})


def tables_of(folder: Path, config: RunConfig) -> list[str]:
    """Names of the tables that adapters were trained on."""
    return [Path(config.data.path).stem]


def _taken(
    ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor], rules: StartRules, *, same_horizon: bool
) -> tuple[dict[str, Tensor], list[str]]:
    """The weights to take, and the groups that are made for another horizon.

    Raises:
        CheckpointError: a weight is missing, has another shape without another horizon, or is no number.
    """
    wanted = {name: one for name, one in ours.items() if not name.startswith(rules.of_the_table)}
    given = {name: one for name, one in theirs.items() if not name.startswith(rules.of_the_table)}
    unfit = sorted(wanted.keys() ^ given.keys())
    resized = [name for name in wanted if name in given and wanted[name].shape != given[name].shape]
    if unfit or (resized and same_horizon):
        name = (unfit or resized)[0]
        raise CheckpointError(
            f"the adapters of start_from do not fit this network: '{name}' is missing in one of them or has another"
            " size; train them again with this version"
        )
    groups = list(dict.fromkeys(name.split(".")[0] for name in resized))
    taken = {name: one for name, one in given.items() if name.split(".")[0] not in groups}
    if broken := [name for name, one in taken.items() if not torch.isfinite(one).all()]:
        raise CheckpointError(f"the adapters of start_from hold numbers that are not finite, in '{broken[0]}'")
    return taken, groups
