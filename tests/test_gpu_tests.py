"""The tests that need a GPU, where there is none: all of them can be collected, and each says why it did not run."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from timellm.workspace import PROJECT


def test_tests_that_need_a_gpu_are_skipped_with_that_reason():
    shown = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/gpu", "-m", "gpu", "-p", "no:cacheprovider"],
        cwd=PROJECT,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    skipped = sum(map(int, re.findall(r"SKIPPED \[(\d+)\] .*: needs a CUDA device; none found here", shown.stdout)))
    assert skipped > 100
    assert re.search(rf"^{skipped} skipped in", shown.stdout, re.MULTILINE), "and none passed, failed or was left out"
