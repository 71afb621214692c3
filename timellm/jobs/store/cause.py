"""The cause of a failure: one line that says what would help, and a kind. Inputs: an exception."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import TYPE_CHECKING

from timellm.errors import BackboneError, CheckpointError, ConfigError, DataError, LostError, StoreError, TimeLLMError
from timellm.sizing.outofmemory import is_out_of_memory

if TYPE_CHECKING:  # the command line imports this before it knows the verb
    from timellm.jobs.store.run import CauseKind
    from timellm.sizing.offers import Offer

_NO_PLACE = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP,
)  # fmt: skip
"""A file or folder that the user named cannot be used as it is."""
_KINDS: dict[type[TimeLLMError], CauseKind] = {
    DataError: "data",
    ConfigError: "settings",
    BackboneError: "backbone",
    CheckpointError: "disk",
    LostError: "lost",
}


def mendable(error: BaseException, offers: Sequence[Offer] = ()) -> str | None:
    """The cause in one line if the user can correct it (settings, data, memory, disk); None for a bug."""
    text = " ".join(str(error).split())
    if isinstance(error, TimeLLMError):
        return text
    if is_out_of_memory(error):
        return out_of_memory(offers) + (f" ({text[:200]})" if text else "")
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"the disk is full ({text[:200]}); make room, then start again"
    if isinstance(error, OSError) and error.errno in _NO_PLACE and error.filename is not None:
        where = str(error.filename)[:300]
        return f"{where} cannot be used ({error.strerror}); name another place, or change who may read and write it"
    return None


def kind_of(error: BaseException) -> CauseKind:
    """The kind of a failure; an error caused by a full disk counts as disk."""
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, OSError) and below.errno in (errno.ENOSPC, errno.EDQUOT, *_NO_PLACE):
            return "disk"
        if isinstance(below, StoreError):  # it lies on a disk, here or at its server
            return "disk"
        below = below.__cause__ or below.__context__
    if is_out_of_memory(error):
        return "memory"
    for kind, name in _KINDS.items():
        if isinstance(error, kind):
            return name
    return "crash"


def out_of_memory(offers: Sequence[Offer]) -> str:
    """The cause out of memory, with settings that would fit."""
    if not offers:
        return "out of memory; use a smaller batch_size, context or number of layers, or a 4bit quantization"
    ways = ", or ".join(f"{offer.as_options} ({offer.memory_mib:,.0f} MiB)" for offer in offers)
    return f"out of memory; it would fit with {ways}"


def cause_of(error: BaseException, offers: Sequence[Offer] = ()) -> str:
    """The cause in one line, whatever it is; `offers` are settings with which memory would not have run out."""
    found = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return mendable(error, offers) or f"a bug: {found}; the log has the traceback"
