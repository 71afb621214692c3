"""A Python program that repeats a run through the public API.

Inputs: a run's folder. Outputs: the program's text: the settings in force, where the table is, and which versions were
in use. Whatever comes from the run stands in the program as a Python literal, so that no name can become code.
"""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path
from pprint import pformat

from timellm import __version__
from timellm.config import RunConfig
from timellm.report.facts import Reported

_LIBRARIES = ("torch", "numpy", "pandas", "transformers")
_TEMPLATE = '''"""Repeat the run {name} with timellm {version}.

python {file} [TABLE.csv [NEW_FOLDER]]

The same settings and the same table give the same forecast on a processor of the same kind, with the same number of
threads. The versions below were in use when this program was written.
"""

import sys

import timellm

# {versions}
TABLE = {table}  # {kept}
SETTINGS = {settings}

table = sys.argv[1] if len(sys.argv) > 1 else TABLE
folder = sys.argv[2] if len(sys.argv) > 2 else {out}
config = timellm.RunConfig.create(table, **SETTINGS)
result = timellm.fit(config, run_dir=folder)
print(result.summary.get("verdict"))
forecast = timellm.Forecaster.load(folder).forecast()  # unique_id, ds, yhat
forecast.to_csv(folder + "-forecast.csv", index=False)
'''


def script_of(run: Reported) -> str:
    """The program that repeats a run.

    Raises:
        CheckpointError: the run's settings are missing or damaged.
    """
    config = run.config
    usual = RunConfig.create(config.data.path, kind=config.kind).settings()
    changed = {"kind": config.kind}
    changed |= {name: value for name, value in config.settings().items() if name != "path" and value != usual.get(name)}
    path = Path(config.data.path)
    there = "" if path.is_file() else "it is not there any more; "
    kept = run.folder.path / "table.parquet"
    versions = [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in _LIBRARIES)]
    return _TEMPLATE.format(
        name=_in_text(run.folder.path.name),
        version=__version__,
        file="repeat.py",
        versions=", ".join(versions),
        table=repr(str(path)),
        kept=_in_text(f"{there}the run keeps the values that it read in {kept.name} of its folder"),
        settings=pformat(changed, width=100, sort_dicts=False),
        out=repr(f"{run.folder.path.name}-again"),
    )


def _in_text(words: str) -> str:
    """Words that can stand in a comment or between quotes."""
    return "".join(letter if letter.isprintable() and letter not in "\"'\\" else " " for letter in words)
