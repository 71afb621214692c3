"""Verbs that read a finished run folder: its forecast and its errors."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timellm.cli.answer import Answer
from timellm.cli.bar import Bar
from timellm.cli.fitting import repair_of
from timellm.cli.ledger import keep_forecast
from timellm.cli.output import check_out, write_out
from timellm.cli.scored import scored_board, scored_text
from timellm.cli.transferring import evaluated_elsewhere

if TYPE_CHECKING:
    import pandas as pd

    from timellm.forecasting.artifacts import RunFolder
    from timellm.forecasting.newer import Difference
    from timellm.ledger.keeping import Newer

READING = ("decimal", "date_order", "encoding", "header", "delimiter", "ragged", "missing_codes", "sheet", "repair")
"""Settings that say how a file is read; a newer file may need others than the run's own."""


def forecast(arguments: argparse.Namespace) -> Answer:
    """Write the forecast beyond the end of the run's table, or of a newer one, and keep it in the ledger.

    Raises:
        TimeLLMError: the run folder, the newer table or the output file cannot be used.
    """
    from timellm.errors import ConfigError

    if arguments.out is None and not arguments.keep:
        raise ConfigError("name a file for the forecast with --out, or keep it in the ledger with --keep")
    if not arguments.keep and (arguments.by or arguments.note):
        raise ConfigError("--by and --note go into the ledger; give --keep, too")
    if arguments.out is not None:
        inputs = run_inputs(arguments.run_dir, arguments.data, arguments.known)
        check_out(arguments.out, force=arguments.force, inputs=inputs)
    frame, newer, differs = _forecast(arguments)
    answers = []
    if arguments.out is not None:
        answers.append(_written(arguments.out, frame))
    if arguments.keep:
        answers.append(keep_forecast(arguments, newer))
    if differs:
        said = "\n".join(["", "Beside the run's own table:", *(f"- {one.sentence}" for one in differs)])
        answers.append(Answer({"differences": [one.to_dict() for one in differs]}, said))
    return Answer(
        {key: value for one in answers for key, value in one.data.items()}, "\n".join(one.text for one in answers)
    )


def _written(out: Path, frame: pd.DataFrame) -> Answer:
    from timellm.data.exported import write_csv

    write_out(out, lambda path: write_csv(frame, path))
    channels, first, last = frame["unique_id"].nunique(), frame["ds"].min(), frame["ds"].max()
    data = {"out": out.resolve(), "rows": len(frame), "channels": channels, "start": first, "end": last}
    return Answer(data, f"{out}: {len(frame):,} rows, {channels} channels, {first} to {last}")


def _forecast(arguments: argparse.Namespace) -> tuple[pd.DataFrame, Newer | None, tuple[Difference, ...]]:
    """The forecast, where it is from if that is a newer table, and how that one differs from the run's own."""
    from timellm.errors import DataError
    from timellm.evaluation.intervals import DEFAULT_LEVELS
    from timellm.ledger.keeping import Newer

    reading, levels = reading_of(arguments), levels_of(arguments.levels)
    if arguments.data is not None or arguments.known is not None:
        from timellm.forecasting.fitted import FittedRun
        from timellm.forecasting.newer import differences

        fitted = FittedRun.load(arguments.run_dir, trust_remote_code=arguments.trust_remote_code)
        known, table = arguments.known and arguments.known.resolve(), fitted.table
        differs: tuple[Difference, ...] = ()
        if arguments.data is not None:
            table = fitted.newer(arguments.data.resolve(), known=known, **reading)
            differs = differences(fitted.table, table, context=fitted.config.task.context)
        if known is not None:
            table = fitted.told(table, known)
        kept = levels or (DEFAULT_LEVELS if arguments.keep and fitted.intervals is not None else ())
        frame = fitted.forecast(table, levels=kept)
        asked = frame if levels else frame[["unique_id", "ds", "yhat"]]
        return asked, Newer(table, frame, str((arguments.data or Path(fitted.config.data.path)).resolve())), differs
    folder = opened(arguments.run_dir)
    frame = folder.future()  # worked out when the run ended
    if frame.empty:
        folder.check_known()
        raise DataError(
            f"the run in {arguments.run_dir} forecasts no channel, because each misses values in its last rows; "
            "give a table that is complete at its end with --data"
        )
    if not levels:
        return frame, None, ()
    frame = folder.banded(frame, levels)
    return frame, Newer(folder.table(), frame, folder.config().data.path), ()


def levels_of(text: str | None) -> tuple[int, ...]:
    """The levels of bands that `--levels 80,95` names.

    Raises:
        ConfigError: one is no whole number from 10 to 99.
    """
    from timellm.errors import ConfigError
    from timellm.evaluation.intervals import LEAST_LEVEL, MOST_LEVEL, check_levels

    parts = [part.strip().removesuffix("%").strip() for part in (text or "").split(",") if part.strip()]
    if wrong := [part for part in parts if not part.isdecimal()]:
        raise ConfigError(
            f"'{wrong[0]}' in --levels is no level; give whole numbers from {LEAST_LEVEL} to {MOST_LEVEL},"
            " such as 80,95"
        )
    return check_levels(map(int, parts))


def reading_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings of `--set`, which answer a question about the newer file, and its repairs."""
    from timellm.config import parse_setting
    from timellm.errors import ConfigError

    reading = dict(map(parse_setting, arguments.settings)) | repair_of(arguments)
    if other := sorted(reading.keys() - set(READING)):
        raise ConfigError(
            f"setting '{other[0]}' is the run's own; --set takes here {', '.join(READING)}, which say how "
            "the file of --data is read"
        )
    if reading and arguments.data is None:
        raise ConfigError("--set says how the file of --data is read, and --data is not given; leave --set out")
    return reading


def evaluate(arguments: argparse.Namespace) -> Answer:
    """The errors of every model on the test part, from new forecasts or as the run stored them; or on another table.

    Raises:
        CheckpointError: the run folder is incomplete or damaged.
        BackboneError: the backbone cannot be loaded on this machine.
        ConfigError: --set is given without --data, or --stored with it.
    """
    if arguments.data is not None:
        return evaluated_elsewhere(arguments)
    from timellm.errors import ConfigError
    from timellm.evaluation.intervals import DEFAULT_LEVELS, NO_INTERVALS

    if arguments.settings or arguments.repair:
        raise ConfigError("--set and --repair say how the table of --data is read, and --data is not given")
    if arguments.stored:
        scores = opened(arguments.run_dir).scores()
    else:
        from timellm.pipeline import evaluate as run_evaluation

        with Bar() as bar:
            trusted = arguments.trust_remote_code
            scores = run_evaluation(arguments.run_dir, trust_remote_code=trusted, on_progress=bar.show)
    folder = opened(arguments.run_dir)
    verdict, card = folder.verdict(arguments.metric), folder.coverage()
    said = [card.made_of(DEFAULT_LEVELS[0]), *map(card.sentence, DEFAULT_LEVELS)] if card else [NO_INTERVALS]
    board = scored_board(scores, folder.comparisons(), arguments.metric)
    data = {**board, "verdict": verdict.to_dict(), "coverage": card.to_dict() if card else None}
    return Answer(data, scored_text(scores, verdict, by=arguments.by, said=said))


def run_inputs(run_dir: Path, *newer: Path | None) -> Iterator[Path]:
    """Files that no result may replace: the table that the run learned from, newer ones, and the run's own.

    The run's folder is read with the first file that is taken: an output that cannot be written is refused before.
    """
    yield Path(opened(run_dir).config().data.path)
    yield from (one for one in newer if one is not None)
    yield from (one for one in run_dir.iterdir() if one.suffix not in (".csv", ".parquet", ".png", ".svg", ".pdf"))


def opened(run_dir: Path) -> RunFolder:
    from timellm.forecasting.artifacts import RunFolder

    folder = RunFolder(run_dir)
    folder.config()  # says so if this is no run folder at all, rather than that one result is missing
    return folder
