"""Loss curves hold what was measured and nothing else, and keep their axis while points arrive."""

import numpy as np
import pandas as pd

from timellm.plots.curves import TRAIN, VALIDATION, loss_rows, loss_spec


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
