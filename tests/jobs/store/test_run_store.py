"""The store: what is written comes back, progress is kept, and a run ends once."""

import re
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from timellm.config import RunConfig
from timellm.errors import ConfigError, JobError
from timellm.jobs.store.run import RUN_ID, new_run_id
from timellm.jobs.store.schema import runs as runs_table
from timellm.training.progress import Progress


def test_run_comes_back_as_it_was_written(store, config, tmp_path):
    before = datetime.now(UTC)
    run = store.create_run(config, name="My first run")
    assert store.get(run.id) == run
    assert (run.state, run.name, run.phase, run.error) == ("queued", "My first run", None, None)
    assert run.config == config
    assert run.config_text == config.to_json()
    assert run.run_dir == tmp_path / "checkpoints" / run.id
    assert before <= run.created <= datetime.now(UTC)


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


def test_what_a_pre_training_measures_is_not_mixed_with_the_run_s_own_table(store, config):
    run = store.create_run(config)
    store.claim(run.id)
    store.record(run.id, Progress("pretraining", done=5, total=9, train_loss=0.3, validation_loss=0.2))
    now = store.get(run.id)
    assert (now.done, now.train_loss, now.validation_loss, now.best_validation_loss) == (5, 0.3, 0.2, None)
    store.record(run.id, Progress("training", done=0, total=9))
    now = store.get(run.id)
    assert (now.train_loss, now.validation_loss, now.best_validation_loss) == (None, None, None)
    store.record(run.id, Progress("training", done=5, total=9, train_loss=0.9, validation_loss=0.8))
    assert store.get(run.id).best_validation_loss == 0.8
    assert store.curve(run.id)[["step", "train_loss"]].to_numpy().tolist() == [[5, 0.9]]
    kinds = [event.kind for event in store.events(run.id)]
    assert kinds == ["queued", "started", "pretraining", "training"]


def test_record_refuses_a_run_that_does_not_work(store, config):
    run = store.create_run(config)
    with pytest.raises(JobError, match="has ended, or was resumed elsewhere"):
        store.record(run.id, Progress("training"))
    assert store.get(run.id).phase is None


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


@pytest.mark.parametrize(("named", "kept"), [(0.25, 0.25), (None, None), (float("nan"), None), ("low", None)])
def test_validation_error_that_only_the_outcome_names_is_kept(store, config, named, kept):
    run = store.create_run(config)
    store.claim(run.id)
    assert store.finish(run.id, "finished", summary={"best_validation_loss": named}).best_validation_loss == kept


def test_validation_error_that_was_reported_stays(store, config):
    run = store.create_run(config)
    store.claim(run.id)
    store.record(run.id, Progress("training", done=1, total=2, validation_loss=0.5))
    assert store.finish(run.id, "stopped", summary={"best_validation_loss": 0.25}).best_validation_loss == 0.5


def test_store_keeps_numbers_and_texts_that_a_database_may_dislike(store, config):
    run = store.create_run(config)
    store.claim(run.id)
    store.record(run.id, Progress("fetching", done=5 * 2**31, total=6 * 2**31, message="half \0 a text"))
    store.record(run.id, Progress("training", done=1, train_loss=float("nan"), validation_loss=float("inf")))
    assert store.get(run.id).best_validation_loss is None
    ended = store.finish(run.id, "failed", error="bytes \0 in a message")
    assert (ended.total, ended.error) == (0, "bytes  in a message")


def test_active_runs_are_counted_without_those_that_ended(store, config):
    assert store.active_runs() == 0
    first, second = (store.create_run(config) for _ in range(2))
    assert store.active_runs() == 2
    store.request_stop(first.id)
    assert store.active_runs() == 1
    assert store.claim(second.id)
    assert store.active_runs() == 1
    store.finish(second.id, "finished")
    assert store.active_runs() == 0
