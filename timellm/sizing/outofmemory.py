"""Which exceptions mean that memory ran out. Importing this is cheap."""

from __future__ import annotations

_SIGNS = ("out of memory", "allocate memory", "not enough memory", "bad_alloc", "bad allocation")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says so: torch reports a full GPU by an error of its own, full main memory by plain ones."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(one in text for one in _SIGNS))
