"""The results of a protocol as files: NAME.json with every cell, NAME.md and NAME.csv to read.

Inputs: what was measured now, and what the files have from before. Outputs: the three files, each written whole. A cell
that was measured again takes the place of the earlier one, so a table can be filled bit by bit and on several machines.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from timellm.errors import DataError, one_line
from timellm.json_text import read_json
from timellm.protocols.protocol import Asked, Measured, Protocol, ResultTable
from timellm.workspace import write_whole

VERSION = 1


@dataclass(frozen=True)
class Results:
    """All cells of a protocol that have been measured."""

    protocol: Protocol
    cells: tuple[Measured, ...]

    @classmethod
    def read(cls, protocol: Protocol, folder: Path) -> Results:
        """Those that a folder has; none where it has no file.

        Raises:
            DataError: the file is damaged, or of another protocol or version.
        """
        path = folder / f"{protocol.name}.json"
        if not path.is_file():
            return cls(protocol, ())
        try:
            tree = read_json(path)
            if (tree["protocol"], tree["version"]) != (protocol.name, VERSION):
                raise ValueError(f"it is of the protocol '{tree['protocol']}', version {tree['version']}")
            return cls(protocol, tuple(map(Measured.from_dict, tree["cells"])))
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise DataError(
                f"the results in {path} cannot be read ({one_line(error)}); move the file away, or name another folder"
            ) from error

    def with_cells(self, cells: Sequence[Measured]) -> Results:
        """With these cells added; one that is there already is replaced."""
        merged = {one.identity: one for one in (*self.cells, *cells)}
        return Results(self.protocol, tuple(merged.values()))

    def among(self, asked: Asked) -> Results:
        """Those of the cells that are asked for, with any seed and any further settings."""
        return Results(self.protocol, tuple(one for one in self.cells if asked.has(self.protocol.options, one.key)))

    @property
    def table(self) -> ResultTable:
        """As people read it."""
        return self.protocol.table(self.cells)

    def contents(self, *, notes: Sequence[str] = ()) -> dict[str, str]:
        """The text of each file by its ending: json and csv with every cell, md and table.csv with the table."""
        tree = {"protocol": self.protocol.name, "version": VERSION, "cells": [one.to_dict() for one in self.cells]}
        table = self.table
        said = dict.fromkeys((*table.notes, *notes))
        text = f"# {self.protocol.title}\n\n{self.protocol.purpose}\n\n"
        return {
            "table.csv": _csv_of([table.header, *table.rows]),
            "json": json.dumps(tree, indent=1, allow_nan=False) + "\n",
            "md": text + ResultTable(table.header, table.rows, tuple(said)).markdown(),
            "csv": _csv(self.cells),
        }

    def write(self, folder: Path, *, notes: Sequence[str] = ()) -> tuple[Path, ...]:
        """Write the three files and return their paths; `notes` go below the table.

        Raises:
            OSError: the folder cannot be written.
        """
        contents = {ending: text for ending, text in self.contents(notes=notes).items() if ending != "table.csv"}
        paths = {ending: folder / f"{self.protocol.name}.{ending}" for ending in contents}
        for ending, path in paths.items():
            write_whole(path, partial(Path.write_text, data=contents[ending], encoding="utf-8"))
        return tuple(paths.values())


def _csv(cells: Sequence[Measured]) -> str:
    """A row for each cell, with all of its numbers."""
    rows: list[dict[str, Any]] = [
        {
            **one.key,
            "settings": " ".join(f"{name}={value}" for name, value in one.settings.items()),
            **one.numbers,
            "seconds": one.seconds,
            "memory_mib": one.memory_mib,
            "machine": one.machine,
            "versions": " ".join(f"{name} {number}" for name, number in one.versions.items()),
            "moment": one.moment,
        }
        for one in cells
    ]
    header = list(dict.fromkeys(name for row in rows for name in row))
    return _csv_of([header, *([row.get(name) for name in header] for row in rows)])


def _csv_of(lines: Sequence[Sequence[Any]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(lines)
    return out.getvalue()
