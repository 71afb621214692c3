"""Which exceptions mean that memory ran out. Importing this is cheap."""

from __future__ import annotations


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says so: torch reports a full GPU by an error of its own, full main memory by a plain one."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "allocate memory" in text)
