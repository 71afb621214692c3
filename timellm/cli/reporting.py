"""The verb that writes a report of runs, or a program that repeats one."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from timellm.cli.answer import Answer
from timellm.cli.output import check_out, write_out
from timellm.cli.results import opened


def arguments_of(one: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    one.add_argument("run_dirs", type=Path, nargs="+", metavar="DIR", help="a finished run, or several to compare")
    one.add_argument("--out", type=Path, metavar="F.html", help="the report, one file that needs no network")
    one.add_argument("--script", type=Path, metavar="F.py", help="a Python program that repeats the run")
    one.add_argument("--force", action="store_true", help="replace a file if it is there already")


def report(arguments: argparse.Namespace) -> Answer:
    """Write the report and the program.

    Raises:
        TimeLLMError: a run's folder or an output file cannot be used.
    """
    from timellm.errors import ConfigError

    if arguments.out is None and arguments.script is None:
        raise ConfigError("name a file for the report with --out, or for the program with --script")
    if arguments.script is not None and len(arguments.run_dirs) > 1:
        raise ConfigError("--script repeats one run; name one folder")
    inputs = [file for folder in arguments.run_dirs for file in _files(folder)]
    for option, file in (("--out ", arguments.out), ("--script ", arguments.script)):
        if file is not None:
            check_out(file, option=option, force=arguments.force, inputs=inputs)

    from timellm.jobs.local.reported import reported
    from timellm.jobs.store.run_store import Store
    from timellm.report.page import report as made
    from timellm.report.script import script_of

    store = Store.open()
    runs = [reported(folder, store) for folder in arguments.run_dirs]
    written: dict[str, int] = {}
    texts = {}
    if arguments.out is not None:
        texts[arguments.out] = made(runs)
    if arguments.script is not None:
        texts[arguments.script] = script_of(runs[0])
    for file, text in texts.items():
        write_out(file, partial(Path.write_text, data=text, encoding="utf-8"))
        written[str(file.resolve())] = file.stat().st_size
    lines = [f"{file}: {size / 1000:,.0f} kB" for file, size in written.items()]
    return Answer({"files": written, "runs": [run.folder.path for run in runs]}, "\n".join(lines))


def _files(folder: Path) -> list[Path]:
    """Files that no result may replace."""
    table = Path(opened(folder).config().data.path)
    return [table, *(one for one in folder.iterdir() if one.is_file())]
