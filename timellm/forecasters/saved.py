"""How every kind refuses a forecaster's file that is missing, damaged or another forecaster's, in the same words.

Inputs: the file's path, and what its reader raises. Outputs: `CheckpointError` with what was found and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from timellm.errors import CheckpointError

REMEDY = "fit the run again"


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """For the block that reads `path` and makes a forecaster of its content.

    Raises:
        CheckpointError: the file is missing, cannot be read, or holds something else than was written.
    """
    try:
        yield
    except FileNotFoundError:
        raise CheckpointError(f"{path.parent} holds no {path.name}; {REMEDY}") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error}); let this user read it") from error
    except (ValueError, TypeError, LookupError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); {REMEDY}") from error


def check_same(path: Path, found: str, expected: str) -> None:
    """Compare whose file `path` is with whose it should be.

    Raises:
        CheckpointError: it is another forecaster's.
    """
    if found != expected:
        raise CheckpointError(f"{path} is of '{found}', not of '{expected}'; {REMEDY}")
