"""The words of a prompt. `prompt` fills in a window's numbers; `memory` counts the tokens.

"paper" is the published text; "compact" says the same in a third of the tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LAGS = 5
STATISTICS = "Input statistics: "
"""The heading of a window's own numbers."""

PieceName = Literal[
    "frame", "description", "task", "time", "statistics", "minimum", "maximum", "median", "trend", "lags"
]
"""What a piece of a prompt says: frame stands for marks of begin and end, statistics for their heading."""


@dataclass(frozen=True)
class Piece:
    """A piece of a prompt; a prompt is its pieces joined."""

    name: PieceName
    text: str


@dataclass(frozen=True)
class PromptFacts:
    """What a prompt says, in the words in which it says it."""

    description: str
    context: int
    horizon: int
    told: tuple[str, ...]
    """Sentences on the window's place in time, each with a blank at its end, or empty."""
    minimum: str
    maximum: str
    median: str
    trend: str
    lags: tuple[str, ...]

    def pieces(self, style: str) -> list[Piece]:
        """The prompt in the wording of `style`."""
        time = [Piece("time", sentence) for sentence in self.told]
        shared = _shared(self.description, context=self.context, horizon=self.horizon)
        return [*shared, *time, Piece("statistics", STATISTICS), *self._statistics(style)]

    def text(self, style: str) -> str:
        """The prompt in the wording of `style`, as the tokenizer gets it."""
        return "".join(piece.text for piece in self.pieces(style))

    def _statistics(self, style: str) -> list[Piece]:
        if style == "paper":
            return [
                Piece("minimum", f"min value {self.minimum}, "),
                Piece("maximum", f"max value {self.maximum}, "),
                Piece("median", f"median value {self.median}, "),
                Piece("trend", f"the trend of input is {self.trend}, "),
                Piece("lags", f"top {len(self.lags)} lags are : [{', '.join(self.lags)}]"),
                Piece("frame", "<|<end_prompt>|>"),
            ]
        return [
            Piece("minimum", f"min {self.minimum} "),
            Piece("maximum", f"max {self.maximum} "),
            Piece("median", f"median {self.median} "),
            Piece("trend", f"trend {self.trend} "),
            Piece("lags", f"lags {' '.join(self.lags)}"),
        ]


def _shared(description: str, *, context: int, horizon: int) -> list[Piece]:
    """What every prompt of a run begins with."""
    return [
        Piece("frame", "<|start_prompt|>"),
        Piece("description", f"Dataset description: {description}"),
        Piece(
            "task",
            f"Task description: forecast the next {horizon} steps given the previous {context} steps information; ",
        ),
    ]


def digits(value: float, significant: int) -> str:
    """The number with that many significant digits; 0 means all it has."""
    return f"{value:.{significant}g}" if significant else str(value)
