"""What verbs share: the parser of a command line, and the options that several of them have.

Inputs: a verb's parser. Outputs: its arguments are added.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from timellm.cli.answer import printable
from timellm.forecasters.registry import OFFERED


class Parser(argparse.ArgumentParser):
    """Says what is wrong with a command line in one line, as every other error is said."""

    later: Callable[[argparse.ArgumentParser], None] | None = None
    """Adds the arguments of a verb when it is chosen, where they cannot be known without loading much."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does, after the arguments have been added."""
        if self.later is not None:
            add, self.later = self.later, None
            add(self)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Leave with exit code 2."""
        self.exit(2, f"error: {printable(' '.join(message.split()))}; '{self.prog} --help' shows how it is written\n")


def whole(least: int, most: int) -> Callable[[str], int]:
    """Reads a whole number of an option, from `least` to `most`."""

    def number(text: str) -> int:
        try:
            found = int(text)
        except ValueError:
            found = least - 1
        if not least <= found <= most:
            shown = text if len(text) <= 40 else f"{text[:40]}..."
            raise argparse.ArgumentTypeError(f"give a whole number from {least:,} to {most:,}, not {shown!r}")
        return found

    return number


def settings(
    one: argparse._ActionsContainer, text: str = "change a setting, such as horizon=24 or channels=load,price"
) -> None:
    """Add `--set`, which may be given again."""
    one.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="settings",
        help=f"{text}; may be given again",
    )


def starting_point(one: argparse.ArgumentParser) -> None:
    """Add what a new run begins with: where its settings come from, and the files beside its table."""
    start = one.add_mutually_exclusive_group()
    start.add_argument(
        "--config", type=Path, metavar="run.json", help="settings to start from, as in a run's config.json"
    )
    start.add_argument("--preset", metavar="NAME", help="settings to start from: laptop, 6gb, 24gb or paper")
    one.add_argument(
        "--known", type=Path, metavar="AHEAD.csv", help="second file with columns known ahead, named in known_ahead"
    )
    one.add_argument(
        "--pretrain", type=Path, nargs="+", metavar="TABLE.csv", help="train on these tables together first"
    )
    one.add_argument(
        "--model", choices=tuple(OFFERED), metavar="KIND", help=f"forecaster: {', '.join(OFFERED)} (time_llm)"
    )
    one.add_argument(
        "--describe",
        metavar="SET",
        help="describe the data as the prompt bank does this published set, such as ETTh1",
    )
    settings(one)
    repair(one)


def repair(
    one: argparse._ActionsContainer,
    text: str = "repair the table, such as resample:1h:mean, duplicates:mean, clip:0:100, fill:previous or "
    "timezone:Europe/Berlin; give it again for the next step",
) -> None:
    """Add `--repair`, which may be given again."""
    one.add_argument(
        "--repair",
        action="append",
        default=[],
        metavar="STEP",
        help=text,
    )


def force(one: argparse.ArgumentParser) -> None:
    """Add `--force`."""
    one.add_argument("--force", action="store_true", help="replace the file if it is there already")


def trust(one: argparse.ArgumentParser) -> None:
    """Add `--trust-remote-code`."""
    one.add_argument(
        "--trust-remote-code",
        action="store_true",
        help="run Python code that ships with the run's backbone; only for a source you trust",
    )
