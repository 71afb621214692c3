"""The verb `estimate`: memory and time of a run on this machine, and what to change if it does not fit."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from timellm.cli.answer import Answer, columns
from timellm.cli.fitting import _configuration

if TYPE_CHECKING:
    from timellm.config import RunConfig
    from timellm.data.table import Table
    from timellm.sizing.estimate import Estimate
    from timellm.sizing.machine import Budget
    from timellm.sizing.offers import Offer
    from timellm.sizing.table import TableSize
    from timellm.sizing.trial import Trial


def estimate(arguments: argparse.Namespace) -> Answer:
    """Memory and time of a run with these settings, by counting, or with --trial by a measured step.

    Raises:
        TimeLLMError: the table, a setting or the backbone cannot be used, or the trial failed.
    """
    from timellm.data.table import load_table
    from timellm.errors import ConfigError
    from timellm.forecasters.registry import kind_of
    from timellm.jobs.store.history import observations, remember_trial
    from timellm.jobs.store.run_store import Store
    from timellm.sizing import estimate as counting
    from timellm.sizing.machine import budget, measured_facts
    from timellm.sizing.offers import fits, largest_that_fits
    from timellm.sizing.table import TableSize

    config = _configuration(arguments)
    if arguments.trial and not kind_of(config.kind).language_model:
        raise ConfigError(f"--trial loads a language model, and '{config.kind}' has none; leave --trial out")
    table = load_table(config.data)
    config = _described(config, table)
    store, facts = Store.open(), measured_facts()
    tried = _tried(config) if arguments.trial else None
    if tried is not None:
        remember_trial(store, config, tried)
    size = TableSize(len(table.values), len(table.channels))
    around = counting.Surroundings(size, facts, observations(store), _joined(config))
    found, have = counting.estimate(config, around), budget(facts, config.device)
    fit = fits(found.memory_mib, have.free_mib) and (tried is None or tried.ending != "out of memory")
    room = have.free_mib if tried is None or tried.ending == "measured" else min(have.free_mib, 0.8 * found.memory_mib)
    offers = [] if fit else largest_that_fits(config, room, around)
    data = {
        **asdict(found),
        "seconds": found.seconds,
        "fits": fit,
        "free_mib": have.free_mib,
        "total_mib": have.total_mib,
        "where": have.where,
        "trial": None if tried is None else asdict(tried),
        "offers": [asdict(offer) | {"options": offer.as_options} for offer in offers],
    }
    return Answer(data, "\n".join(_in_words(found, have, fit=fit, offers=offers, tried=tried)))


def _joined(config: RunConfig) -> TableSize:
    """The size of the tables of `pretrain` together.

    Raises:
        DataError: one of them cannot be read.
    """
    from timellm.data.table import load_table
    from timellm.sizing.table import TableSize, joined

    read = [
        load_table(type(config).create(path).data) for path in (config.training.pretrain if config.training else ())
    ]
    return joined([TableSize(len(one.values), len(one.channels)) for one in read], gap=config.task.horizon)


def _described(config: RunConfig, table: Table) -> RunConfig:
    """The settings with the description that a run would suggest itself: its words are part of every prompt."""
    from timellm.data.season import suggest_description

    described = config.data.description or suggest_description(table, Path(config.data.path).stem)
    return config.updated(description=described)


def _tried(config: RunConfig) -> Trial:
    """The trial; a failure other than out of memory is an error that the user can correct.

    Raises:
        ConfigError: it failed.
    """
    from timellm.errors import ConfigError
    from timellm.sizing.trial import trial

    found = trial(config)
    if found.ending == "failed":
        raise ConfigError(f"the trial failed: {found.cause}")
    return found


def _in_words(found: Estimate, have: Budget, *, fit: bool, offers: list[Offer], tried: Trial | None) -> list[str]:
    lines = [
        f"needs about {_memory(found.memory_mib)} of {_memory(have.free_mib)} free {have.where}, "
        f"about {_time(found.seconds)}",
        f"rests on {found.rests_on}",
    ]
    if tried is not None and tried.ending == "out of memory":
        lines.append(f"the trial ran out of memory: {tried.cause}")
    parts = [(name, f"{value:,.0f}") for name, value in asdict(found.memory).items()]
    lines += ["", columns(("part", "MiB"), parts), ""]
    amount = f"{found.step_s:,.0f}" if found.step_s >= 10 else f"{found.step_s:.2g}"
    step = f"{amount} s a step, " if found.step_s else ""
    before = f"pre-training {_time(found.pretraining_s)}, " if found.pretraining_s else ""
    lines.append(
        f"{step}loading {_time(found.loading_s)}, {before}"
        f"{'training' if step else 'fitting'} {_time(found.training_s)}, "
        f"scoring {found.test_windows:,} test windows {_time(found.evaluation_s)}, forecast {_time(found.forecast_s)}"
    )
    if fit:
        return lines
    lines += ["", "it does not fit; these settings do:" if offers else "it does not fit, and no smaller settings do"]
    lines += [
        f"  {offer.as_options}\n      {_memory(offer.memory_mib)}, {_time(offer.seconds)}. {offer.price}"
        for offer in offers
    ]
    return lines


def _memory(mib: float) -> str:
    return f"{mib:,.0f} MiB" if mib < 1000 else f"{mib / 1024:,.1f} GiB"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
