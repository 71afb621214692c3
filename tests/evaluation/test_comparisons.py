"""Comparisons of a run's own model with all others: those of each metric, from several files, and their own file."""

import math

import numpy as np
import pytest

from tests.evaluation.test_window_errors import written
from tests.evaluation.windows import LAST, OWN, WEEKLY, batch
from timellm.errors import CheckpointError, ConfigError
from timellm.evaluation.accumulator import ForecastBatch
from timellm.evaluation.comparisons import (
    COMPARISONS,
    by_other,
    compare_with_own,
    read_comparisons,
    write_comparisons,
)
from timellm.evaluation.metrics import COMPARED
from timellm.evaluation.significance import compare
from timellm.evaluation.window_errors import read_window_errors
from timellm.files.sealed import write_sealed_json


def only(given: ForecastBatch, **forecasts: np.ndarray) -> ForecastBatch:
    return ForecastBatch(given.channel, given.origin, given.actual, forecasts)


def test_own_is_compared_with_every_other_by_every_metric(tmp_path):
    path = written(tmp_path, batch())
    found = compare_with_own([path], OWN)
    assert {(one.other, one.metric) for one in found} == {(other, m) for other in (LAST, WEEKLY) for m in COMPARED}
    assert all(one.model == OWN and one.relative < 0 for one in found)
    for metric in COMPARED:
        assert by_other(found, metric)[LAST] == compare(OWN, LAST, read_window_errors(path, metric))


def test_a_model_that_was_added_later_comes_from_its_own_file(tmp_path):
    given = batch()
    first = written(tmp_path / "a", given)
    later = written(tmp_path / "b", only(given, Ridge=given.actual + 0.1, **{LAST: given.actual}))
    found = by_other(compare_with_own([first, later], OWN), "mae")
    assert list(found) == [LAST, WEEKLY, "Ridge"]
    assert found["Ridge"].other_error == pytest.approx(0.1)
    assert found[LAST].other_error == 0
    elsewhere = written(tmp_path / "c", only(given, Ridge=given.actual), window_set="other")
    with pytest.raises(ConfigError, match="are scored on different windows"):
        compare_with_own([first, elsewhere], OWN)
    with pytest.raises(ConfigError, match="no errors of 'ARIMA' by window"):
        compare_with_own([first], "ARIMA")


def test_comparisons_survive_their_file(tmp_path):
    given = batch()
    given.forecasts[WEEKLY][:, 1:] = np.nan  # no window is covered wholly
    found = compare_with_own([written(tmp_path, given)], OWN)
    write_comparisons(tmp_path / COMPARISONS, found)
    again = read_comparisons(tmp_path / COMPARISONS)
    assert [repr(one) for one in again] == [repr(one) for one in found]  # NaN is not equal to itself
    assert math.isnan(by_other(again, "mae")[WEEKLY].difference)


def test_comparisons_that_are_missing_damaged_or_newer(tmp_path):
    path = tmp_path / COMPARISONS
    assert read_comparisons(path) == ()
    write_sealed_json(path, {"version": 2, "rows": []})
    with pytest.raises(CheckpointError, match="is of version 2, and this program reads up to 1; install a newer one"):
        read_comparisons(path)
    write_sealed_json(path, {"version": 1, "rows": [{"model": OWN}]})
    with pytest.raises(CheckpointError, match=r"comparisons.json is damaged \(.*\); evaluate the run again"):
        read_comparisons(path)
    path.write_bytes(path.read_bytes().replace(b"model", b"mod3l"))
    with pytest.raises(CheckpointError, match=r"is damaged \(.*digest"):
        read_comparisons(path)
