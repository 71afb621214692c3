"""The first paint is not kept waiting by what it does not need."""

import os
import subprocess
import sys

from timellm.workspace import PROJECT

_SCRIPT = """
import sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("pages/frame.py", default_timeout=60).run()
for page in ("finetune.py", "benchmarks.py"):
    app.switch_page(page).run()
    assert not app.exception, app.exception
print(",".join(name for name in ("torch", "transformers", "matplotlib") if name in sys.modules))
"""


def test_opening_the_workbench_loads_no_model_library(home):
    """In a process of its own, because this one has loaded them for other tests."""
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        cwd=PROJECT,
        env=os.environ | {"TIMELLM_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
