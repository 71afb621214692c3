"""Runs on a real Ray head: sent, watched, stopped, lost, gone on with; by one worker and by two."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

pytest.importorskip("ray", reason="Ray is not installed; tests/run.sh installs requirements-ray.txt")

import timellm
from tests.jobs.postgresql import PASSWORD
from tests.jobs.ray_head import ray_head
from timellm.config import RunConfig
from timellm.errors import JobError
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.fitted import FittedRun
from timellm.jobs.cluster import runs as cluster_runs
from timellm.jobs.cluster.client import Cluster
from timellm.jobs.cluster.runs import log_of, trouble
from timellm.jobs.local.actions import ask_to_stop, stop_now
from timellm.jobs.local.launcher import start_again, start_run, supervise
from timellm.jobs.store import queue
from timellm.jobs.store.run import log_tail
from timellm.jobs.store.run_store import Store
from timellm.jobs.store.schema import runs
from timellm.workspace import PROJECT, Workspace

ENDLESS = {"steps": 1_000_000, "validations": 1000, "patience": 1000, "minutes": 5}


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory):
    """What all machines of a team see under the same path."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def head(postgresql, shared_folder):
    """A head whose nodes were told where the store and the runs are."""
    with ray_head(TIMELLM_STORE=postgresql, TIMELLM_HOME=str(shared_folder)) as running:
        yield running


@pytest.fixture
def store(head, shared_folder, empty_postgresql, monkeypatch):
    """The team's store, empty, seen from a machine that has the cluster's address and token."""
    monkeypatch.setenv("TIMELLM_HOME", str(shared_folder))
    monkeypatch.setenv("TIMELLM_RAY", head.dashboard)
    monkeypatch.setenv("RAY_AUTH_TOKEN", head.token)
    monkeypatch.setattr(cluster_runs, "ASK_EVERY_S", 0.2)
    for cached in (cluster_runs._contact, cluster_runs._cluster_log):
        cached.cache_clear()
    store = Store.open(Workspace(shared_folder))
    yield store
    for run in store.runs():
        if run.active:
            with contextlib.suppress(JobError):  # the cluster that is not there
                stop_now(store, run.id)
    store.close()


def wait_until(store, run_id, condition, *, timeout_s=150.0):
    """The run once the condition holds of it; it is supervised meanwhile, as the pages do."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        supervise(store)
        run = store.get(run_id)
        if condition(run):
            return run
        time.sleep(0.1)
    raise AssertionError(f"{run.state} {run.phase} {run.error} {trouble(run)}\n{log_of(run)}")


def ended(store, run_id):
    """The run once it has ended."""
    return wait_until(store, run_id, lambda run: not run.active)


def has_kept(run):
    """Whether the run has a training state to go on from; it is written after the first loss is reported."""
    return run.state_file.is_file() or not run.active


def test_run_is_sent_watched_and_finished_and_no_secret_travels(store, small_config, head):
    run = start_run(small_config, name="far away", store=store, on_cluster=True)
    assert run.machine == f"ray:{head.dashboard.removeprefix('http://')}"
    assert store.waiting() == (), "it stands in no machine's queue"
    done = ended(store, run.id)
    assert (done.state, done.error, done.fraction) == ("finished", None, 1.0), log_of(done)
    assert [event.kind for event in store.events(run.id)] == [
        "queued", "started", "loading", "training", "evaluating", "finished",
    ]  # fmt: skip
    assert store.curve(run.id)["validation_loss"].notna().sum() == 2
    assert not RunFolder(done.run_dir).scores().overall.empty
    assert "finished after" in log_of(done) or "evaluating" in log_of(done)

    job = Cluster(head.dashboard)._client.get_job_info(done.job)
    everywhere = f"{job} {Cluster(head.dashboard).log(done.job)} {log_tail(done.log_file)} {done}"
    assert head.token not in everywhere
    assert PASSWORD not in everywhere


@pytest.mark.parametrize("kind", ["ridge", "dlinear"])
def test_run_of_another_kind_is_finished_on_the_cluster_as_in_one_process(store, hourly_csv, tmp_path, kind):
    config = RunConfig.create(hourly_csv, kind=kind, context=48, horizon=12)
    if kind == "dlinear":
        config = config.updated(moving_average=5, steps=6, batch_size=8, validations=2, validation_windows=20)
    alone = timellm.fit(config, run_dir=tmp_path / "alone")
    run = start_run(config, name=f"a {kind}", store=store, on_cluster=True)
    done = ended(store, run.id)
    assert (done.state, done.error, done.fraction) == ("finished", None, 1.0), log_of(done)
    assert done.summary["test"] == pytest.approx(alone.summary["test"], rel=1e-6)
    there, here = RunFolder(done.run_dir), RunFolder(alone.run_dir)
    assert there.scores().models == here.scores().models
    assert there.scores().own == {"ridge": "Ridge", "dlinear": "DLinear"}[kind]
    pd.testing.assert_frame_equal(there.future(), here.future(), rtol=1e-6)
    pd.testing.assert_frame_equal(FittedRun.load(done.run_dir).forecast(), there.future(), rtol=1e-6)
    assert store.curve(run.id)["validation_loss"].notna().sum() == (2 if kind == "dlinear" else 0)


def test_several_workers_for_a_kind_that_one_process_fits_are_refused_before_the_run_is_sent(store, hourly_csv):
    config = RunConfig.create(hourly_csv, kind="ridge", context=48, horizon=12)
    with pytest.raises(JobError, match="'ridge' is fitted by one process; set the number of workers to 1, not 2"):
        start_run(config, store=store, on_cluster=True, workers=2)
    assert store.runs() == ()


def test_two_workers_learn_what_one_process_does(store, small_config, tmp_path):
    # Each process draws its own dropout, and bfloat16 rounds half a batch otherwise than a whole one.
    config = small_config.updated(dropout=0.0, backbone_dtype="float32")
    alone = timellm.fit(config, run_dir=tmp_path / "alone").summary
    run = start_run(config, store=store, on_cluster=True, workers=2)
    done = ended(store, run.id)
    assert (done.state, done.error, done.workers) == ("finished", None, 2), log_of(done)
    assert done.summary["steps"] == alone["steps"]
    assert done.best_validation_loss == pytest.approx(alone["best_validation_loss"], rel=1e-4)
    assert done.summary["test"] == pytest.approx(alone["test"], rel=1e-3)
    assert store.curve(run.id)["validation_loss"].notna().sum() == 2


def test_killed_run_is_lost_with_its_reason_and_goes_on(store, small_config):
    run = start_run(small_config.updated(**ENDLESS), store=store, on_cluster=True)
    at_work = wait_until(store, run.id, has_kept)
    assert at_work.state == "running", log_of(at_work)
    os.kill(at_work.pid, signal.SIGKILL)  # the node is this machine
    lost = ended(store, run.id)
    assert (lost.state, lost.cause) == ("failed", "lost")
    assert "lost: its job failed" in lost.error
    assert lost.can_go_on

    again = start_again(run.id, store=store)
    assert again.job != lost.job
    further = wait_until(store, run.id, lambda run: run.done > lost.done or not run.active)
    assert (further.state, further.attempt) == ("running", 2), log_of(further)
    ask_to_stop(store, run.id)
    stopped = ended(store, run.id)
    assert (stopped.state, stopped.error) == ("stopped", None), log_of(stopped)
    assert stopped.summary["best_step"] > 0
    assert not RunFolder(stopped.run_dir).scores().overall.empty


def test_run_waits_for_room_is_withdrawn_and_the_other_is_ended_at_once(store, small_config, monkeypatch, head):
    first = start_run(small_config.updated(**ENDLESS), store=store, on_cluster=True)
    monkeypatch.setenv("TIMELLM_RAY_CPUS", "2")
    second = start_run(small_config, store=store, on_cluster=True)
    wait_until(store, first.id, lambda run: run.state == "running")
    waits = wait_until(store, second.id, lambda run: run.message or not run.active)
    assert (waits.state, "waiting for resources" in waits.message) == ("queued", True)
    with pytest.raises(JobError, match="does not wait in this machine's queue"):
        queue.move(store.database, second.id, places=None)
    assert ask_to_stop(store, second.id).state == "stopped"
    assert stop_now(store, first.id).state == "stopped"
    cluster = Cluster(head.dashboard)
    end = time.monotonic() + 30
    while {cluster.look(first.job).state, cluster.look(store.get(second.id).job).state} != {"ended"}:
        assert time.monotonic() < end
        time.sleep(0.2)
    assert [run.state for run in store.runs()] == ["stopped", "stopped"]


def test_job_that_ends_before_it_takes_its_run_fails_it_with_what_it_printed(store, small_config, monkeypatch):
    submit = Cluster.submit
    monkeypatch.setattr(
        Cluster, "submit", lambda self, job, _, **room: submit(self, job, "echo no torch on this node; exit 3", **room)
    )
    run = start_run(small_config, store=store, on_cluster=True)
    failed = ended(store, run.id)
    assert (failed.state, failed.cause) == ("failed", "crash")
    assert "and the run had not started" in failed.error
    assert "no torch on this node" in failed.error


def test_job_that_the_cluster_does_not_know_is_given_time_and_then_fails_its_run(store, small_config, head):
    ids = [store.create_run(small_config, cluster=Cluster(head.dashboard).queue).id for _ in range(2)]
    for run_id, minutes in zip(ids, (-60, 60), strict=True):  # one is new for as long as the test takes
        sent = {"job": f"timellm-{run_id}-never", "updated": datetime.now(UTC) - timedelta(minutes=minutes)}
        with store.database.writing() as connection:
            connection.execute(sa.update(runs).where(runs.c.id == run_id).values(sent))
    old = ended(store, ids[1])
    assert "the cluster does not know its job, and the run had not started" in old.error
    assert store.get(ids[0]).state == "queued", "it may only just be on its way"


def test_wrong_token_is_refused_and_the_run_is_kept_as_failed(store, small_config, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a-wrong-one")
    with pytest.raises(JobError, match="refuses the token; set RAY_AUTH_TOKEN"):
        start_run(small_config, store=store, on_cluster=True)
    (run,) = store.runs()
    assert run.state == "failed"
    assert "a-wrong-one" not in run.error


def test_cluster_that_is_not_there_is_named_and_active_runs_stay_as_they_are(store, small_config, monkeypatch):
    run = store.create_run(small_config, cluster="ray:127.0.0.1:9")
    assert "not the one that TIMELLM_RAY names here" in trouble(run)
    monkeypatch.setenv("TIMELLM_RAY", "http://127.0.0.1:9")
    with pytest.raises(JobError, match=r"cannot be reached \(ConnectionError\)"):
        start_run(small_config, store=store, on_cluster=True)
    with store.database.writing() as connection:
        connection.execute(sa.update(runs).values(job="some-job"))
    cluster_runs._contact.cache_clear()
    supervise(store)
    assert store.get(run.id).state == "queued"
    assert "cannot be reached" in trouble(store.get(run.id))


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("TIMELLM_RAY", "", "no cluster is named here: set TIMELLM_RAY"),
        ("TIMELLM_RAY", "head:8265", "must be the address of a Ray cluster's dashboard"),
        ("TIMELLM_RAY_CPUS", "many", "TIMELLM_RAY_CPUS is 'many'; give a number from 1 to 1024"),
        ("RAY_AUTH_TOKEN", "", "there is no token for the Ray cluster"),
        ("RAY_ADDRESS", "elsewhere:6379", "RAY_ADDRESS is set, which Ray would use instead"),
    ],
)
def test_settings_that_lead_nowhere_are_refused(store, small_config, monkeypatch, tmp_path, variable, value, message):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(variable, value)
    with pytest.raises(JobError, match=message):
        start_run(small_config, store=store, on_cluster=True)


def test_missing_ray_is_named(store, small_config, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray.job_submission", None)
    with pytest.raises(JobError, match=r"pip install 'ray\[default,train\]==2"):
        start_run(small_config, store=store, on_cluster=True)


def test_store_in_a_file_is_refused(head, small_config, monkeypatch, tmp_path):
    monkeypatch.delenv("TIMELLM_STORE", raising=False)
    monkeypatch.setenv("TIMELLM_RAY", head.dashboard)
    store = Store.open(Workspace(tmp_path))
    with pytest.raises(JobError, match="set TIMELLM_STORE to a PostgreSQL server"):
        start_run(small_config, store=store, on_cluster=True)
    assert store.runs() == ()
    with pytest.raises(JobError, match="several workers need a cluster"):
        start_run(small_config, store=store, workers=2)
    store.close()


def test_thousands_of_series_are_forecast_alike_by_two_workers_and_by_one_process(head, small_config, tmp_path):
    short = {"layers": 1, "context": 16, "horizon": 4, "patch_length": 8, "stride": 8}
    timellm.fit(small_config.updated(**short), run_dir=tmp_path / "run")
    count, rows = 5_000, 18
    values = np.random.default_rng(0).normal(size=(count, rows)).cumsum(axis=1)
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat([f"series {number:05}" for number in range(count)], rows),
            "ds": np.tile(pd.date_range("2024-01-01", periods=rows, freq="h").to_numpy(), count),
            "y": values.ravel(),
        }
    )
    frame.to_parquet(tmp_path / "long.parquet", row_group_size=20_000)
    verb = ["forecast-many", str(tmp_path / "run"), "--json", "--data", str(tmp_path / "long.parquet"), "--out"]
    spread = ["--ray", head.address, "--workers", "2"]
    for out, more in (("one", []), ("two", spread)):
        done = in_process(head, "-m", "timellm", *verb, str(tmp_path / out), *more)
        assert done.returncode == 0, done.stderr[-3000:]
        assert json.loads(done.stdout)["series"] == count
    one, two = pd.read_parquet(tmp_path / "one"), pd.read_parquet(tmp_path / "two")
    assert len(one) == 4 * count
    pd.testing.assert_frame_equal(one, two, rtol=0, atol=0)


def test_forecast_on_a_cluster_that_refuses_the_token_says_so_in_one_line(head, tmp_path):
    words = ["forecast-many", str(tmp_path), "--data", str(tmp_path), "--out", str(tmp_path), "--ray", head.address]
    for variables in ({"RAY_AUTH_TOKEN": "0" * 32}, {"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": ""}):
        done = in_process(head, "-m", "timellm", *words, **variables)
        errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
        assert (done.returncode, len(errors)) == (2, 1), done.stderr
        assert errors[0].startswith(f"error: the Ray cluster at {head.address} refuses the token; set RAY_AUTH_MODE=")


def in_process(head, *arguments, **variables):
    """Python as someone at the cluster starts it, with one thread, as each worker has."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | head.environment | {"OMP_NUM_THREADS": "1"} | variables,
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
