"""What the store keeps of a run's past: events, files, and the curve."""

from datetime import UTC, datetime

import numpy as np

from timellm.jobs.store.event import Artefact
from timellm.training.progress import Progress


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


def test_store_keeps_what_happened_when(store, config):
    before = datetime.now(UTC)
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
    assert before <= happened[0].at and happened[-1].at <= datetime.now(UTC)
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
