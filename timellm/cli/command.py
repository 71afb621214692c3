"""The command line: parses arguments, calls one verb, prints its answer, and returns an exit code."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

from timellm.cli.answer import printable
from timellm.cli.verbs import parser
from timellm.errors import TimeLLMError
from timellm.jobs.store.cause import mendable
from timellm.workspace import is_main_process


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return the exit code."""
    chosen = parser().parse_args(arguments)
    try:
        # Only the answer belongs on standard output, whatever a library may print.
        with contextlib.redirect_stdout(sys.stderr):
            answer = chosen.verb(chosen)
        if is_main_process():
            print(answer.json() if chosen.json else printable(answer.text), flush=True)
        if answer.error:
            print(f"error: {printable(answer.error)}", file=sys.stderr)
            return 2
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (TimeLLMError, MemoryError, OSError, RuntimeError) as error:  # torch is out of memory by a RuntimeError
        if (cause := mendable(error)) is None:
            raise
        print(f"error: {printable(cause)}", file=sys.stderr)
        return 2
    return 0
