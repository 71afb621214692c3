"""The commands of the workbench without a browser: `python -m timellm VERB`.

Results go to standard output (with --json as JSON and nothing else), progress and errors to standard error. Exit code
0: done; 2: an error that the user can correct, in one line; 1: a bug, with its traceback; 130: interrupted.
Modules that load slowly are imported inside the verbs, so that `--help` answers at once.
"""

from timellm.cli.command import main

__all__ = ["main"]
