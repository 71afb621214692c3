"""What a run keeps of its prototypes beside their words: how near these are, and where the prototypes began.

Written once, after training, because it takes the backbone's vocabulary; read without it. Every list has one entry for
each prototype.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

from timellm.forecasters.time_llm.unlisted import WHY, Unlisted

SAME_WORD = 0.99
"""Cosine from which a prototype is said to be a word, and not only near it: an angle below 8 degrees."""


@dataclass(frozen=True)
class KeptDictionary:
    """The prototypes of one run."""

    random_cosine: float
    """What random mixtures of all words reach (`vocabulary.random_cosine`)."""
    cosines: list[list[float]]
    """With each of the words that name a prototype."""
    nearest: list[float]
    """With the nearest word, listed or not."""
    unlisted: list[Unlisted | None]
    """Why the nearest word is not listed; None if it is."""
    heaviest: list[list[tuple[str, float]]] | None
    """Words with the largest weights of the paper's map; None where there is no map."""
    start_words: list[str | None] | None
    """The word at which a prototype began; None if it began at none. No list where that was not kept."""
    start_cosines: list[float] | None
    """Between a prototype before and after training; None where that was not kept."""

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, tree: Any, *, count: int) -> Self:
        """The dictionary of `count` prototypes.

        Raises:
            TypeError, ValueError, LookupError: it is none.
        """
        found = cls(
            float(tree["random_cosine"]),
            [[float(one) for one in row] for row in tree["cosines"]],
            [float(one) for one in tree["nearest"]],
            list(tree["unlisted"]),
            _optional(tree["heaviest"], lambda row: [(_text(word), float(weight)) for word, weight in row]),
            _optional(tree["start_words"], lambda word: None if word is None else _text(word)),
            _optional(tree["start_cosines"], float),
        )
        lists = (found.cosines, found.nearest, found.unlisted, found.heaviest, found.start_words, found.start_cosines)
        if any(one is not None and len(one) != count for one in lists):
            raise ValueError(f"a list of it has not {count:,} prototypes")
        if not set(found.unlisted) <= {None, *WHY}:
            raise ValueError("it says of a word what no version says")
        return found


def _optional(values: Any, make: Any) -> Any:
    return None if values is None else [make(value) for value in values]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a word of it is no text")
    return value
