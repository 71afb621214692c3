"""`app`: the pages of the workbench, served until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import sys

from timellm.cli.answer import Answer
from timellm.installation import app_script


def app(arguments: argparse.Namespace) -> Answer:
    """Become the server of the pages; they keep runs and uploads where this command would."""
    options = {"--server.port": arguments.port, "--server.address": arguments.address}
    given = [f"{name}={value}" for name, value in options.items() if value is not None]
    os.execv(sys.executable, [sys.executable, "-m", "streamlit", "run", str(app_script()), *given])
