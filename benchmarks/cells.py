"""What resumable benchmarks share: a log of measured cells, each measured once, and the options of the command."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

C = TypeVar("C")


def read_cells(log: Path, kind: type[C]) -> list[C]:
    """The cells that have been measured."""
    return [kind(**json.loads(line)) for line in log.read_text().splitlines()] if log.is_file() else []


def measure_missing(
    log: Path, kind: type[Any], wanted: Iterable[tuple[Any, ...]], measure: Callable[..., Any], *, hours: float
) -> None:
    """Measure the cells of `wanted` that the log does not have, in their order; write each as soon as it is measured.

    `measure` gets the parts of a cell's key. No cell begins after `hours`.
    """
    ends = time.monotonic() + 3600 * hours
    for key in wanted:
        if key in {cell.key for cell in read_cells(log, kind)}:
            continue
        if time.monotonic() > ends:
            print("the time is over; repeat the command to go on", flush=True)
            return
        cell = measure(*key)
        with log.open("a") as file:
            file.write(json.dumps(asdict(cell)) + "\n")
        print(cell, flush=True)


def markdown_row(parts: Sequence[str]) -> str:
    """A row of a table."""
    return f"| {' | '.join(parts)} |"


def cells_parser(
    description: str | None, *, tables: Iterable[str], usual: list[str], seeds: list[int]
) -> argparse.ArgumentParser:
    """The options that all such commands have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--tables", nargs="+", choices=list(tables), default=usual)
    parser.add_argument("--seeds", nargs="+", type=int, default=seeds)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--show", action="store_true", help="print the table of what has been measured")
    return parser
