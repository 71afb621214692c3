"""A run that ended because memory ran out: how it is recognised, and settings with which it would fit.

Inputs: a run and, if its process could still report it, the exception. Outputs: its cause in one line and offers for
its summary. A process that the kernel killed leaves no message, so memory is named only if there is evidence.
"""

from __future__ import annotations

import logging
import resource
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from timellm.config import RunConfig
from timellm.errors import ConfigError, TimeLLMError
from timellm.forecasters.start_rules import PRETRAINED
from timellm.jobs.store.cause import out_of_memory
from timellm.jobs.store.run import Run
from timellm.sizing.estimate import Surroundings, estimate
from timellm.sizing.machine import Budget, budget, known_facts, measured_facts, oom_kills
from timellm.sizing.offers import Offer, largest_that_fits
from timellm.sizing.table import TableSize

KILLS_BEFORE = "oom_kills_before"
"""In a working run's summary: processes that the kernel had killed for want of memory when it began."""
_NEARLY_ALL = 0.8
_CLEARLY_LESS = 0.8
_MIB = 2**20

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shortage:
    """A run that was killed because memory ran out."""

    cause: str
    offers: list[Offer]


def killed_for_memory(run: Run) -> Shortage | None:
    """Whether a run whose process is gone was, most likely, killed because memory ran out; None without evidence."""
    evidence = _evidence(run)
    if evidence is None:
        return None
    try:
        offers = smaller_settings(run.config, run.run_dir, peak_mib=run.memory_mib)
    except ConfigError:  # written by another version
        offers = []
    _, _, remedy = out_of_memory(offers).partition("; ")
    return Shortage(f"lost; probably out of memory ({evidence}); {remedy}", offers)


def _evidence(run: Run) -> str | None:
    before = run.summary.get(KILLS_BEFORE)
    if before is not None and oom_kills() > before:
        return "the system ended a process because memory ran out while it worked"
    facts = known_facts()
    total_mib = budget(facts).total_mib if facts is not None and facts.gpu is None else None
    if total_mib and run.memory_mib and run.memory_mib >= _NEARLY_ALL * total_mib:
        return f"it last used {run.memory_mib:,.0f} of {total_mib:,.0f} MiB"
    return None


def smaller_settings(
    config: RunConfig, run_dir: Path, *, peak_mib: float | None = None, own_mib: float = 0.0
) -> list[Offer]:
    """Settings with which a run that ran out of memory would fit; empty if there are none or nothing can be told.

    `peak_mib` is the most it is known to have held, `own_mib` what this process frees when it ends.
    """
    try:
        facts = known_facts() or measured_facts()
        around = Surroundings(_table_size(run_dir), facts, joined=_table_size(run_dir / PRETRAINED))
        counted = estimate(config, around).memory_mib
        have = _within_limits(budget(facts, config.device, freed_mib=own_mib))
        # It needed at least what it held, so the count may be too low, and by as much for other settings.
        too_low = max(1.0, (peak_mib or 0.0) / counted)
        return largest_that_fits(config, min(have.free_mib / too_low, _CLEARLY_LESS * counted), around)
    except TimeLLMError as error:
        log.warning("no smaller settings can be offered: %s", error)
        return []


def told(offers: list[Offer]) -> dict[str, Any]:
    """Offers as a run's summary keeps them."""
    return {"offers": [asdict(offer) for offer in offers]} if offers else {}


def offers_of(run: Run) -> list[Offer]:
    """The offers that a failed run's summary keeps."""
    return [Offer(**offer) for offer in run.summary.get("offers", [])]


def _within_limits(have: Budget) -> Budget:
    """Limited to what this process may use, because the next process has the same limit."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY or have.where != "memory":
        return have
    return Budget(min(have.free_mib, limit / _MIB), have.total_mib)


def _table_size(run_dir: Path) -> TableSize:
    """Rows and channels of the table that a run has kept; nothing if it had not come so far."""
    file = run_dir / "table.parquet"
    if not file.is_file():
        return TableSize(0, 0)
    import pyarrow.parquet as parquet  # here, because workers that only wait for their turn stay small

    kept = parquet.read_metadata(file)
    return TableSize(kept.num_rows, kept.num_columns - 1)
