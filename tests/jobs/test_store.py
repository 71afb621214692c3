"""The store: nothing lost between processes, a claim that is exclusive, one ending a run, lost workers found."""

import os
import re
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime

import numpy as np
import pytest
import sqlalchemy as sa

from timellm.config import RunConfig
from timellm.errors import ConfigError, JobError
from timellm.jobs.event import Artefact
from timellm.jobs.process import ProcessIdentity, this_process
from timellm.jobs.run import RUN_ID, new_run_id
from timellm.jobs.schema import runs as runs_table
from timellm.training.progress import Progress
from timellm.workspace import PROJECT


def ended_process():
    """Identity of a process that has been and gone."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = ProcessIdentity(process.pid, this_process().started)
    process.communicate(b"\n")
    return identity


def in_processes(count, program, *arguments):
    """Run `program` in `count` processes at once and return what each printed."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    started = [
        subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    results = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0] * count, [error for _, error in results]
    return [out.strip() for out, _ in results]


def test_run_comes_back_as_it_was_written(store, config, tmp_path):
    run = store.create_run(config, name="My first run")
    assert store.get(run.id) == run
    assert (run.state, run.name, run.phase, run.error) == ("queued", "My first run", None, None)
    assert run.config == config
    assert run.config_text == config.to_json()
    assert run.run_dir == tmp_path / "checkpoints" / run.id
    assert abs((datetime.now(UTC) - run.created).total_seconds()) < 10


def test_run_has_absolute_paths_whatever_the_folder_it_was_started_in(store, tmp_path, monkeypatch):
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    run = store.create_run(RunConfig.create("table.csv", backbone="models/tiny"))
    assert run.config.data.path == str(tmp_path / "table.csv")
    assert run.config.model.backbone == str(tmp_path / "models" / "tiny")
    assert run.name == "table, tiny"
    assert store.create_run(RunConfig.create("table.csv")).config.model.backbone == "smollm2-135m"


def test_run_ids_sort_by_time_and_fit_a_url():
    early, late = datetime(2026, 11, 22, 15, 30, tzinfo=UTC), datetime(2026, 11, 22, 16, 1, tzinfo=UTC)
    assert new_run_id(early) < new_run_id(late)
    assert re.match("20261122-1530-[a-z0-9]{5}$", new_run_id(early))
    assert RUN_ID.fullmatch(new_run_id(late))


def test_runs_are_listed_newest_first(store, config):
    ids = [store.create_run(config).id for _ in range(4)]
    assert [run.id for run in store.runs()] == ids[::-1]
    assert [run.id for run in store.runs(limit=2)] == ids[:1:-1]


def test_unknown_run_is_an_error(store):
    for call in (store.get, store.request_stop, store.delete, lambda name: store.finish(name, "failed")):
        with pytest.raises(JobError, match="there is no run 'nowhere'"):
            call("nowhere")


def test_unreadable_configuration_hides_no_other_run(store, config):
    old, good = store.create_run(config), store.create_run(config)
    with store.database.writing() as connection:
        connection.execute(sa.update(runs_table).where(runs_table.c.id == old.id).values(config='{"data": {"x": 1}}'))
    listed = {run.id: run for run in store.runs()}
    assert listed[good.id].config == config
    with pytest.raises(ConfigError, match="setting 'x'"):
        _ = listed[old.id].config


def test_claim_takes_a_queued_run_once(store, config):
    run = store.create_run(config)
    assert store.claim(run.id)
    assert not store.claim(run.id)
    claimed = store.get(run.id)
    assert (claimed.state, claimed.pid) == ("running", os.getpid())
    assert claimed.started >= claimed.created


def test_claim_waits_for_the_run_that_works_and_for_older_ones(store, config):
    first, second, third = (store.create_run(config).id for _ in range(3))
    assert not store.claim(second)
    assert store.claim(first)
    assert not store.claim(second)
    store.finish(first, "finished")
    assert not store.claim(third)
    assert store.claim(second)


CLAIM_ALL = """
import sys, time
from pathlib import Path
from timellm.jobs.store import Store
from timellm.workspace import Workspace
store, won = Store.open(Workspace(Path(sys.argv[1]))), []
for run_id in sys.argv[2:]:
    while store.get(run_id).state == "queued":
        if store.claim(run_id):
            assert [run.state for run in store.runs()].count("running") == 1
            won.append(run_id)
            time.sleep(0.01)
            store.finish(run_id, "finished")
        time.sleep(0.005)
print(" ".join(won))
"""


def test_claim_is_exclusive_between_processes(store, config, tmp_path):
    ids = [store.create_run(config).id for _ in range(12)]
    won = " ".join(in_processes(8, CLAIM_ALL, tmp_path, *ids)).split()
    assert sorted(won) == sorted(ids)


READ_THEN_WRITE = """
import sys
from pathlib import Path
import sqlalchemy as sa
from timellm.jobs.schema import runs
from timellm.jobs.store import Store
from timellm.workspace import Workspace
store = Store.open(Workspace(Path(sys.argv[1])))
for _ in range(50):
    with store.database.writing() as connection:
        done = connection.execute(sa.select(runs.c.done)).scalar_one()
        connection.execute(sa.update(runs).values(done=done + 1))
"""


def test_store_loses_no_update_between_processes(store, config, tmp_path):
    run = store.create_run(config)
    in_processes(4, READ_THEN_WRITE, tmp_path)
    assert store.get(run.id).done == 200


def test_store_opens_in_many_processes_at_once(database, tmp_path):
    program = (
        "import sys; from pathlib import Path; from timellm.jobs.store import Store; "
        "from timellm.workspace import Workspace; print(len(Store.open(Workspace(Path(sys.argv[1]))).runs()))"
    )
    assert in_processes(4, program, tmp_path / "new") == ["0"] * 4


def test_store_is_read_while_another_thread_writes(store, config):
    run = store.create_run(config)
    store.claim(run.id)
    with store.database.writing() as connection:
        connection.execute(sa.update(runs_table).values(message="half-way"))
        seen = []
        reader = threading.Thread(target=lambda: seen.append(store.get(run.id).message))
        reader.start()
        reader.join(timeout=5)
        assert seen == [""]


def test_record_keeps_what_a_report_does_not_measure(store, config):
    run = store.create_run(config)
    store.claim(run.id)
    store.record(run.id, Progress("training", done=5, total=10, eta_s=50.0, train_loss=0.9, windows_per_s=20.0))
    store.record(run.id, Progress("training", done=6, total=10, fraction=0.6, validation_loss=0.7))
    now = store.get(run.id)
    assert (now.phase, now.done, now.total, now.fraction) == ("training", 6, 10, 0.6)
    assert (now.train_loss, now.validation_loss, now.windows_per_s, now.eta_s) == (0.9, 0.7, 20.0, 50.0)
    store.record(run.id, Progress("evaluating", done=1, total=9))
    assert store.get(run.id).eta_s is None, "an old phase's estimate is not this phase's"


def test_record_keeps_the_best_validation_loss(store, config):
    run = store.create_run(config)
    store.claim(run.id)
    for step, loss in enumerate([0.7, 0.4, float("nan"), 0.5]):
        store.record(run.id, Progress("training", done=step, validation_loss=loss))
    now = store.get(run.id)
    assert (now.validation_loss, now.best_validation_loss) == (0.5, 0.4)


def test_record_refuses_a_run_that_does_not_work(store, config):
    run = store.create_run(config)
    with pytest.raises(JobError, match="does not work any more"):
        store.record(run.id, Progress("training"))
    assert store.get(run.id).phase is None


def test_curve_has_one_row_a_step(store, config):
    run = store.create_run(config)
    store.claim(run.id)
    store.record(run.id, Progress("loading", done=1, train_loss=9.0))
    store.record(run.id, Progress("training", done=0, memory_mib=100.0))
    store.record(run.id, Progress("training", done=10, train_loss=0.9, learning_rate=1e-3))
    store.record(run.id, Progress("training", done=20, train_loss=0.8, learning_rate=2e-3))
    store.record(run.id, Progress("training", done=20, validation_loss=0.75))
    curve = store.curve(run.id)
    assert list(curve.columns) == ["step", "train_loss", "validation_loss", "learning_rate"]
    expected = [[10, 0.9, np.nan, 1e-3], [20, 0.8, 0.75, 2e-3]]
    np.testing.assert_array_equal(curve.to_numpy(), expected)


def test_curve_of_a_new_run_is_empty_with_its_types(store, config):
    curve = store.curve(store.create_run(config).id)
    assert curve.empty
    assert curve.dtypes.astype(str).to_list() == ["int64", "float64", "float64", "float64"]


def test_stop_ends_a_waiting_run_at_once(store, config):
    run = store.request_stop(store.create_run(config).id)
    assert (run.state, run.stop_requested) == ("stopped", True)
    assert not store.claim(run.id)


def test_stop_is_a_flag_on_a_working_run(store, config):
    run = store.create_run(config)
    store.claim(run.id)
    asked = store.request_stop(run.id)
    assert (asked.state, asked.stop_requested) == ("running", True)


def test_stop_leaves_an_ended_run_as_it_is(store, config):
    run = store.create_run(config)
    store.claim(run.id)
    ended = store.finish(run.id, "finished")
    assert store.request_stop(run.id) == ended


@pytest.mark.parametrize("state", ["finished", "stopped", "failed"])
def test_run_ends_once(store, config, state):
    run = store.create_run(config)
    store.claim(run.id)
    ended = store.finish(run.id, state, error="cause" if state == "failed" else None, summary={"mae": 0.5})
    assert (ended.state, ended.summary) == (state, {"mae": 0.5})
    assert ended.ended >= ended.started
    for other in ("finished", "stopped", "failed"):
        with pytest.raises(JobError, match=f"already ended as {state}; it cannot also be {other}"):
            store.finish(run.id, other)
    assert store.get(run.id) == ended


def test_reconcile_fails_a_run_whose_worker_was_killed(store, config, tmp_path):
    run = store.create_run(config)
    program = (
        "import sys, time; from pathlib import Path; from timellm.jobs.store import Store; "
        "from timellm.workspace import Workspace; Store.open(Workspace(Path(sys.argv[1]))).claim(sys.argv[2]); "
        "print('claimed', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(tmp_path), run.id]
    worker = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    try:
        assert worker.stdout.readline() == "claimed\n"
        assert store.reconcile() == ()
        assert store.get(run.id).state == "running"
        worker.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)  # ended, not reaped: a zombie
        (lost,) = store.reconcile()
    finally:
        worker.kill()
        worker.communicate()
    assert (lost.id, lost.state) == (run.id, "failed")
    assert lost.error.startswith("lost: its process ended without a word")
    assert lost.cause == "lost"
    assert store.reconcile() == ()


def test_reconcile_is_not_fooled_by_a_reused_pid(store, config):
    run = store.create_run(config)
    store.claim(run.id, process=ProcessIdentity(os.getpid(), this_process().started - 3600))
    assert [lost.id for lost in store.reconcile()] == [run.id]


def test_lost_run_does_not_hold_up_the_next(store, config):
    working, waiting = (store.create_run(config).id for _ in range(2))
    store.claim(working, process=ended_process())
    assert store.claim(waiting)
    assert [store.get(run_id).state for run_id in (working, waiting)] == ["failed", "running"]


def test_reconcile_leaves_a_run_that_waits(store, config):
    run = store.create_run(config)
    assert store.reconcile() == ()
    assert store.get(run.id).state == "queued"


def test_delete_removes_a_run_with_its_files_and_nothing_else(store, config):
    gone, kept = store.create_run(config), store.create_run(config)
    for run in (gone, kept):
        run.run_dir.mkdir(parents=True)
        (run.run_dir / "log.txt").write_text("line")
    store.claim(gone.id)
    store.record(gone.id, Progress("training", done=1, train_loss=1.0))
    store.finish(gone.id, "finished")
    store.delete(gone.id)
    assert [run.id for run in store.runs()] == [kept.id]
    assert not gone.run_dir.exists()
    assert kept.log_file.exists()
    assert store.curve(gone.id).empty


def test_delete_refuses_a_run_that_has_not_ended(store, config):
    run = store.create_run(config)
    with pytest.raises(JobError, match="is queued; stop it before you delete it"):
        store.delete(run.id)
    store.claim(run.id)
    with pytest.raises(JobError, match="is running; stop it before you delete it"):
        store.delete(run.id)


def test_delete_does_not_follow_a_link_out_of_the_folder(store, config, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years")
    run = store.request_stop(store.create_run(config).id)
    run.run_dir.parent.mkdir(exist_ok=True)
    run.run_dir.symlink_to(precious)
    store.delete(run.id)
    assert (precious / "thesis.txt").exists()
    assert not run.run_dir.is_symlink()


def test_store_keeps_what_happened_when(store, config):
    run = store.create_run(config)
    store.claim(run.id)
    store.record(run.id, Progress("loading", done=1))
    store.record(run.id, Progress("training", done=1, train_loss=1.0))
    store.record(run.id, Progress("training", done=2, train_loss=0.9))
    store.request_stop(run.id)
    store.request_stop(run.id)
    store.record(run.id, Progress("evaluating", done=1))
    store.finish(run.id, "failed", error="column 'x' has no numbers")
    happened = store.events(run.id)
    kinds = ["queued", "started", "loading", "training", "stop requested", "evaluating", "failed"]
    assert [event.kind for event in happened] == kinds
    assert happened[-1].detail == "column 'x' has no numbers"
    assert [event.at for event in happened] == sorted(event.at for event in happened)
    assert abs((datetime.now(UTC) - happened[0].at).total_seconds()) < 60
    store.delete(run.id)
    assert store.events(run.id) == ()


def test_store_knows_the_files_of_an_ended_run(store, config):
    run = store.create_run(config)
    store.claim(run.id)
    (run.run_dir / "windows").mkdir(parents=True)
    (run.run_dir / "windows" / "first.json").write_text("{}")
    (run.run_dir / "log.txt").write_text("a line")
    (run.run_dir / ".log.txt.77").write_text("half-written")
    assert store.artefacts(run.id) == ()
    store.finish(run.id, "finished")
    assert store.artefacts(run.id) == (Artefact("log.txt", 6), Artefact("windows/first.json", 2))


def test_store_keeps_numbers_and_texts_that_a_database_may_dislike(store, config):
    run = store.create_run(config)
    store.claim(run.id)
    store.record(run.id, Progress("fetching", done=5 * 2**31, total=6 * 2**31, message="half \0 a text"))
    store.record(run.id, Progress("training", done=1, train_loss=float("nan"), validation_loss=float("inf")))
    assert store.get(run.id).best_validation_loss is None
    ended = store.finish(run.id, "failed", error="bytes \0 in a message")
    assert (ended.total, ended.error) == (0, "bytes  in a message")


def test_delete_refuses_an_id_that_leaves_the_folder(store, config, tmp_path):
    run = store.request_stop(store.create_run(config).id)
    with store.database.writing() as connection:
        connection.execute(sa.update(runs_table).where(runs_table.c.id == run.id).values(id=".."))
    with pytest.raises(JobError, match="is not the id of a run made here"):
        store.delete("..")
