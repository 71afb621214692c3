"""Loss curves hold what was measured and nothing else, and keep their axis while points arrive."""

import numpy as np
import pandas as pd

from timellm.jobs.store.comparison import MOST
from timellm.plots.curves import TRAIN, VALIDATION, compared_rows, compared_spec, loss_rows, loss_spec
from timellm.plots.template import RUN_DASHES, RUNS


def test_loss_rows_leave_out_what_was_not_measured():
    curve = pd.DataFrame(
        {
            "step": [10, 20, 30],
            "train_loss": [3.0, 2.0, np.nan],
            "validation_loss": [np.nan, 1.5, 1.9],
            "learning_rate": 0.1,
        }
    )
    rows = loss_rows(curve)
    assert rows.columns.tolist() == ["step", "part", "loss"]
    assert rows[rows["part"] == TRAIN]["loss"].tolist() == [3.0, 2.0]
    assert rows[rows["part"] == VALIDATION].set_index("step")["loss"].to_dict() == {20: 1.5, 30: 1.9}


def test_loss_axis_spans_the_whole_run_from_the_start():
    assert loss_spec(300)["encoding"]["x"]["scale"]["domain"] == [0, 300]
    assert loss_spec()["encoding"]["x"]["scale"] == {"zero": True}


def test_loss_spec_does_not_depend_on_the_points():
    assert loss_spec(300) == loss_spec(300)
    assert "data" not in loss_spec(300)


def test_baseline_is_a_level_line_as_long_as_the_curve():
    curve = pd.DataFrame({"step": [10, 20], "train_loss": [3.0, 2.0], "validation_loss": [np.nan, 1.5]})
    rows = loss_rows(curve, ("Seasonal naive", 1.2))
    level = rows[rows["part"] == "Seasonal naive"]
    assert level[["step", "loss"]].to_numpy().tolist() == [[0, 1.2], [20, 1.2]]
    assert loss_spec(300, "Seasonal naive")["encoding"]["color"]["scale"]["domain"] == [
        TRAIN, VALIDATION, "Seasonal naive",
    ]  # fmt: skip
    assert loss_rows(curve.iloc[:0], ("Seasonal naive", 1.2)).empty


def test_compared_curves_share_an_axis_and_leave_out_what_was_not_measured():
    curves = {
        "A": pd.DataFrame({"step": [10, 20], "train_loss": [3.0, 2.0], "validation_loss": [np.nan, 1.5]}),
        "It's B": pd.DataFrame({"step": [40], "train_loss": [3.0], "validation_loss": [0.5]}),
    }
    rows = compared_rows(curves, column="validation_loss", baseline=("Seasonal naive", 1.2))
    assert rows.to_numpy().tolist() == [
        [20, "A", 1.5], [40, "It's B", 0.5], [0, "Seasonal naive", 1.2], [40, "Seasonal naive", 1.2],
    ]  # fmt: skip
    spec = compared_spec(list(curves), "Seasonal naive")
    names, colours = (spec["encoding"]["color"]["scale"][name] for name in ("domain", "range"))
    assert names == ["A", "It's B", "Seasonal naive"] and len(set(colours)) == 3
    assert compared_spec(list(curves), log=True)["encoding"]["y"]["scale"] == {"type": "log"}


def test_as_many_runs_as_can_be_compared_can_be_told_apart():
    assert len(RUNS) == len(RUN_DASHES) == MOST
    assert len(set(zip(RUNS, RUN_DASHES, strict=True))) == MOST


def test_losses_of_a_training_that_diverged_are_not_drawn():
    odd = [0.5, np.inf, np.nan]
    curve = pd.DataFrame({"step": [1, 2, 3], "train_loss": odd, "validation_loss": odd})
    assert loss_rows(curve, ("Seasonal naive", np.inf))["loss"].tolist() == [0.5, 0.5]
    assert compared_rows({"a": curve}, column="train_loss", baseline=("Last value", np.nan))["loss"].tolist() == [0.5]
