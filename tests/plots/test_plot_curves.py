"""Loss curves keep their axis while points arrive."""

import numpy as np
import pandas as pd

from timellm.plots.curves import loss_curves


def curve(**columns):
    return pd.DataFrame({"step": [], "train_loss": [], "validation_loss": []} | columns)


def test_loss_curves_mark_the_best_validation():
    frame = curve(step=[10, 20, 30], train_loss=[3.0, 2.0, 1.0], validation_loss=[2.5, 1.5, 1.9])
    figure = loss_curves(frame, steps=300)
    assert tuple(figure.layout.xaxis.range) == (0, 300)
    assert figure.layout.annotations[0].text == "best 1.500"
    assert figure.layout.annotations[0].x == 20


def test_loss_curves_draw_before_the_first_validation():
    frame = curve(step=[10], train_loss=[3.0], validation_loss=[np.nan])
    figure = loss_curves(frame)
    assert list(figure.data[0].x) == [10]
    assert len(figure.data[1].x) == 0
    assert not figure.layout.annotations
