"""The verb `ledger`: kept forecasts, what became of them, and adjustments by hand."""

from __future__ import annotations

import argparse
import getpass
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timellm.cli.answer import Answer, columns
from timellm.cli.output import check_out, write_out

if TYPE_CHECKING:
    from timellm.ledger.listing import Row
    from timellm.ledger.scoring import EntryScore, Score


def arguments_of(one: argparse.ArgumentParser) -> None:
    """Add what can be done with the ledger, and its options, to the verb."""
    actions = one.add_subparsers(title="actions", dest="action", metavar="ACTION")

    def action(name: str, text: str) -> argparse.ArgumentParser:
        made = actions.add_parser(name, help=text, description=text)
        # Without a default of its own: that would undo a --json before the action.
        made.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print the result as JSON")
        return made

    def by(made: argparse.ArgumentParser) -> None:
        made.add_argument("--by", default=who(), metavar="NAME", help=f"who does it ({who()})")

    action("list", "List the kept forecasts, newest first, each with its score as far as it is known.")
    scoring = action("score", "Take actual values from a grown table, and score every forecast that it belongs to.")
    scoring.add_argument(
        "--data", type=Path, metavar="GROWN.csv", help="a table, or a folder of them; ledger/inbox else"
    )
    scoring.add_argument("--entry", metavar="ID", help="this forecast only")
    scoring.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="settings",
        help="read the table in another way than the run's own, such as decimal=comma; may be given again",
    )  # fmt: skip
    by(scoring)
    changing = action("adjust", "Change values of a kept forecast by hand; the model's numbers stay beside them.")
    changing.add_argument("entry", metavar="ID", help="a kept forecast; its first or last letters do")
    changing.add_argument("--channel", help="the first one when not given")
    changing.add_argument("--from", dest="begin", metavar="TIME", help="first moment; the first of the forecast else")
    changing.add_argument("--to", dest="end", metavar="TIME", help="last moment; the last of the forecast else")
    does = changing.add_mutually_exclusive_group(required=True)
    does.add_argument("--value", type=float, metavar="X", help="put this value there")
    does.add_argument("--add", type=float, metavar="X", help="add this to what stands there")
    does.add_argument("--times", type=float, metavar="X", help="multiply what stands there by this")
    does.add_argument("--withdraw", action="store_true", help="take the model's numbers again")
    changing.add_argument("--reason", required=True, metavar="TEXT", help="why")
    by(changing)
    showing = action("show", "Show one kept forecast: where it is from, its scores, and what was adjusted.")
    showing.add_argument("entry", metavar="ID")
    exporting = action("export", "Write every point of the kept forecasts, with adjustments and actual values.")
    exporting.add_argument("entry", nargs="?", metavar="ID", help="this forecast only")
    exporting.add_argument("--out", type=Path, required=True, metavar="F.csv", help="a .csv or .parquet file")
    exporting.add_argument("--force", action="store_true", help="replace the file if it is there already")


def who() -> str:
    """The user of this machine, as the ledger names who did something."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a user of this number
        return f"user {os.getuid()}"


def ledger(arguments: argparse.Namespace) -> Answer:
    """Do what was asked; list the forecasts when nothing was.

    Raises:
        TimeLLMError: there is no such forecast, or something cannot be read or written.
    """
    verbs = {"list": _list, "score": _score, "adjust": _adjust, "show": _show, "export": _export}
    return verbs[arguments.action or "list"](arguments)


def keep_forecast(arguments: argparse.Namespace, newer: Any) -> Answer:
    """Keep the forecast of a run that the verb `forecast` has made.

    Raises:
        TimeLLMError: the run has none, or it cannot be kept.
    """
    from timellm.jobs.local.reported import run_at
    from timellm.jobs.store.run_store import Store
    from timellm.ledger.keeping import keep

    run = run_at(arguments.run_dir, Store.open())
    said = {"by": arguments.by or who(), "note": arguments.note, "run_name": run.name if run else ""}
    kept = keep(arguments.run_dir, **said, newer=newer)
    entry = kept.entry
    words = "is kept as" if kept.new else "was kept before, as"
    text = f"the forecast from {entry.cutoff} to {entry.end} {words} {entry.id}"
    data = {"entry": entry.id, "new": kept.new, "cutoff": entry.cutoff, "end": entry.end, "channels": entry.channels}
    return Answer(data, text)


def _list(arguments: argparse.Namespace) -> Answer:
    from timellm.ledger.folder import Ledger
    from timellm.ledger.listing import rows

    found = rows(Ledger.open())
    return Answer([_facts(row) for row in found], _table(found))


def _table(found: tuple[Row, ...]) -> str:
    if not found:
        return "no forecast is kept yet; keep one with 'forecast DIR --keep' or on the Forecast page"
    header = ("forecast", "run", "by", "cutoff", "state", "known", "mae", "promised", "skill", "remark")
    lines: list[tuple[Any, ...]] = []
    for row in found:
        if row.score is None:
            lines.append((row.entry_id, *[None] * 8, row.damage))
            continue
        entry, overall = row.score.entry, row.score.overall
        remark = "above the limit: consider refitting" if row.score.below_promise else ""
        lines.append(
            (
                entry.id, entry.run.name, entry.by, entry.cutoff, row.score.state, f"{overall.known} of {overall.of}",
                overall.mae, overall.judged.promised, overall.skill, remark,
            )
        )  # fmt: skip
    return columns(header, lines)


def _score(arguments: argparse.Namespace) -> Answer:
    from timellm.config import parse_setting
    from timellm.errors import LedgerError
    from timellm.ledger.arriving import bring, inbox, tables_in
    from timellm.ledger.folder import Ledger
    from timellm.ledger.listing import rows
    from timellm.ledger.words import revised_words, values

    found = Ledger.open()
    if arguments.data is None:
        files = inbox(found)
        if not files:
            raise LedgerError(f"there is no table in {found.root / 'inbox'}; put one there, or name it with --data")
    elif not arguments.data.exists():
        raise LedgerError(f"there is no table {arguments.data}")
    else:
        files = tables_in(arguments.data) if arguments.data.is_dir() else (arguments.data,)
    entries = None if arguments.entry is None else [found.find(arguments.entry)]
    reading = dict(map(parse_setting, arguments.settings))
    outcomes = bring(found, files, by=arguments.by, entries=entries, reading=reading)
    scored = rows(found, entries)
    lines = []
    for one in outcomes:
        if one.refused:
            lines.append(f"{one.entry_id}: {one.file} does not belong to it: {one.refused}")
        else:
            revised = f"; {revised_words(one.revised)}" if one.revised else ""
            lines.append(f"{one.entry_id}: {values(one.new, 'new actual value')} from {one.file}{revised}")
    data = {"outcomes": [vars(one) for one in outcomes], "forecasts": [_facts(row) for row in scored]}
    warnings = [line for row in scored if row.score for line in _warnings(row.score)]
    return Answer(data, "\n".join([*lines, "", _table(scored), *(["", *warnings] if warnings else [])]))


def _warnings(found: EntryScore) -> list[str]:
    from timellm.ledger.listing import refit_command
    from timellm.ledger.words import actuals_words, revised_words

    lines = []
    if found.revised:
        first = found.revised[0]
        lines.append(
            f"{found.entry.id}: {revised_words(len(found.revised))}, such as"
            f" {first.channel} at {first.moment}, from {first.seen} to {first.now}; the score does not use them"
        )
    if found.revised_actuals:
        lines.append(f"{found.entry.id}: {actuals_words(found.revised_actuals)}")
    if found.below_promise:
        judged = found.overall.judged
        lines.append(
            f"{found.entry.id}: the error is {judged.ratio:.2f} times the promised one, and 95 in 100 of"
            f" {judged.windows:,} test windows stay below {judged.limit_ratio:.2f}; refit with: {refit_command(found)}"
        )
    return lines


def _adjust(arguments: argparse.Namespace) -> Answer:
    import pandas as pd

    from timellm.errors import LedgerError
    from timellm.ledger.adjusting import adjust
    from timellm.ledger.folder import Ledger
    from timellm.ledger.points import current, points
    from timellm.ledger.words import values

    found = Ledger.open()
    entry = found.entry(found.find(arguments.entry))
    channel = arguments.channel or entry.channels[0]
    if channel not in entry.channels:
        raise LedgerError(f"the forecast has no channel '{channel}'; it has: {', '.join(entry.channels)}")
    all_points = points(found, entry)
    rows = all_points[all_points["unique_id"] == channel]
    begin, end = (_moment(arguments.begin, rows["ds"].min()), _moment(arguments.end, rows["ds"].max()))
    rows = rows[(rows["ds"] >= begin) & (rows["ds"] <= end)]
    if rows.empty:
        raise LedgerError(
            f"the forecast has no moment from {begin} to {end}; it goes from {entry.cutoff} to {entry.end}"
        )
    now = current(rows)
    if arguments.withdraw:
        value = now * float("nan")
    elif arguments.value is not None:
        value = now * 0 + arguments.value
    else:
        value = now + arguments.add if arguments.add is not None else now * arguments.times
    wanted = pd.DataFrame({"unique_id": channel, "ds": rows["ds"], "value": value})
    made = adjust(found, entry, wanted, by=arguments.by, reason=arguments.reason).adjustment
    text = f"{entry.id}: {values(len(made.changes))} of {channel} adjusted by {made.by}: {made.reason}"
    return Answer({"entry": entry.id, **made.to_dict()}, text)


def _moment(text: str | None, otherwise: Any) -> Any:
    import pandas as pd

    from timellm.errors import LedgerError

    if text is None:
        return otherwise
    try:
        return pd.Timestamp(text)
    except ValueError:
        raise LedgerError(f"'{text}' is no moment; write it like 2024-01-31 13:00") from None


def _show(arguments: argparse.Namespace) -> Answer:
    from timellm.ledger.folder import Ledger
    from timellm.ledger.scoring import score
    from timellm.ledger.words import adjustment_sentence, promise_sentence, values

    ledger_ = Ledger.open()
    found = score(ledger_, ledger_.find(arguments.entry))
    entry, adjustments = found.entry, ledger_.adjustments(found.entry.id)
    lines = [
        f"{entry.id}, kept {entry.made:%Y-%m-%d %H:%M} UTC by {entry.by}{': ' * bool(entry.note)}{entry.note}",
        f"run {entry.run.name} ({entry.run.folder}), {entry.run.model}",
        f"settings sha256 {entry.run.settings_sha256}",
        *(f"{name} sha256 {digest}" for name, digest in entry.run.weights_sha256.items()),
        f"table {entry.source}, sha256 of its values {entry.table_sha256}",
        f"from {entry.cutoff} to {entry.end}, one row every {entry.frequency}; {found.state}",
        "",
        _scores_table([found.overall, *found.channels] if len(found.channels) > 1 else [found.overall]),
    ]
    lines += ["", promise_sentence(found), *_warnings(found)]
    for one in adjustments:
        lines.append(f"{one.at:%Y-%m-%d %H:%M} UTC {one.by} adjusted {values(len(one.changes))}: {one.reason}")
    if found.overall.adjusted is not None:
        lines.append(adjustment_sentence(found))
    data = {**entry.to_dict(), **_facts_of(found), "adjustments": [one.to_dict() for one in adjustments]}
    return Answer(data, "\n".join(lines).rstrip())


def _scores_table(scores: list[Score]) -> str:
    levels = sorted({level for one in scores for level in one.coverage})
    header = [
        "",
        "known",
        "mae",
        "promised",
        "limit",
        "skill",
        "mase",
        *(f"in {level:g} %" for level in levels),
        "adjusted",
    ]
    lines = [
        [
            one.channel, f"{one.known} of {one.of}", one.mae, one.judged.promised, one.judged.limit, one.skill,
            one.mase, *(one.coverage.get(level) for level in levels), one.adjusted.adjusted if one.adjusted else None,
        ]
        for one in scores
    ]  # fmt: skip
    return columns(header, lines)


def _export(arguments: argparse.Namespace) -> Answer:
    from timellm.data.exported import write_csv
    from timellm.errors import ConfigError
    from timellm.ledger.folder import Ledger
    from timellm.ledger.listing import all_points

    if arguments.out.suffix not in (".csv", ".parquet"):
        raise ConfigError(f"--out {arguments.out}: name a .csv or a .parquet file")
    check_out(arguments.out, force=arguments.force)
    found = Ledger.open()
    frame = all_points(found, None if arguments.entry is None else [found.find(arguments.entry)])
    write = write_csv if arguments.out.suffix == ".csv" else _write_parquet
    write_out(arguments.out, lambda path: write(frame, path))
    count = frame["entry"].nunique()
    data = {"out": arguments.out.resolve(), "rows": len(frame), "forecasts": count}
    return Answer(data, f"{arguments.out}: {len(frame):,} points of {count} kept forecasts")


def _write_parquet(frame: Any, path: Path) -> None:
    frame.to_parquet(path, index=False)


def _facts(row: Row) -> dict[str, Any]:
    if row.score is None:
        return {"entry": row.entry_id, "damage": row.damage}
    entry = row.score.entry
    facts = {name: getattr(entry, name) for name in ("made", "by", "note", "cutoff", "end", "horizon", "channels")}
    return {"entry": entry.id, "run": entry.run.id, "run_name": entry.run.name, **facts, **_facts_of(row.score)}


def _facts_of(found: EntryScore) -> dict[str, Any]:
    return {
        "state": found.state,
        "below_promise": found.below_promise,
        "scores": [_numbers(one) for one in (found.overall, *found.channels)],
        "revised": [vars(one) for one in found.revised],
        "revised_actuals": found.revised_actuals,
    }


def _numbers(one: Score) -> dict[str, Any]:
    judged = {
        name: getattr(one.judged, name) for name in ("promised", "limit", "ratio", "limit_ratio", "windows", "reason")
    }
    numbers = {name: getattr(one, name) for name in ("channel", "known", "of", "mae", "naive_mae", "skill", "mase")}
    adjusted = None if one.adjusted is None else vars(one.adjusted)
    return {
        **numbers,
        "coverage": dict(one.coverage),
        "promise": judged,
        "above": one.judged.above,
        "adjusted": adjusted,
    }
