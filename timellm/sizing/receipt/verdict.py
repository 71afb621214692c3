"""A receipt in one sentence, from its numbers alone. `Receipt` in, text out."""

from __future__ import annotations

from collections.abc import Callable

from timellm.sizing.load import BUSY_SHARE
from timellm.sizing.receipt.contents import Receipt, ReceiptRow

NAMES = {"float32": "float32", "bfloat16": "bfloat16", "float16": "float16", "8bit": "8-bit", "4bit": "4-bit"}
_SAME_TIME = 1.1  # medians of a few steps in different processes differ by that much
_SAME_MEMORY = 0.01
_SAME_ERROR = 1.2


def mib(amount: float) -> str:
    """Memory as the command line shows it."""
    return f"{amount:,.0f} MiB"


def verdict(receipt: Receipt, memory: Callable[[float], str] = mib) -> str:
    """How 16 bits compare with float32, and 8 and 4 bits with them; `memory` puts MiB into words.

    Time is left out when other work used the processor.
    """
    timed = receipt.others_share <= BUSY_SHARE
    dense, half = receipt.row("float32"), receipt.half
    base = half or dense
    if base is None:
        return "Nothing could be measured."
    clauses = []
    if half and dense:
        clauses.append(f"{NAMES[half.precision]} {_cost(half, dense, memory, timed=timed)}{_distance(half)}")
    for name in ("8bit", "4bit"):
        row = receipt.row(name)
        if row is not None:
            clauses.append(f"{NAMES[name]} {_cost(row, base, memory, timed=timed)}{_exact(row, base)}")
    clauses += [f"{NAMES[row.precision]} could not be measured" for row in receipt.rows if row.cause]
    return "; ".join(clauses) + "." if clauses else f"Only {NAMES[base.precision]} could be measured."


def _cost(row: ReceiptRow, base: ReceiptRow, memory: Callable[[float], str], *, timed: bool) -> str:
    """Time and memory against those of `base`."""
    than = NAMES[base.precision]
    base_mib = _known(base.peak_mib)
    saved = base_mib - _known(row.peak_mib)
    same = abs(saved) < _SAME_MEMORY * base_mib
    amount = "as much memory" if same else f"{memory(abs(saved))} {'less' if saved > 0 else 'more'} memory"
    lighter = _known(base.weights_mib) - _known(row.weights_mib)
    if not same and saved < 0 < lighter:  # the quantization library itself takes more than it saves
        amount += f" (its weights {memory(lighter)} less)"
    if not timed:
        return f"needs {amount} {'as' if same else 'than'} {than}"
    ratio = _known(row.step_s) / _known(base.step_s)
    if max(ratio, 1 / ratio) < _SAME_TIME:
        time = f"is as fast as {than}"
    elif ratio < 1:
        time = f"is {_times(1 / ratio)} as fast as {than}"
    else:
        time = f"takes {_times(ratio)} as long as {than}"
    return f"{time} and needs {amount}"


def _known(figure: float | None) -> float:
    assert figure is not None, "a row without a cause has all its figures"
    return figure


def _distance(row: ReceiptRow) -> str:
    return "" if row.gradient_error is None else f", with a gradient {_percent(row.gradient_error)} off"


def _exact(row: ReceiptRow, base: ReceiptRow) -> str:
    """Error of the gradient, compared with that of `base`."""
    if row.gradient_error is None:
        return ""
    if not base.gradient_error:  # float32 is the measure itself
        return _distance(row)
    ratio = row.gradient_error / base.gradient_error
    if max(ratio, 1 / ratio) < _SAME_ERROR:
        return ", with about the same gradient error"
    return f", with {_times(ratio)} its gradient error" if ratio > 1 else f", with {ratio:.0%} of its gradient error"


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} times" if ratio >= 9.5 else f"{ratio:.1f} times"


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.095 else f"{share:.1%}" if share >= 0.001 else f"{share:.1g}"
