"""The errors a user can act on. Each text says what was found, where, and what to do.

Pages and the command line show these as they are; any other exception is a bug and is shown as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


class TimeLLMError(Exception):
    """Root of every error that is the user's to mend."""


class DataError(TimeLLMError):
    """The table cannot be used: names the column and row, and the remedy."""

    evidence: object | None = None
    """What is at fault as data, where it is known (timellm.data.unfit)."""

    def __init__(self, message: str):
        """`message` may quote a stranger's cells and names: what cannot be printed is written \\x1b, line ends ⏎."""
        super().__init__("".join(map(_shown, message)))


def _shown(sign: str) -> str:
    return sign if sign.isprintable() else "⏎" if sign == "\n" else sign.encode("unicode_escape").decode()


@dataclass(frozen=True)
class Choice:
    """One answer to a question about a table: the setting's value, and what the table then says."""

    value: str
    label: str
    """What the value means, such as "decimal comma"."""
    reading: str
    """The first cells in question as they are read then."""


class QuestionError(DataError):
    """The table can be read in several ways and does not say which; one setting answers."""

    def __init__(self, found: str, *, setting: str, choices: Iterable[Choice]):
        """`found` is one sentence, without a full stop, on what can be read in several ways."""
        self.found, self.setting, self.choices = found, setting, tuple(choices)
        readings = "; ".join(f"--set {setting}={one.value}: {one.label} ({one.reading})" for one in self.choices)
        super().__init__(f"{found}. Choose one in setting '{setting}': {readings}")

    def __reduce__(self) -> tuple[Callable[..., QuestionError], tuple[str, str, tuple[Choice, ...]]]:
        # An exception is copied from its message alone, which is not what this one is made from.
        return _question, (self.found, self.setting, self.choices)


def _question(found: str, setting: str, choices: tuple[Choice, ...]) -> QuestionError:
    return QuestionError(found, setting=setting, choices=choices)


class RepairableError(DataError):
    """The table cannot be used as it is, and each of some repairs would make it usable."""

    def __init__(self, found: str, repairs: Iterable[str], evidence: object | None = None):
        """`found` says what is wrong and where; `repairs` are steps of the setting `repair`, the likeliest first."""
        self.found, self.repairs, self.evidence = found, tuple(repairs), evidence
        ways = " or ".join(f"repair={step}" for step in self.repairs)
        super().__init__(f"{found}; or mend it with {ways}" if ways else found)

    def without_repairs(self) -> DataError:
        """The same error where none of the repairs would do."""
        error = DataError(self.found)
        error.evidence = self.evidence
        return error

    def __reduce__(self) -> tuple[type[RepairableError], tuple[str, tuple[str, ...], object | None]]:
        # An exception is copied from its message alone, which is not what this one is made from.
        return RepairableError, (self.found, self.repairs, self.evidence)


class ConfigError(TimeLLMError):
    """A setting has no meaning, or two settings contradict each other."""


class BackboneError(TimeLLMError):
    """The language model cannot be loaded, or does not support what the configuration sets."""


class CheckpointError(TimeLLMError):
    """A run folder is incomplete, damaged or made for something else."""


class LedgerError(TimeLLMError):
    """A kept forecast cannot be stored, read, adjusted or scored."""


class JobError(TimeLLMError):
    """A background run cannot be started, stopped or found."""


class RunNotFoundError(JobError):
    """No run has this id: it was deleted, or the id is wrong."""


class LostError(JobError):
    """A process or a machine that worked on a run is gone."""


class StoreError(JobError):
    """The store of runs cannot be used at the moment: locked, on a full disk, or its server is not to be reached."""


def one_line(error: Exception) -> str:
    """What an error of a library says, on one line."""
    return " ".join(str(error).split())
