"""What a receipt says: a row for each precision, what was measured, where and when; with a JSON round trip."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal, Self

from timellm.json_text import parse_json

Precision = Literal["float32", "bfloat16", "float16", "8bit", "4bit"]
"""How the frozen layers are stored; the first three also calculate in it."""


@dataclass(frozen=True)
class ReceiptRow:
    """One precision. A number is None if it could not be measured, and `cause` then says why."""

    precision: Precision
    arithmetic: str | None = None
    """What the layers calculate in: float32, bfloat16 or float16."""
    weights_mib: float | None = None
    """Every tensor of the backbone, scales and tables of the quantization included."""
    peak_mib: float | None = None
    """Most memory that the process held while it loaded, trained and validated; on a GPU, what it allocated there."""
    step_s: float | None = None
    """Median of the timed training steps."""
    timed_steps: int = 0
    hidden_error: float | None = None
    """Distance of a hidden state at a patch from float32's, over the length of that; mean of all patches."""
    hidden_cosine: float | None = None
    """Mean cosine of the two."""
    gradient_error: float | None = None
    """Distance of the gradient that reaches the patches from float32's, over the length of that."""
    gradient_cosine: float | None = None
    others_share: float | None = None
    """Share of the processor that other work took meanwhile, 0 to 1."""
    cause: str = ""


@dataclass(frozen=True)
class Machine:
    """Where it was measured."""

    processor: str
    cores: int
    memory_mib: float
    gpu: str | None
    """The graphics card that was used; None if none was."""
    torch: str


@dataclass(frozen=True)
class Receipt:
    """The quantizations of one backbone side by side."""

    backbone: str
    layers: int
    context: int
    horizon: int
    batch_size: int
    table: str
    """File name of the table whose windows were read."""
    windows: int
    """Windows over which the errors were taken."""
    rows: tuple[ReceiptRow, ...]
    machine: Machine
    measured: datetime
    """UTC."""

    def row(self, *precisions: Precision) -> ReceiptRow | None:
        """The first of `precisions` that has a row and was measured."""
        found = {row.precision: row for row in self.rows if not row.cause}
        return next((found[name] for name in precisions if name in found), None)

    @property
    def half(self) -> ReceiptRow | None:
        """The row in 16 bits, if it was measured."""
        return self.row("bfloat16", "float16")

    @property
    def others_share(self) -> float:
        """The largest share of the processor that other work took while a row was measured."""
        return max((row.others_share or 0.0 for row in self.rows), default=0.0)

    def to_json(self) -> str:
        """JSON text."""
        return json.dumps(asdict(self) | {"measured": self.measured.isoformat()}, indent=2)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Inverse of `to_json`.

        Raises:
            ValueError, TypeError, KeyError: the text is damaged, or another version has written it.
        """
        tree = parse_json(text, constants=True)
        return cls(
            **tree
            | {
                "rows": tuple(ReceiptRow(**row) for row in tree["rows"]),
                "machine": Machine(**tree["machine"]),
                "measured": datetime.fromisoformat(tree["measured"]),
            }
        )
