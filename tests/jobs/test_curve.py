"""A long loss curve is thinned for drawing, and keeps what matters."""

from __future__ import annotations

import sqlalchemy as sa

from timellm.jobs.schema import curves


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
