"""A trial in a fresh process: what it measures, and that ending badly is a result."""

import json
import os
import resource
import subprocess
import sys
import time

import psutil
import pytest
import torch

from benchmarks.memory_grid import compare, small_grid
from timellm.config import RunConfig
from timellm.forecasters.time_llm.catalog import is_ready
from timellm.sizing import trial as trials
from timellm.sizing.outofmemory import is_out_of_memory
from timellm.sizing.trial import trial
from timellm.workspace import PROJECT

ASKING = """
import json, sys, time, psutil
from timellm.config import RunConfig
from timellm.sizing.outofmemory import is_out_of_memory
from timellm.sizing.trial import trial

def tell():
    print(json.dumps([process.pid for process in psutil.Process().children()]), flush=True)
    time.sleep(60)

trial(RunConfig.from_json(sys.argv[1]), should_stop=tell)
"""


def test_trial_measures_memory_and_time(small_config):
    found = trial(small_config)
    assert found.ending == "measured"
    assert 150 < found.memory_mib < 2_000
    assert min(found.window_s, found.step_s, found.loading_s) > 0


def test_trial_says_what_the_user_can_mend(small_config):
    found = trial(small_config.updated(layers=9))
    assert (found.ending, found.memory_mib) == ("failed", None)
    assert "has 3 layers, but 'layers' asks for 9" in found.cause


def test_trial_is_cancelled_and_its_process_gone(small_config):
    before, asked = set(psutil.Process().children()), []

    def stop():
        asked.append(set(psutil.Process().children()) - before)
        return len(asked) > 3

    assert trial(small_config, should_stop=stop).ending == "cancelled"
    assert asked[0]
    assert not set(psutil.Process().children()) & asked[0]


def test_trial_ends_with_the_process_that_asked_for_it(small_config):
    asking = subprocess.Popen(
        [sys.executable, "-c", ASKING, small_config.updated(steps=1).to_json()], cwd=PROJECT, stdout=subprocess.PIPE
    )
    started = json.loads(asking.stdout.readline())
    asking.kill()
    asking.wait()
    asking.stdout.close()
    left = [psutil.Process(pid) for pid in started if psutil.pid_exists(pid)]
    assert not psutil.wait_procs(left, timeout=90)[1]


def test_killed_trial_is_taken_for_want_of_memory(small_config):
    before = set(psutil.Process().children())

    def kill():
        time.sleep(0.2)
        for process in set(psutil.Process().children()) - before:
            process.kill()
        return False

    found = trial(small_config, should_stop=kill)
    assert found.ending == "out of memory"
    assert "most likely because memory ran out" in found.cause


def test_trial_within_a_limit_of_memory_says_that_it_ran_out(small_config):
    """A real limit, on the trial's own process: weights and activations of this run are far above it."""
    # Dropout has the attention written out: patches x heads x prototypes of every window, 4 GB at a time.
    written_out = {"attention_dropout": 0.1, "prototypes": 4000}
    config = small_config.updated(batch_size=250, context=144, stride=1, heads=8, **written_out)
    limit = 4 * 2**30
    done = subprocess.run(
        [sys.executable, "-m", "timellm.sizing.trial", str(os.getpid())],
        input=config.to_json(), cwd=PROJECT, text=True,
        capture_output=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)), check=True,
    )  # fmt: skip
    assert trials.Trial(**json.loads(done.stdout)).ending == "out of memory"


@pytest.mark.parametrize(
    "settings", list(small_grid()), ids=lambda settings: "-".join(map(str, settings.values())) or "defaults"
)
def test_estimate_is_within_a_fifth_of_the_measured_peak(settings):
    backbone = settings.get("backbone", RunConfig.create("x").model.backbone)
    if not is_ready(backbone):
        pytest.skip(f"{backbone} has not been fetched here")
    estimated, found = compare(settings)
    assert found.ending == "measured", found.cause
    assert estimated == pytest.approx(found.memory_mib, rel=0.2)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 4160000000 bytes."),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_want_of_memory_is_recognised(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes do not match"), ValueError("out of memory"), OSError("disk full")]
)
def test_other_errors_are_not_want_of_memory(error):
    assert not is_out_of_memory(error)
