"""Measures a receipt: one fresh process for each precision, because the memory peak of a process never falls again.

Inputs: a configuration. Outputs: a `Receipt`. float32 is measured first; its hidden states and gradients are kept in a
temporary folder, and the other precisions are compared with them. A process that crashes or runs out of memory is a row
with its cause. Importing this loads no torch.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from timellm import errors
from timellm.config import RunConfig
from timellm.sizing.fresh import run_fresh
from timellm.sizing.load import ProcessorTime
from timellm.sizing.machine import processor_name
from timellm.sizing.receipt.contents import Machine, Precision, Receipt, ReceiptRow
from timellm.training.progress import ShouldStop, never_stop

OnShare = Callable[[float, str], None]
"""Hears how much of the whole is done, 0 to 1, and what is going on."""


class _Cancelled(Exception):
    """The caller cancelled the measurement."""


def measure_receipt(
    config: RunConfig, *, on_progress: OnShare = lambda share, doing: None, should_stop: ShouldStop = never_stop
) -> Receipt | None:
    """Measure the backbone of `config` in each precision, on windows of its table; None if `should_stop` said so.

    `quantization` is varied, and `backbone_dtype` too, except for 8 and 4 bits; everything else is as configured.

    Raises:
        DataError, ConfigError, BackboneError: the table, a setting or the backbone cannot be used in any precision.
    """
    rows: list[ReceiptRow] = []
    facts: dict[str, Any] = {}
    varied = _varied(config)
    with tempfile.TemporaryDirectory(prefix="timellm-receipt-") as folder:
        for number, (precision, settings) in enumerate(varied.items()):

            def report(share: float, doing: str, number: int = number, name: str = precision) -> None:
                on_progress((number + share) / len(varied), f"{name}: {doing}")

            try:
                said = _in_fresh_process(
                    config.updated(**settings), Path(folder), on_progress=report, should_stop=should_stop
                )
            except _Cancelled:
                return None
            if number == 0 and said.failure.get("input"):
                raise getattr(errors, said.failure["kind"])(said.failure["text"])
            facts = facts or said.facts
            cause = said.failure.get("text", "")
            rows.append(ReceiptRow(precision, **said.row, others_share=said.others_share, cause=cause))
    on_progress(1.0, "done")
    return Receipt(
        backbone=config.model.backbone,
        layers=config.model.layers,
        context=config.model.context,
        horizon=config.model.horizon,
        batch_size=config.trained.batch_size,
        table=Path(config.data.path).name,
        windows=facts.get("windows", 0),
        rows=tuple(rows),
        machine=this_machine(facts.get("gpu")),
        measured=datetime.now(UTC),
    )


def this_machine(gpu: str | None = None) -> Machine:
    """This machine; `gpu` is the card in use, which only torch knows."""
    from importlib.metadata import version

    return Machine(
        processor_name() or "unknown processor",
        os.cpu_count() or 1,
        psutil.virtual_memory().total / 2**20,
        gpu,
        version("torch"),
    )


def _varied(config: RunConfig) -> dict[Precision, dict[str, str]]:
    """Settings of each row. Quantised layers calculate in the run's own `backbone_dtype`, mostly auto."""
    half: Precision = "float16" if config.model.backbone_dtype == "float16" else "bfloat16"
    return {
        "float32": {"quantization": "none", "backbone_dtype": "float32"},
        half: {"quantization": "none", "backbone_dtype": half},
        "8bit": {"quantization": "8bit"},
        "4bit": {"quantization": "4bit"},
    }


@dataclass(frozen=True)
class _Said:
    """The last message of a worker."""

    row: dict[str, Any]
    facts: dict[str, Any]
    failure: dict[str, Any]
    others_share: float


def _in_fresh_process(config: RunConfig, folder: Path, *, on_progress: OnShare, should_stop: ShouldStop) -> _Said:
    """Run the worker to its end, and pass its messages on."""

    def pass_on(said: str) -> None:
        if progress := _last(said, "progress"):
            on_progress(progress["share"], progress["doing"])

    before = ProcessorTime.now()
    ended = run_fresh("timellm.sizing.receipt.worker", config, str(folder), on_said=pass_on, should_stop=should_stop)
    if ended is None:
        raise _Cancelled
    done = _last(ended.said, "done")
    failure = {} if done else _last(ended.said, "failure") or {"text": ended.cause}
    return _Said(done.get("row", {}), done.get("facts", {}), failure, ProcessorTime.now().others_since(before))


def _last(said: str, kind: str) -> dict[str, Any]:
    """The last complete line of a kind that the worker has printed; empty if there is none."""
    found: dict[str, Any] = {}
    for line in said.splitlines(keepends=True):
        if line.startswith(f'{{"{kind}"') and line.endswith("\n"):
            found = json.loads(line)[kind]
    return found
