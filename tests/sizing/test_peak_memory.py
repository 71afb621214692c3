"""What a run reports as its memory is its own."""

import subprocess
import sys

from timellm.workspace import PROJECT

_REPORT = "from timellm.training.peak_memory import peak_memory_mib; print(peak_memory_mib())"
_SERVER = f"""
import subprocess, sys
held = bytearray(1500 * 2**20)
print(subprocess.run([sys.executable, "-c", {_REPORT!r}], capture_output=True, text=True, check=True).stdout)
"""


def test_peak_memory_is_not_that_of_the_process_that_started_it():
    done = subprocess.run([sys.executable, "-c", _SERVER], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert 50 < float(done.stdout) < 1000
