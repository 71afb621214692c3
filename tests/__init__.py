"""Tests of the workbench. A test calculates with one thread, as tests/run.sh has it, unless the environment says more.

Two threads wait for each other at the end of every small operation, and on a busy machine they mostly wait: with two
other processes at work on two cores, tests/forecasters/time_llm/test_ablation.py took 108 s, and 12 with one thread.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported, which is later
