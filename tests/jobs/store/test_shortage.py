"""Running out of memory: a real limit on a real worker, the kernel's own killing, and what is offered afterwards."""

import os
import resource
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest

from timellm.config import RunConfig
from timellm.jobs.store import shortage
from timellm.jobs.store.process import ProcessIdentity
from timellm.jobs.store.shortage import KILLS_BEFORE, offers_of, smaller_settings
from timellm.jobs.worker import work
from timellm.sizing.machine import MachineFacts, measured_facts, oom_kills
from timellm.training.progress import Progress
from timellm.workspace import PROJECT

GONE = ProcessIdentity(2**22 - 1, 1.0)
FACTS = MachineFacts("one", None, "bfloat16", {"float32": 170.0, "bfloat16": 900.0}, 15.0, 420.0, 40.0)


@pytest.fixture
def facts(monkeypatch):
    """A machine that has been measured and has 8 GiB, 6 of them free."""
    monkeypatch.setattr(shortage, "known_facts", lambda: FACTS)
    monkeypatch.setattr(shortage, "budget", lambda *_, freed_mib=0.0: shortage.Budget(6144 + freed_mib, 8192))
    return FACTS


@pytest.fixture
def large(tmp_path):
    """A run that needs more than 8 GiB."""
    return RunConfig.create(tmp_path / "table.csv", backbone="huggyllama/llama-7b", layers=32)


def full(config, **_):
    raise MemoryError


def test_run_out_of_memory_ends_with_that_cause_and_keeps_what_would_fit(store, large, facts, monkeypatch):
    # This process is the suite's own and holds more the longer the suite runs; a worker's holds about a GiB.
    monkeypatch.setattr(psutil.Process, "memory_info", lambda _: SimpleNamespace(rss=2**30))
    run = store.create_run(large)
    assert work(run.id, store=store, fit=full) == "failed"
    ended = store.get(run.id)
    offers = offers_of(ended)
    assert ended.error.startswith(f"out of memory; it would fit with {offers[0].as_options} (")
    assert all(offer.memory_mib <= 6144 + 1024 for offer in offers)
    assert large.updated(**offers[0].settings) != large


def test_cause_is_named_without_an_offer_where_none_helps(store, config, facts, monkeypatch):
    monkeypatch.setattr(shortage, "budget", lambda *_, freed_mib=0.0: shortage.Budget(100, 200))
    run = store.create_run(config)
    work(run.id, store=store, fit=full)
    assert store.get(run.id).error == (
        "out of memory; use a smaller batch_size, context or number of layers, or a 4bit quantization"
    )
    assert offers_of(store.get(run.id)) == []


def test_offer_is_smaller_than_a_run_that_held_more_than_was_counted(large, facts, tmp_path):
    usual = smaller_settings(large.updated(layers=8), tmp_path)
    wary = smaller_settings(large.updated(layers=8), tmp_path, peak_mib=20_000)
    assert max(offer.memory_mib for offer in usual) > max(offer.memory_mib for offer in wary)


def lost(store, config, *, kills_before=None, memory_mib=None):
    """A run whose process went away while it worked."""
    run = store.create_run(config)
    store.claim(run.id, process=GONE)
    if memory_mib:
        store.record(run.id, Progress("training", done=1, memory_mib=memory_mib))
    return run


def test_run_killed_by_the_kernel_is_called_so_with_an_offer(store, large, facts, monkeypatch):
    run = lost(store, large)
    assert store.get(run.id).summary == {KILLS_BEFORE: oom_kills()}
    monkeypatch.setattr(shortage, "oom_kills", lambda: oom_kills() + 1)
    (ended,) = store.reconcile()
    evidence = "the system ended a process because memory ran out while it worked"
    assert ended.error.startswith(f"lost; probably out of memory ({evidence}); it would fit with --set ")
    assert offers_of(ended)


def test_run_that_held_nearly_everything_is_called_so_too(store, large, facts):
    lost(store, large, memory_mib=7_000)
    (ended,) = store.reconcile()
    assert ended.error.startswith("lost; probably out of memory (it last used 7,000 of 8,192 MiB); ")


def test_lost_run_without_evidence_is_only_lost(store, large, facts):
    lost(store, large, memory_mib=900)
    (ended,) = store.reconcile()
    assert ended.error.startswith("lost: its process ended without writing an ending")
    assert offers_of(ended) == []


def test_worker_within_a_limit_of_memory_fails_with_the_cause_and_settings_that_run(store, small_config, tmp_path):
    measured_facts()  # outside the limit
    config = small_config.updated(
        batch_size=250, context=144, stride=1, heads=8, attention_dropout=0.1, prototypes=4000, steps=2, validations=1
    )
    run = store.create_run(config)
    limit = 4 * 2**30
    subprocess.run(
        [sys.executable, "-m", "timellm.jobs.worker", run.id], cwd=PROJECT,
        env=os.environ | {"TIMELLM_HOME": str(tmp_path)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)), check=False, capture_output=True,
    )  # fmt: skip
    ended = store.get(run.id)
    assert ended.state == "failed"
    assert ended.error.startswith("out of memory; it would fit with --set accumulation=")
    assert offers_of(ended)[0].settings.keys() == {"accumulation"}
