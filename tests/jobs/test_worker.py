"""The worker: exactly one ending for whatever a fit does, stops that are honoured, progress that is not lost.

A fake stands only where the worker calls the pipeline; the end-to-end test at the end uses the real one.
"""

import errno
import logging
import re
import subprocess
import sys
import threading
from dataclasses import dataclass, field

import pytest

from timellm.errors import BackboneError, ConfigError, DataError, JobError
from timellm.jobs.store.cause import cause_of, kind_of
from timellm.jobs.worker import main, work
from timellm.training.progress import Progress
from timellm.workspace import PROJECT


@dataclass(frozen=True)
class Done:
    """What the pipeline returns."""

    summary: dict = field(default_factory=dict)
    stopped: bool = False


def steps(count):
    """A fit of `count` quick steps, a validation at every fifth, that looks at the stop sign before each step."""

    def fit(config, *, run_dir, on_progress, should_stop):
        on_progress(Progress("loading", done=1, total=1))
        for step in range(1, count + 1):
            if should_stop():
                return Done({"best_step": step - 1}, stopped=True)
            on_progress(Progress("training", done=step, total=count, fraction=step / count, train_loss=1 / step))
            if step % 5 == 0:
                on_progress(Progress("training", done=step, total=count, validation_loss=2 / step))
        on_progress(Progress("evaluating", done=7, total=7, fraction=1.0))
        return Done({"best_step": count, "mae": 0.25})

    return fit


def raises(error):
    """A fit that fails in its training phase."""

    def fit(config, *, on_progress, **_):
        on_progress(Progress("training", done=3, total=9))
        raise error

    return fit


def test_worker_finishes_a_run(store, config):
    run = store.create_run(config)
    assert work(run.id, store=store, fit=steps(20)) == "finished"
    ended = store.get(run.id)
    assert (ended.state, ended.error, ended.summary) == ("finished", None, {"best_step": 20, "mae": 0.25})
    assert (ended.phase, ended.done, ended.fraction) == ("evaluating", 7, 1.0)


def test_worker_gives_the_fit_what_the_store_holds(store, config):
    run = store.create_run(config)
    seen = {}

    def fit(config, *, run_dir, on_progress, should_stop):
        seen.update(config=config, run_dir=run_dir, state=store.get(run.id).state, stop=should_stop())
        return Done()

    work(run.id, store=store, fit=fit)
    assert seen == {"config": config, "run_dir": run.run_dir, "state": "running", "stop": False}


def test_worker_writes_every_validation_but_not_every_step(store, config):
    run = store.create_run(config)
    work(run.id, store=store, fit=steps(400))
    curve = store.curve(run.id)
    validated = curve.dropna(subset="validation_loss")
    assert validated["step"].to_list() == list(range(5, 401, 5))
    assert validated["train_loss"].notna().all(), "the step's own report is not lost to the validation's"
    assert len(curve) < 200
    assert store.get(run.id).best_validation_loss == 2 / 400


def test_worker_stops_when_the_store_says_so(store, config):
    run = store.create_run(config)
    endless = steps(10**9)

    def fit(config, **callbacks):
        store.request_stop(run.id)
        return endless(config, **callbacks)

    assert work(run.id, store=store, fit=fit) == "stopped"
    assert store.get(run.id).summary == {"best_step": 0}


def test_worker_stops_on_sigterm_and_the_store_shows_it(store, config):
    run = store.create_run(config)
    terminated = threading.Event()

    def fit(config, **callbacks):
        terminated.set()
        return steps(10**9)(config, **callbacks)

    assert work(run.id, store=store, fit=fit, terminated=terminated) == "stopped"
    assert store.get(run.id).stop_requested


def test_run_is_finished_when_the_stop_came_too_late(store, config):
    run = store.create_run(config)

    def fit(config, **_):
        store.request_stop(run.id)
        return Done({"mae": 1.0})

    assert work(run.id, store=store, fit=fit) == "finished"


def test_worker_records_what_the_user_can_mend(store, config, caplog):
    run = store.create_run(config)
    error = BackboneError("backbone 'x' has 6 layers,\n  not 9; lower layers")
    assert work(run.id, store=store, fit=raises(error)) == "failed"
    ended = store.get(run.id)
    assert (ended.phase, ended.error) == ("training", "backbone 'x' has 6 layers, not 9; lower layers")
    assert "Traceback" not in caplog.text


def test_worker_records_a_bug_with_its_traceback_in_the_log(store, config, caplog):
    run = store.create_run(config)
    assert work(run.id, store=store, fit=raises(ZeroDivisionError("division by zero"))) == "failed"
    assert store.get(run.id).error == "a bug: ZeroDivisionError: division by zero; the log has the traceback"
    assert "Traceback" in caplog.text
    assert "in fit" in caplog.text


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (MemoryError(), "out of memory; use a smaller batch_size"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "out of memory; .*Tried to allocate 2 GiB"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "out of memory; .*4bit"),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full .*make room"),
        (RuntimeError("shapes do not match"), "a bug: RuntimeError: shapes do not match"),
    ],
)
def test_cause_says_what_would_help(error, cause):
    assert re.match(cause, cause_of(error))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DataError("column 'x' has no numbers"), "data"),
        (ConfigError("training diverged"), "settings"),
        (BackboneError("no connection"), "backbone"),
        (MemoryError(), "memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk"),
        (ZeroDivisionError("division by zero"), "crash"),
    ],
)
def test_failed_run_says_what_kind_its_cause_is(store, config, error, kind):
    run = store.create_run(config)
    assert work(run.id, store=store, fit=raises(error)) == "failed"
    assert store.get(run.id).cause == kind


def test_error_that_stands_for_a_full_disk_counts_as_the_disks():
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as full:
            raise BackboneError("the backbone could not be fetched") from full
    except BackboneError as error:
        assert kind_of(error) == "disk"


def test_worker_leaves_a_run_whose_turn_has_not_come(store, config):
    before, run = store.create_run(config), store.create_run(config)
    store.claim(before.id)
    assert work(run.id, store=store, fit=raises(AssertionError("must not be called"))) is None
    assert store.get(run.id).state == "queued"
    store.finish(before.id, "finished")
    assert work(run.id, store=store, fit=steps(1)) == "finished"
    assert store.get(run.id).started >= store.get(before.id).ended


def test_worker_leaves_a_run_that_was_stopped_while_it_waited(store, config):
    run = store.create_run(config)
    store.request_stop(run.id)
    assert work(run.id, store=store, fit=raises(AssertionError("must not be called"))) is None
    assert store.get(run.id).state == "stopped"


def test_worker_gives_up_when_its_run_was_ended_by_another(store, config):
    run = store.create_run(config)

    def fit(config, *, on_progress, **_):
        store.finish(run.id, "failed", error="lost")
        on_progress(Progress("training", done=1))

    with pytest.raises(JobError, match="already ended as failed"):
        work(run.id, store=store, fit=fit)
    assert store.get(run.id).error == "lost"


def test_worker_log_tells_the_run_from_head_to_end(store, config, caplog):
    caplog.set_level(logging.INFO, logger="timellm")
    run = store.create_run(config, name="told")
    work(run.id, store=store, fit=steps(5))
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == f"run {run.id}: told"
    assert "setting horizon = 24" in lines
    assert "training 5 of 5 steps, validation loss 0.4000" in lines
    assert lines[-1].startswith("finished after")


def test_worker_command_wants_one_run_id(capsys):
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err


def test_importing_the_worker_starts_nothing_and_loads_no_torch():
    program = "import sys, timellm.jobs.worker; assert 'torch' not in sys.modules; assert 'pandas' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=PROJECT)
