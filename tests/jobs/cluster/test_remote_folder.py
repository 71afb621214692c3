"""Run folders at a URL: what is pushed here is pulled there, whole or not at all, and nothing else is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import sqlalchemy as sa

from timellm.errors import CheckpointError, JobError
from timellm.forecasting.artifacts import RunFolder
from timellm.jobs.cluster import runs as cluster_runs
from timellm.jobs.cluster.remote_folder import RemoteFolder
from timellm.jobs.cluster.worker import node_store
from timellm.jobs.local.actions import go_on
from timellm.jobs.store.run import log_tail
from timellm.jobs.store.run_store import Store
from timellm.jobs.store.schema import runs
from timellm.workspace import PROJECT, Workspace

RUN = "20261122-1530-ab12c"


@pytest.fixture
def remote(tmp_path):
    return RemoteFolder(f"file://{tmp_path}/remote")


@pytest.fixture
def folder(tmp_path):
    """A run's folder with two files."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "adapter.safetensors").write_bytes(bytes(range(256)))
    (folder / ".log.txt.123").write_text("half written")
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def test_pushed_folder_is_pulled_equal_and_follows_changes(remote, folder, tmp_path):
    there = tmp_path / "there"
    assert not remote.pull(RUN, there)
    remote.push(RUN, folder)
    assert remote.pull(RUN, there)
    assert contents(there) == contents(folder)
    assert not remote.pull(RUN, there), "nothing is new"

    (folder / "config.json").unlink()
    (folder / "adapter.safetensors").write_bytes(b"better")
    remote.push(RUN, folder)
    assert remote.pull(RUN, there)
    assert contents(there) == {"adapter.safetensors": b"better"}
    assert len(list((tmp_path / "remote" / "runs" / RUN / "files").iterdir())) == 1, "what is not needed is removed"


def test_unchanged_file_is_not_sent_again(remote, folder, tmp_path):
    remote.push(RUN, folder)
    files = tmp_path / "remote" / "runs" / RUN / "files"
    before = {path.name: path.stat().st_mtime_ns for path in files.iterdir()}
    (folder / "new.json").write_text("[]")
    remote.push(RUN, folder)
    after = {path.name: path.stat().st_mtime_ns for path in files.iterdir()}
    assert len(after) == 3
    assert before.items() <= after.items()


def test_push_that_is_cut_off_leaves_the_folder_as_it_was(remote, folder, tmp_path, monkeypatch):
    remote.push(RUN, folder)
    (folder / "adapter.safetensors").write_bytes(b"better")
    with monkeypatch.context() as patched:
        patched.setattr(remote._files, "mv", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(JobError, match="No space left on device"):
            remote.push(RUN, folder)
    there = tmp_path / "there"
    assert remote.pull(RUN, there)
    assert contents(there)["adapter.safetensors"] == bytes(range(256))


def test_changed_content_is_refused(remote, folder, tmp_path):
    remote.push(RUN, folder)
    for path in (tmp_path / "remote" / "runs" / RUN / "files").iterdir():
        path.write_bytes(path.read_bytes() + b"!")
    with pytest.raises(CheckpointError, match=r"is not what was uploaded to file://"):
        remote.pull(RUN, tmp_path / "there")


@pytest.mark.parametrize("name", ["../../outside", "/outside", ".hidden", "a/../../b"])
def test_manifest_that_names_a_file_elsewhere_is_refused(remote, folder, tmp_path, name):
    remote.push(RUN, folder)
    manifest = tmp_path / "remote" / "runs" / RUN / "manifest.json"
    (entry, *_) = json.loads(manifest.read_text()).values()
    manifest.write_text(json.dumps({name: entry}))
    with pytest.raises(CheckpointError, match="it is refused"):
        remote.pull(RUN, tmp_path / "there")


@pytest.mark.parametrize("text", ["", "[1]", '{"config.json": {"sha256": "../../x", "size": 1}}', '{"a": 3}'])
def test_damaged_manifest_is_refused(remote, folder, tmp_path, text):
    remote.push(RUN, folder)
    (tmp_path / "remote" / "runs" / RUN / "manifest.json").write_text(text)
    with pytest.raises(CheckpointError, match="damaged"):
        remote.pull(RUN, tmp_path / "there")


def test_only_ids_of_runs_become_paths(remote, folder):
    with pytest.raises(JobError, match="is not the id of a run made here"):
        remote.push("../elsewhere", folder)


@pytest.mark.parametrize(("url", "message"), [("nothing://x", "Protocol not known"), ("file:///proc/x", "/proc/x")])
def test_place_that_cannot_be_used_is_named(url, message, folder):
    with pytest.raises(JobError, match=f"TIMELLM_ARTIFACTS={url} cannot be used: .*{message}"):
        RemoteFolder(url).push(RUN, folder)


def test_table_travels_under_its_name_and_stays_for_other_runs(remote, folder, tmp_path):
    table = tmp_path / "demand.csv"
    table.write_text("ds,y\n2024-01-01,1\n")
    remote.put_table(RUN, table)
    remote.push(RUN, folder)
    fetched = remote.fetch_table(RUN, tmp_path / "node")
    assert (fetched.name, fetched.read_bytes()) == ("demand.csv", table.read_bytes())
    remote.delete(RUN, table=False)
    assert not remote.pull(RUN, tmp_path / "there")
    assert remote.fetch_table(RUN, tmp_path / "again").read_bytes() == table.read_bytes()
    remote.delete(RUN)
    with pytest.raises(JobError, match="holds no table for run"):
        remote.fetch_table(RUN, tmp_path / "node")
    assert len(list((tmp_path / "remote" / "tables").iterdir())) == 1


def test_node_that_was_told_nothing_says_what_to_set(monkeypatch):
    monkeypatch.delenv("TIMELLM_STORE", raising=False)
    with pytest.raises(JobError, match="TIMELLM_STORE is not set on the node"):
        node_store()
    monkeypatch.setenv("TIMELLM_STORE", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.delenv("TIMELLM_HOME")
    with pytest.raises(JobError, match="neither TIMELLM_ARTIFACTS"):
        node_store()


def on_node(tmp_path, node, run_id, job):
    """A cluster's worker on a node of its own, which shares nothing but the store and the URL."""
    private = tmp_path / node
    private.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "TIMELLM_HOME"}
    return subprocess.Popen(
        [sys.executable, "-m", "timellm.jobs.cluster.worker", run_id, job],
        cwd=PROJECT,
        env=environment | {"TMPDIR": str(private)},
        stdout=(private / "job.log").open("wb"),
        stderr=subprocess.STDOUT,
    )


def wait(condition, what, *, timeout_s=120.0):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, what()
        time.sleep(0.05)


def test_run_whose_node_died_goes_on_from_the_url_on_another_node(
    empty_postgresql, small_config, tmp_path, monkeypatch, hourly_csv
):
    monkeypatch.setenv("TIMELLM_ARTIFACTS", f"file://{tmp_path}/remote")
    store = Store.open(Workspace(tmp_path / "viewer"))
    endless = small_config.updated(steps=1_000_000, validations=1000, patience=10_000, minutes=5)
    run_id = store.create_run(endless, cluster="ray:head:8265").id

    def job(name):
        with store.database.writing() as connection:
            connection.execute(sa.update(runs).values(job=name))
        return name

    kept = RemoteFolder.configured()
    kept.put_table(run_id, hourly_csv)
    first = on_node(tmp_path, "first", run_id, job("job-1"))
    told = lambda: log_tail(tmp_path / "first" / "job.log")  # noqa: E731
    wait(lambda: "training_state.safetensors" in kept._manifest(run_id) or first.poll() is not None, told)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert store.get(run_id).state == "running", told()
    stood = store.get(run_id).done
    assert on_node(tmp_path, "late", run_id, "job-0").wait(timeout=60) == 0, "another job of the run is not its worker"
    store.finish(run_id, "failed", error="lost", cause="lost")

    cluster_runs.sync_folder(store.get(run_id), now=True)
    assert store.get(run_id).can_go_on, "whoever looks sees where it stood"
    go_on(store, run_id)
    second = on_node(tmp_path, "second", run_id, job("job-2"))
    told = lambda: log_tail(tmp_path / "second" / "job.log")  # noqa: E731
    wait(lambda: store.get(run_id).done > 0 or second.poll() is not None, told)
    assert store.get(run_id).done >= stood - 10, "it did not begin anew"
    store.request_stop(run_id)
    assert second.wait(timeout=120) == 0, told()
    done = store.get(run_id)
    assert (done.state, done.error) == ("stopped", None), told()

    cluster_runs.sync_folder(done, now=True)
    assert not RunFolder(done.run_dir).scores().overall.empty
    assert "asked to stop" in log_tail(done.log_file)
    assert RunFolder(done.run_dir).config().data.path == endless.data.path, "not where a node had it"
    store.close()
