"""Errors by window: what is written is what is read, whatever the batches, and a damaged file is refused."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.evaluation.windows import LAST, OWN, REFERENCE, WEEKLY, batch, part, score, scored_windows
from timellm.errors import CheckpointError, ConfigError
from timellm.evaluation.accumulator import ScoreAccumulator
from timellm.evaluation.metrics import METRICS, metric_from
from timellm.evaluation.window_errors import WINDOW_ERRORS, read_window_errors, writing_window_errors
from timellm.evaluation.windows import Reference


def written(folder, *batches, reference=REFERENCE, **facts):
    """The file of these batches."""
    path = folder / WINDOW_ERRORS
    accumulator = ScoreAccumulator(reference, scored_windows(**facts), OWN)
    with writing_window_errors(path, reference=reference, scored=accumulator.scored) as writer:
        for one in batches:
            writer.write(one, accumulator.add(one))
    return path


@pytest.mark.parametrize("metric", [name for name in METRICS if METRICS[name].by_window])
def test_errors_of_all_windows_together_are_the_scores(tmp_path, metric):
    given = batch(missing=0.1)
    path = written(tmp_path, given)
    found, overall = read_window_errors(path, metric), score(given).overall.set_index("model")
    assert tuple(found.models) == (OWN, LAST, WEEKLY)
    for model in found.models:
        errors = found.of(model)
        value = metric_from(metric, errors.total.sum(), errors.count.sum())
        np.testing.assert_allclose(value, overall.loc[model, metric], rtol=1e-6)  # float32
        assert errors.points.sum() == overall.loc[model, "points"]


def test_errors_of_a_window_equal_their_formula_and_are_in_order(tmp_path):
    given = batch(missing=0.1)
    errors = read_window_errors(written(tmp_path, part(given, slice(None, None, -1))), "mae").of(WEEKLY)
    difference = np.abs(given.actual - given.forecasts[WEEKLY])
    order = np.argsort(given.channel * 45 + given.origin)
    covered = order[~np.isnan(difference[order]).all(axis=1)]
    np.testing.assert_allclose(errors.total, np.nansum(difference, axis=1)[covered], rtol=1e-6)
    np.testing.assert_array_equal(errors.place, (given.channel * 45 + given.origin - 100)[covered])
    known = (~np.isnan(given.actual)).sum(axis=1)
    np.testing.assert_array_equal(errors.whole, ((~np.isnan(difference)).sum(axis=1) == known)[covered])


def test_a_file_of_an_earlier_version_has_undefined_metrics_of_later_ones(tmp_path):
    path = written(tmp_path, batch())
    table = pq.read_table(path).drop_columns(["error", "size"])
    facts = json.loads(table.schema.metadata[b"timellm.scored"])
    del facts["naive_squared_error"]
    pq.write_table(table.replace_schema_metadata({"timellm.scored": json.dumps(facts)}), path)
    assert np.isfinite(read_window_errors(path, "mae").of(OWN).total).all()
    for metric in ("wape", "rmsse", "bias"):
        errors = read_window_errors(path, metric).of(OWN)
        assert not errors.count.any() and not errors.total.any() and errors.points.sum() == 240
    with pytest.raises(ConfigError, match="OWA is not kept by window"):
        read_window_errors(path, "owa")


def test_file_does_not_depend_on_the_batches(tmp_path):
    given = batch(missing=0.1)
    whole = read_window_errors(written(tmp_path / "a", given), "mse")
    halves = read_window_errors(written(tmp_path / "b", part(given, slice(15)), part(given, slice(15, None))), "mse")
    for model in whole.models:
        np.testing.assert_array_equal(whole.of(model).place, halves.of(model).place)
        np.testing.assert_array_equal(whole.of(model).total, halves.of(model).total)


def test_each_batch_is_a_row_group_and_a_window_without_forecast_has_no_row(tmp_path):
    given = batch()
    given.forecasts[WEEKLY][:5] = np.nan
    path = written(tmp_path, part(given, slice(15)), part(given, slice(15, None)))
    declared = pq.read_metadata(path)
    assert (declared.num_row_groups, declared.num_rows) == (2, 3 * 40 - 5)
    assert len(read_window_errors(path, "mae").of(WEEKLY).place) == 35


def test_channels_without_naive_error_have_no_points_of_mase(tmp_path):
    reference = Reference(REFERENCE.channels, REFERENCE.scale, np.array([np.nan, 3.0]), np.array([np.nan, 9.0]))
    path = written(tmp_path, batch(), reference=reference)
    errors = read_window_errors(path, "mase").of(OWN)
    np.testing.assert_array_equal(errors.count, [0] * 20 + [6] * 20)
    assert read_window_errors(path, "mae").of(OWN).count.sum() == 240


def test_windows_without_any_error_can_be_read_again(tmp_path):
    given = batch(windows=60_000, horizon=1)
    for values in given.forecasts.values():
        values[:] = given.actual
    path = written(tmp_path, *[given], horizon=1, span=30_000)
    assert read_window_errors(path, "mae").of(OWN).total.sum() == 0
    assert path.stat().st_size > 3 * 60_000 * 20  # sums are not compressed: what shrinks too much is refused


def test_a_failed_evaluation_leaves_the_file_before(tmp_path):
    path = written(tmp_path, batch())
    before = path.read_bytes()
    with (
        pytest.raises(RuntimeError, match="stopped"),
        writing_window_errors(path, reference=REFERENCE, scored=scored_windows()),
    ):
        raise RuntimeError("stopped")
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == [WINDOW_ERRORS]


def test_damaged_missing_and_unknown_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="has no errors by window; evaluate it again"):
        read_window_errors(tmp_path / WINDOW_ERRORS, "mae")
    path = written(tmp_path, batch())
    with pytest.raises(ConfigError, match="no metric 'r2'; choose one of mae"):
        read_window_errors(path, "r2")
    with pytest.raises(ConfigError, match="no errors of 'Ridge' by window; there are: Time-LLM, Last value"):
        read_window_errors(path, "mae").of("Ridge")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match=r"is damaged \(.*digest.*\); evaluate the run again"):
        read_window_errors(path, "mae")


def test_a_window_that_is_named_twice_is_refused(tmp_path):
    path = written(tmp_path, batch(), batch())
    with pytest.raises(CheckpointError, match="a window is named twice"):
        read_window_errors(path, "mae")


def test_many_channels_make_a_large_footer_that_carries_its_digest(tmp_path):
    channels = 20_000
    reference = Reference(tuple(f"channel {n}" for n in range(channels)), *(np.ones(channels),) * 3)
    path = written(tmp_path, batch(), reference=reference)
    assert path.stat().st_size > 500_000
    assert read_window_errors(path, "mae").of(OWN).count.sum() == 240
    content = path.read_bytes()
    path.write_bytes(content[:-50_000] + bytes([content[-50_000] ^ 1]) + content[-49_999:])
    with pytest.raises(CheckpointError, match="is damaged"):
        read_window_errors(path, "mae")
