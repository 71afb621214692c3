"""Why a run failed, in one line. An exception goes in; a text comes out that says what would help."""

from __future__ import annotations

import errno

from timellm.errors import TimeLLMError


def mendable(error: BaseException) -> str | None:
    """The cause in one line if it is the user's to mend (settings, data, memory, disk), else None: then it is a bug."""
    text = " ".join(str(error).split())
    if isinstance(error, TimeLLMError):
        return text
    # torch reports a full GPU by a RuntimeError of its own, and full main memory by a plain one.
    torch_is_full = isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)
    if isinstance(error, MemoryError) or torch_is_full:
        remedy = "use a smaller batch_size, context or number of layers, or a 4bit quantization"
        return f"out of memory; {remedy}" + (f" ({text[:200]})" if text else "")
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"the disk is full ({text[:200]}); make room, then start again"
    return None


def cause_of(error: BaseException) -> str:
    """The cause in one line, whatever it is."""
    found = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return mendable(error) or f"a bug: {found}; the log has the traceback"
