"""The verb that compares runs of the workspace side by side."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from timellm.cli.answer import Answer, columns
from timellm.cli.output import check_out, write_out

if TYPE_CHECKING:
    from timellm.evaluation.board_of_runs import RunsBoard
    from timellm.jobs.store.comparison import Comparison, Row


def compare(arguments: argparse.Namespace) -> Answer:
    """Best errors of several runs, their costs, and the settings in which they differ.

    Raises:
        JobError: there is no such run, or they are too few or too many.
        OSError: the file cannot be written.
    """
    from timellm.jobs.store.comparison import compare as side_by_side
    from timellm.jobs.store.run_store import Store

    if arguments.out:
        check_out(arguments.out, force=arguments.force)
    found = side_by_side(Store.open(), arguments.runs)
    settings = [row for row in found.settings if arguments.all or row.differs]
    data: dict[str, Any] = {
        "runs": [{name: getattr(run, name) for name in ("id", "name", "state")} for run in found.runs],
        "measures": {row.name: {"values": row.values, "best": sorted(row.best)} for row in found.measures},
        "settings": {row.name: row.values for row in settings},
        "warnings": found.warnings,
    }
    board, why_not = _board(found, arguments.metric)
    data |= {"leaderboard": board.to_dict() if board else None}
    if arguments.out:
        write_out(arguments.out, lambda path: path.write_text(found.to_csv(), encoding="utf-8"))
    header = ("", *found.labels())
    lines = [*(f"warning: {warning}" for warning in found.warnings), *([""] if found.warnings else [])]
    lines.append(columns(header, [(row.name, *_marked(row)) for row in found.measures]))
    if settings:
        lines += ["", columns(header, [(row.name, *_texts(row)) for row in settings])]
    lines += ["", "* best of its row"] if any(row.best for row in found.measures) else []
    lines += ["", *_ranked(board)] if board else []
    lines += ["", f"There is no leaderboard: {why_not}"] if why_not else []
    return Answer(data, "\n".join(lines))


def _board(found: Comparison, metric: str) -> tuple[RunsBoard | None, str]:
    """The runs ranked by their test windows, or why they cannot be; neither without equal windows."""
    from timellm.errors import TimeLLMError
    from timellm.evaluation.board_of_runs import board_of_runs
    from timellm.evaluation.leaderboard import Cost
    from timellm.evaluation.others import OtherRun
    from timellm.forecasting.artifacts import RunFolder

    if not found.same_windows or not all((run.run_dir / "scores.json").is_file() for run in found.runs):
        return None, ""
    named = list(zip(found.runs, found.labels(), strict=True))
    costs = {name: Cost(run.seconds, run.memory_mib) for run, name in named}
    try:
        runs = [OtherRun(name, run.run_dir, RunFolder(run.run_dir).scores()) for run, name in named]
        return board_of_runs(runs, metric, costs=costs), ""
    except TimeLLMError as error:  # the rest of the comparison does not depend on it
        return None, str(error)


def _ranked(board: RunsBoard) -> list[str]:
    words = {True: "yes", False: "no", None: None}
    header = ("rank", board.metric, "model", "skill", "won", "may be best", "seconds")
    rows = [
        (row.rank, row.error, row.model, row.skill, board.won.get(row.model), words[board.may_be_best(row.model)],
         row.cost.seconds)
        for row in board.rows
    ]  # fmt: skip
    return [columns(header, rows), *(said for said in (board.sentence(), *board.notes) if said)]


def _marked(row: Row) -> list[str | None]:
    return [
        None if value is None else f"{value:,.5g}" + (" *" if place in row.best else "")
        for place, value in enumerate(row.values)
    ]


def _texts(row: Row) -> list[str]:
    return [", ".join(map(str, value)) if isinstance(value, list) else str(value) for value in row.values]
