"""A long loss curve is thinned for drawing, and keeps what matters."""

from __future__ import annotations

import sqlalchemy as sa

from timellm.jobs.store.schema import curves
from timellm.training.progress import Progress


def test_long_curve_is_thinned_but_keeps_validations_first_and_last(store):
    steps = range(3, 9003, 3)  # as reported twice a second, not at every step
    rows = [
        {"run_id": "r", "step": step, "train_loss": 1 / step, "validation_loss": 0.5 if step % 1500 == 0 else None}
        for step in steps
    ]
    with store.database.writing() as connection:
        connection.execute(sa.insert(curves), rows)
    whole, thin = store.curve("r"), store.curve("r", most=100)
    assert len(whole) == 3000
    assert 100 <= len(thin) <= 110
    assert thin["validation_loss"].notna().sum() == 6
    assert (thin["step"].iloc[0], thin["step"].iloc[-1]) == (3, 9000)
    assert thin["step"].is_monotonic_increasing
    merged = thin.merge(whole, on="step", suffixes=("", "_whole"))
    assert (merged["train_loss"] == merged["train_loss_whole"]).all()


def test_short_curve_stays_whole(store):
    rows = [{"run_id": "r", "step": step, "train_loss": 1.0, "validation_loss": None} for step in range(1, 51)]
    with store.database.writing() as connection:
        connection.execute(sa.insert(curves), rows)
    assert len(store.curve("r", most=50)) == 50
    assert store.curve("nobody", most=50).empty


def test_validations_that_a_stop_made_are_forgotten_when_training_goes_on(store, config):
    run = store.create_run(config)
    store.claim(run.id)

    def say(step, **measured):
        store.record(run.id, Progress("training", step, 100, fraction=step / 100, **measured))

    say(10, train_loss=1.0, validation_loss=0.9)
    say(13, train_loss=0.8, validation_loss=0.5)  # made because the run was stopped
    assert store.get(run.id).best_validation_loss == 0.5
    say(13, train_loss=0.8, validations_to=10)
    now = store.get(run.id)
    assert (now.validation_loss, now.best_validation_loss) == (0.9, 0.9)
    say(20, train_loss=0.7, validation_loss=0.6)
    curve = store.curve(run.id)
    assert curve["step"].tolist() == [10, 13, 20]
    assert curve["validation_loss"].dropna().tolist() == [0.9, 0.6]
    assert store.get(run.id).best_validation_loss == 0.6


def test_run_stopped_before_its_first_validation_goes_on_without_a_best(store, config):
    run = store.create_run(config)
    store.claim(run.id)
    store.record(run.id, Progress("training", 3, 100, fraction=0.03, train_loss=1.0, validation_loss=0.5))
    store.record(run.id, Progress("training", 3, 100, fraction=0.03, train_loss=1.0, validations_to=0))
    assert store.get(run.id).best_validation_loss is None
