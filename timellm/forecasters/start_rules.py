"""Which trained adapters a run may begin at, by settings alone: no weight is read, so pages can ask.

Inputs: two configurations, of the adapters and of the run, and what the run's kind says of it (`Kind.start_rules`).
Outputs: an error that names the setting to change, or nothing. timellm.forecasters.started then takes the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timellm.errors import ConfigError

if TYPE_CHECKING:
    from timellm.config import RunConfig

PRETRAINED = "pretrained"
"""Folder in a run's folder with the adapters of its own pre-training (timellm.forecasting.pretraining)."""
_FREE = ("dropout", "attention_dropout", "quantiles")
"""Settings of any kind that may differ: they change how weights are learned, not what they mean."""


@dataclass(frozen=True)
class StartRules:
    """What a kind of forecaster says of adapters that it may begin at."""

    free: tuple[str, ...] = ()
    """Settings that may differ, beside those of any kind."""
    of_the_table: tuple[str, ...] = ("quantile_head.",)
    """Beginnings of the names of weights that belong to one table, and begin anew."""
    for_the_horizon: bool = False
    """All its weights are made for one horizon, so another one leaves nothing to take."""


def start_of(config: RunConfig, folder: Path) -> Path | None:
    """Where the training of a run in `folder` begins: adapters that are named, or its own pre-trained ones."""
    training = config.trained
    if training.pretrain:
        return folder / PRETRAINED
    return Path(training.start_from).expanduser() if training.start_from else None


def check_place(source: Path) -> None:
    """Refuse a folder that is not there.

    Raises:
        ConfigError: it is not.
    """
    if not source.is_dir():
        raise ConfigError(
            f"setting 'start_from' is '{source}', and there is no such folder; name the folder of a finished run, or of"
            " adapters"
        )


def check_settings(theirs: RunConfig, ours: RunConfig, source: str | Path, rules: StartRules) -> None:
    """Refuse adapters that mean something else than this run's would; `source` is what the message calls them.

    Raises:
        ConfigError: they are made for another network; says which setting to change.
    """
    if theirs.kind != ours.kind:
        raise ConfigError(
            f"the adapters in {source} are of '{theirs.kind}', and this run is '{ours.kind}'; set the forecaster to"
            f" '{theirs.kind}', or leave start_from out"
        )
    if theirs.task.context != ours.task.context:
        raise ConfigError(
            f"the adapters in {source} read a context of {theirs.task.context:,} rows, and this run"
            f" {ours.task.context:,}; set context={theirs.task.context}, or leave start_from out"
        )
    if rules.for_the_horizon and theirs.task.horizon != ours.task.horizon:
        raise ConfigError(
            f"the adapters in {source} forecast {theirs.task.horizon:,} rows, and all their weights are made for that;"
            f" set horizon={theirs.task.horizon}, or leave start_from out"
        )
    for name, (then, now) in differing(theirs, ours).items():
        changes_path = name == "linear_path" and "none" in (then, now)  # a whole forecast, or what is added to one
        if changes_path or name not in (*_FREE, *rules.free):
            raise ConfigError(
                f"the adapters in {source} were trained with {name}={then}, and this run has {name}={now}; set"
                f" {name}={then}, or leave start_from out"
            )


def differing(theirs: RunConfig, ours: RunConfig) -> dict[str, tuple[Any, Any]]:
    """Settings of the forecaster that affect weights and differ: name -> (theirs, ours)."""
    from timellm.config import names_affecting  # loads pydantic, which a list of the kinds does not need

    found = {}
    for name in names_affecting("weights", section="forecaster", kind=ours.kind):
        then, now = getattr(theirs.forecaster, name), getattr(ours.forecaster, name)
        moved = name == "backbone" and Path(then).name == Path(now).name  # a folder may lie elsewhere today
        if then != now and not moved:
            found[name] = (then, now)
    return found
