"""What a protocol is: a name, the options that it takes, and three functions: plan, measure and table.

Inputs: `Asked`, the user's wishes. Outputs: `Plan`, the runs to make; `Measured`, what one finished run came to;
`ResultTable`, all of them as people read it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from timellm.config import RunConfig
from timellm.errors import ConfigError

Key = Mapping[str, str | int]


@dataclass(frozen=True)
class Option:
    """What a protocol lets the user choose; on the command line `--NAME VALUE ...`."""

    name: str
    meaning: str
    """In a few words, for help texts."""
    usual: tuple[str, ...]
    """What is taken when nothing is given; empty where each set has its own."""
    choices: tuple[str, ...] = ()
    """All that may be given; empty where any whole number may."""
    several: bool = True
    key: tuple[str, ...] = ()
    """Parts of a cell's key that it chooses, joined by "-"; empty for what is no choice of rows, such as seeds."""

    def checked(self, given: Sequence[str]) -> tuple[str, ...]:
        """The values given, each once, or the usual ones.

        Raises:
            ConfigError: a value is none of the choices, no whole number where there are none, or there are too many.
        """
        values = tuple(dict.fromkeys(given)) or self.usual
        for value in values:
            if self.choices and value not in self.choices:
                raise ConfigError(f"--{self.name}: there is no '{value}'; there are: {', '.join(self.choices)}")
            if not self.choices and not value.isdecimal():
                raise ConfigError(f"--{self.name}: give whole numbers, not '{value}'")
        if len(values) > 1 and not self.several:
            raise ConfigError(f"--{self.name} takes one value, and {len(values)} are given")
        return values


@dataclass(frozen=True)
class Asked:
    """What the user wants of a protocol."""

    data: Path
    """Folder with the files."""
    chosen: Mapping[str, tuple[str, ...]]
    """Values of every option of the protocol."""
    settings: tuple[str, ...] = ()
    """Further settings as key=value; one goes to every run whose kind has it."""

    def of(self, option: Option) -> tuple[str, ...]:
        """What was chosen of an option."""
        return self.chosen[option.name]

    @property
    def further(self) -> dict[str, str]:
        """The further settings by name, in the order of the alphabet."""
        parted = (text.partition("=") for text in self.settings)
        return dict(sorted((name.strip(), value.strip()) for name, _, value in parted))

    def numbers(self, option: Option) -> tuple[int, ...]:
        """The same as whole numbers."""
        return tuple(map(int, self.of(option)))

    def has(self, options: Sequence[Option], key: Key) -> bool:
        """Whether a cell is among what was chosen, with any seed; an option without a choice takes every cell."""
        wanted = [(option.key, self.of(option)) for option in options if option.key and self.of(option)]
        return all("-".join(str(key[part]) for part in parts) in chosen for parts, chosen in wanted)


@dataclass(frozen=True)
class Cell:
    """One run of a protocol."""

    key: Key
    """What tells it from the other cells, such as set, horizon, model and seed; goes into every file of results."""
    config: RunConfig
    title: str
    """As the run is called in the list of runs."""
    size: tuple[int, int] | None = None
    """Rows and channels of its table, as published, for an estimate of its time; None where that says too little."""


@dataclass(frozen=True)
class MissingFile:
    """A file that the folder does not have."""

    name: str
    """The exact name that is wanted."""
    what: str
    """Which set it is."""
    source: str
    """Where it is from, in words."""

    def __str__(self) -> str:
        return f"{self.what}: {self.name} is not there. {self.source}"


@dataclass(frozen=True)
class Plan:
    """What is to be run."""

    cells: tuple[Cell, ...]
    missing: tuple[MissingFile, ...] = ()
    """What is there is run all the same."""
    notes: tuple[str, ...] = ()
    """What was done to the data, in sentences."""
    there: tuple[str, ...] = ()
    """Names of the wanted files that the folder has."""


@dataclass(frozen=True)
class Measured:
    """What the finished run of one cell came to."""

    key: Key
    settings: Mapping[str, str]
    """Further settings that the user asked for; cells with other settings are other cells."""
    numbers: Mapping[str, Any]
    """Errors, counts of windows and whatever else the protocol measures; JSON-safe."""
    seconds: float | None
    memory_mib: float | None
    machine: str
    """Processor, cores and graphics card."""
    versions: Mapping[str, str]
    """Of Python, this program and the libraries that calculate."""
    moment: str
    """When the run ended, in UTC."""
    notes: tuple[str, ...] = ()

    @property
    def identity(self) -> tuple[tuple[str, str], ...]:
        """Equal for two measurements of the same cell."""
        return tuple(sorted((name, str(value)) for name, value in {**self.settings, **self.key}.items()))

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        return asdict(self)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            KeyError, TypeError: a field is missing or unknown.
        """
        return cls(**{**tree, "notes": tuple(tree["notes"])})


@dataclass(frozen=True)
class ResultTable:
    """Results as people read them."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """As a Markdown table with the notes below it."""
        lines = [_row(self.header), _row(["---"] * len(self.header)), *map(_row, self.rows), ""]
        return "\n".join([*lines, *(f"- {note}" for note in self.notes)]) + "\n"


@dataclass(frozen=True)
class Protocol:
    """One experiment of a paper."""

    name: str
    """As after `timellm protocol`."""
    title: str
    purpose: str
    """What it answers, and the papers that report it, in a sentence."""
    options: tuple[Option, ...]
    plan: Callable[[Asked], Plan]
    """Raises ConfigError or DataError where nothing can be planned."""
    measure: Callable[[Cell, Path], Mapping[str, Any]]
    """The numbers of a cell from its finished run's folder; raises CheckpointError where that is damaged."""
    table: Callable[[Sequence[Measured]], ResultTable]

    def asked(
        self, data: Path, given: Mapping[str, Sequence[str]] | None = None, settings: Sequence[str] = ()
    ) -> Asked:
        """The user's wishes, checked; an option that is not given has its usual values.

        Raises:
            ConfigError: the protocol has no such option, or a value is not allowed.
        """
        given, names = given or {}, [option.name for option in self.options]
        if unknown := [name for name in given if name not in names]:
            options = ", ".join(f"--{name}" for name in names)
            raise ConfigError(f"the protocol '{self.name}' has no option --{unknown[0]}; it has {options}")
        chosen = {option.name: option.checked(given.get(option.name, ())) for option in self.options}
        return Asked(data, chosen, tuple(settings))


def _row(parts: Sequence[str]) -> str:
    return f"| {' | '.join(part.replace('|', '/') for part in parts)} |"
