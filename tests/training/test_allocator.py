"""Memory that a step frees serves the next one."""

from __future__ import annotations

import subprocess
import sys

import pytest

_CHURN = """
import resource, sys, torch
from timellm.training.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def churn():
    return sum(float(torch.ones(12_000_000)[0]) for _ in range(5))  # 48 MB, beyond what glibc keeps by itself
churn()
churn()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
churn()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(mode: str) -> int:
    return int(subprocess.run([sys.executable, "-c", _CHURN, mode], capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_freed_memory_is_used_again_without_new_pages():
    assert page_faults("keep") < 100 < 5_000 < page_faults("leave")
