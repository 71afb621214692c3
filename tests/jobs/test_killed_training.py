"""A network of another kind than Time-LLM, trained through the queue: one that is killed ends in the same weights."""

from __future__ import annotations

import os
import signal
import time

import torch

from tests.jobs.test_end_to_end import ended
from timellm.config import RunConfig
from timellm.forecasting.artifacts import RunFolder
from timellm.jobs.local.launcher import start_again, start_run
from timellm.jobs.store.run import log_tail
from timellm.training.checkpoint import read_adapter
from timellm.training.pinned import PINNED
from timellm.training.state import STATE, has_state

TINY = {"patch_length": 8, "stride": 4, "d_model": 8, "heads": 2, "d_ff": 16, "layers": 1, "steps": 300}
OFTEN = {"validations": 10, "validation_windows": 16, "patience": 10, "batch_size": 8, "device": "cpu"}


def killed_in_training(store, run_id: str) -> int:
    """Kill the worker once a training state is there, and return the step that the run had reported."""
    run_dir, end = store.get(run_id).run_dir, time.monotonic() + 120
    while not has_state(run_dir):
        assert time.monotonic() < end, log_tail(store.get(run_id).log_file)
        time.sleep(0.005)
    os.kill(store.process_of(run_id).pid, signal.SIGKILL)
    lost = ended(store, run_id)
    assert (lost.state, lost.cause, lost.phase) == ("failed", "lost", "training"), log_tail(lost.log_file)
    return lost.done


def test_killed_training_goes_on_to_the_weights_of_an_undisturbed_one(store, hourly_csv, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # sums over another number of threads are made in another order
    monkeypatch.setenv("TIMELLM_RUNS_PER_DEVICE", "2")
    config = RunConfig.create(hourly_csv, kind="patchtst", context=48, horizon=12, **TINY, **OFTEN)
    first, second = (start_run(config, name=name, store=store) for name in ("killed", "undisturbed"))
    assert 0 < killed_in_training(store, first.id) < config.trained.steps
    start_again(first.id, store=store)
    resumed, undisturbed = ended(store, first.id), ended(store, second.id)
    for run in (resumed, undisturbed):
        assert run.state == "finished", f"{run.error}\n{log_tail(run.log_file)}"
    assert (resumed.attempt, undisturbed.attempt) == (2, 1)
    ours, theirs = read_adapter(resumed.run_dir), read_adapter(undisturbed.run_dir)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert RunFolder(resumed.run_dir).scores().to_dict() == RunFolder(undisturbed.run_dir).scores().to_dict()
    assert (resumed.run_dir / PINNED).read_bytes() == (undisturbed.run_dir / PINNED).read_bytes()
    assert not (resumed.run_dir / STATE).exists()
    steps = store.curve(first.id)["step"]
    assert steps.is_unique and steps.max() == config.trained.steps
