"""The verb that runs the experiment of a paper, or lists those that there are."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timellm.cli.answer import Answer, columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from timellm.jobs.local.protocol_runs import Placed, ProtocolRuns
    from timellm.jobs.local.protocol_time import TimeNeeded
    from timellm.jobs.store.run_store import Store
    from timellm.protocols.protocol import Option
    from timellm.protocols.results import Results


_CHOSEN = "chosen "
"""Begins the names under which argparse keeps the options of protocols, apart from those of the verb."""


def arguments_of(one: argparse.ArgumentParser) -> None:
    """Add the options of the verb: its own, and those of every protocol."""
    one.add_argument("name", nargs="?", metavar="NAME", help="which one; the list of all when not given")
    one.add_argument("--data", type=Path, metavar="FOLDER", help="folder with the files of the sets")
    for name in _options():
        one.add_argument(f"--{name}", nargs="+", metavar="VALUE", dest=_CHOSEN + name, help=_help(name))
    one.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="settings",
        help="change a setting of every run whose forecaster has it, such as backbone=gpt2; may be given again",
    )  # fmt: skip
    one.add_argument(
        "--show", action="store_true", help="show what would be run and what has been measured; run nothing"
    )
    one.add_argument("--no-wait", action="store_true", help="leave the runs to the queue and come back at once")
    one.add_argument("--again", action="store_true", help="start runs again that failed or were stopped")
    one.add_argument(
        "--out", type=Path, metavar="FOLDER",
        help="where NAME.md, NAME.csv and NAME.json are written (benchmarks/results in the project's folder)",
    )  # fmt: skip


def protocol(arguments: argparse.Namespace) -> Answer:
    """Queue the runs that are missing, wait for them, and write the table; Ctrl-C ends the command, not the runs.

    Raises:
        TimeLLMError: there is no such protocol, an option is not allowed, or a result is damaged.
        OSError: the table cannot be written.
    """
    from timellm.errors import ConfigError
    from timellm.jobs.local.protocol_runs import ProtocolRuns
    from timellm.jobs.store.run_store import Store
    from timellm.protocols.registry import find_protocol
    from timellm.protocols.results import Results

    if arguments.name is None:
        return _listed()
    chosen = find_protocol(arguments.name)
    out = _out(arguments)
    if arguments.data is None:
        raise ConfigError(f"--data must name the folder with the files of '{chosen.name}'")
    given = {name: values for name in _options() if (values := getattr(arguments, _CHOSEN + name))}
    group = ProtocolRuns.of(chosen, chosen.asked(arguments.data, given, arguments.settings))
    for file in group.plan.missing:
        print(f"missing: {file}", file=sys.stderr)
    if not group.plan.cells:
        why = [f"it has no {file.name}" for file in group.plan.missing]
        why += [note.removesuffix(".") for note in group.plan.notes]
        raise ConfigError(f"there is nothing to run in {arguments.data}: {'; '.join(why)}")
    store = Store.open()
    placed = group.find(store)
    if not arguments.show:
        placed = _run(group, store, arguments)
    results = Results.read(chosen, out).with_cells(group.measured(placed))
    if not arguments.show:
        return _answer(group, placed, results, results.write(out, notes=group.plan.notes))
    answer, needed = _answer(group, placed, results, ()), _time(group, placed, results, store, again=arguments.again)
    hint = "\nMore is known once this machine was measured: python -m timellm estimate TABLE.csv does it."
    text = f"{needed.sentence()}{hint if needed.lacks_facts else ''}\n\n{answer.text}"
    return replace(answer, data=answer.data | {"time": needed.to_dict()}, text=text)


def _time(group: ProtocolRuns, placed: Sequence[Placed], results: Results, store: Store, *, again: bool) -> TimeNeeded:
    from timellm.jobs.local.protocol_time import Clues, time_needed
    from timellm.jobs.store.history import observations
    from timellm.sizing.machine import known_facts

    clues = Clues(results.cells, known_facts(), observations(store))
    return time_needed(group, group.left(placed, again=again), clues)


def _run(group: ProtocolRuns, store: Store, arguments: argparse.Namespace) -> tuple[Placed, ...]:
    from timellm.jobs.local.group import wait_for_group
    from timellm.jobs.local.launcher import supervise
    from timellm.jobs.local.protocol_runs import progress_words

    supervise(store)
    placed = group.start(store, again=arguments.again)
    if arguments.no_wait:
        return placed
    said = [""]

    def look() -> list[Any]:
        found = group.find(store)
        if (words := progress_words(found)) != said[-1]:
            said.append(words)
            print(words, file=sys.stderr)
        return [one.run for one in found]

    wait_for_group(look, store)
    return group.find(store)


def _answer(group: ProtocolRuns, placed: Sequence[Placed], results: Any, written: Sequence[Path]) -> Answer:
    from timellm.jobs.local.protocol_runs import progress_words

    table, plan = results.table, group.plan
    failed = [one for one in placed if one.run is not None and one.run.state == "failed"]
    waiting = [one for one in placed if one.run is None or one.run.state != "finished"]
    data = {
        "protocol": group.protocol.name,
        "tag": group.tag,
        "cells": [{**one.cell.key, "run": one.run.id if one.run else None, "state": _state(one)} for one in placed],
        "missing": [{"file": one.name, "set": one.what, "source": one.source} for one in plan.missing],
        "results": [one.to_dict() for one in results.cells],
        "notes": list(dict.fromkeys((*table.notes, *plan.notes))),
        "files": list(written),
    }
    lines = [progress_words(placed) or f"{len(placed)} runs, none started."]
    lines += [f"{one.cell.title} failed: {one.run.error}" for one in failed if one.run]
    if waiting:
        lines += ["", columns(("not finished", "state"), [(one.cell.title, _state(one)) for one in waiting])]
    if table.rows:
        lines += ["", columns(table.header, table.rows), "", *table.notes]
    lines += [*(note for note in plan.notes if note not in lines), *(f"written: {path}" for path in written)]
    return Answer(
        data, "\n".join(lines), error=f"runs that failed: {len(failed)}; --again starts them again" if failed else ""
    )


def _state(one: Placed) -> str:
    return one.run.state if one.run else "not started"


def _listed() -> Answer:
    from timellm.protocols.registry import PROTOCOLS

    rows = [(one.name, one.title, one.purpose) for one in PROTOCOLS.values()]
    data = [
        {
            "name": one.name,
            "title": one.title,
            "purpose": one.purpose,
            "options": {
                option.name: {"usual": option.usual, "choices": option.choices, "meaning": option.meaning}
                for option in one.options
            },
        }
        for one in PROTOCOLS.values()
    ]
    taken = [
        (one.name, f"--{option.name}", _usual(option), option.meaning)
        for one in PROTOCOLS.values()
        for option in one.options
    ]
    tables = [columns(("protocol", "", "what it answers"), rows), "", columns(("", "option", "usual", ""), taken)]
    return Answer(data, "\n".join(tables))


def _help(name: str) -> str:
    """What an option means, and what is taken of it when it is not given; protocols may differ in both."""
    from timellm.protocols.registry import PROTOCOLS

    having = {one.name: option for one in PROTOCOLS.values() for option in one.options if option.name == name}
    usual: dict[str, list[str]] = {}
    for protocol_name, option in having.items():
        usual.setdefault(_usual(option), []).append(protocol_name)
    said = [text if len(usual) == 1 else f"{', '.join(names)}: {text}" for text, names in usual.items()]
    return f"{' or '.join(dict.fromkeys(option.meaning for option in having.values()))} ({'; '.join(said)})"


def _usual(option: Option) -> str:
    return " ".join(option.usual) if option.usual and option.usual != option.choices else "all"


def _options() -> list[str]:
    from timellm.protocols.registry import PROTOCOLS

    return list(dict.fromkeys(option.name for one in PROTOCOLS.values() for option in one.options))


def _out(arguments: argparse.Namespace) -> Path:
    """Where the results go.

    Raises:
        ConfigError: no folder is named outside the project's own, or it cannot be written.
    """
    from timellm.errors import ConfigError
    from timellm.installation import FROM_CHECKOUT, PROJECT
    from timellm.workspace import check_writable

    if arguments.out is None and not (FROM_CHECKOUT and Path.cwd().resolve() == PROJECT):
        raise ConfigError(
            "--out must name the folder for the results; only in the project's own folder there is a usual one"
        )
    out = arguments.out or PROJECT / "benchmarks" / "results"
    try:
        if not arguments.show:
            check_writable(out)
    except OSError as error:
        raise ConfigError(f"--out {out} cannot be written ({error.strerror}); name another folder") from error
    return out
