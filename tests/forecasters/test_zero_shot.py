"""Zero-shot forecasters: the real code that loads and forecasts, on small random models where weights are missing."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.table import load_table
from timellm.data.windows import WindowIndex
from timellm.errors import BackboneError, CheckpointError, ConfigError
from timellm.files.sealed import read_sealed_json, write_sealed_json
from timellm.forecasters.protocol import FitJob, missing_note
from timellm.forecasters.zero_shot import FILE, ZeroShotForecaster
from timellm.forecasters.zero_shot_chronos import ChronosForecaster
from timellm.forecasters.zero_shot_fracast import FracastForecaster
from timellm.forecasters.zero_shot_timesfm import TimesFMForecaster

CONTEXT, HORIZON = 50, 40
"""A context that fills no whole number of patches, and a horizon that every small model has to roll."""
LEVELS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def needs(module: str):
    installed = importlib.util.find_spec(module) is not None
    return pytest.mark.skipif(not installed, reason=f"the optional package {module} is not installed")


KINDS = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(FracastForecaster, marks=needs("fracast")),
        pytest.param(TimesFMForecaster, id="TimesFMForecaster"),
        pytest.param(ChronosForecaster, marks=needs("chronos")),
    ],
)


def write_timesfm(folder: Path, **changes) -> None:
    from transformers import TimesFm2_5Config, TimesFm2_5ModelForPrediction

    sizes = {"hidden_size": 32, "intermediate_size": 32, "head_dim": 8, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 4}
    lengths = {"context_length": 64, "patch_length": 8, "horizon_length": 16, "output_quantile_len": 32}
    config = TimesFm2_5Config(**sizes, **heads, **lengths, initializer_range=0.2, **changes)
    TimesFm2_5ModelForPrediction(config).save_pretrained(folder)


def write_chronos(folder: Path) -> None:
    from chronos import Chronos2Model
    from chronos.chronos2.config import Chronos2CoreConfig

    lengths = {"context_length": 64, "output_patch_size": 8, "input_patch_size": 8, "input_patch_stride": 8}
    forecasting = lengths | {"quantiles": LEVELS, "use_reg_token": True, "use_arcsinh": True, "max_output_patches": 2}
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
    config = Chronos2CoreConfig(**sizes, initializer_factor=0.5, chronos_config=forecasting)
    Chronos2Model(config).save_pretrained(folder)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Writes random weights for a kind, once, and names their folder."""
    root = tmp_path_factory.mktemp("weights")

    def of(kind: type[ZeroShotForecaster]) -> str:
        if kind is FracastForecaster:
            return ""  # its own
        folder = root / kind.__name__
        if not folder.exists():
            torch.manual_seed(3)
            {TimesFMForecaster: write_timesfm, ChronosForecaster: write_chronos}[kind](folder)
        return str(folder)

    return of


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("transformers.utils.hub.is_offline_mode", lambda: True)


@pytest.fixture
def prepared(hourly_csv) -> PreparedData:
    config = RunConfig.create(hourly_csv, context=CONTEXT, horizon=HORIZON)
    return PreparedData.of(load_table(config.data), config)


def job_of(
    kind: type[ZeroShotForecaster], prepared: PreparedData, weights: str | None = None, *, limits=None, **watch
) -> FitJob:
    """A fit with the weights of that name, or the usual ones, with time for every window unless `limits` say less."""
    limits = {"budget_s": 100_000} | (limits or {})
    section = kind.section(**limits) if weights is None else kind.section(weights=weights, **limits)
    config = prepared.config.model_copy(update={"forecaster": section, "training": None})
    return FitJob(config, Path(prepared.config.data.path).parent, **watch)


def fitted(kind: type[ZeroShotForecaster], prepared: PreparedData, weights, **limits) -> ZeroShotForecaster:
    forecaster, _ = kind.fit(prepared, job_of(kind, prepared, weights(kind), limits=limits))
    return forecaster


def with_values(prepared: PreparedData, values: np.ndarray, **settings) -> PreparedData:
    frame = pd.DataFrame(values, index=prepared.table.values.index[: len(values)], columns=prepared.table.channels)
    config = prepared.config.updated(**settings)
    return PreparedData.of(replace(prepared.table, values=frame), config, scaler=prepared.scaler)


def part_of(index: WindowIndex, windows: slice | list[int]) -> WindowIndex:
    return WindowIndex(index.channel[windows], index.origin[windows], 0)


@KINDS
def test_fit_loads_the_weights_and_says_what_they_may_have_seen(kind, prepared, weights):
    forecaster, report = kind.fit(prepared, job_of(kind, prepared, weights(kind)))
    assert forecaster.may_have_seen == "may have seen this data in training"
    assert report.notes[0].startswith(f"{kind.title} may have seen this data in training")
    assert report.seconds > 0 and not report.stopped
    assert report.facts["package"] == kind.package and report.facts["version"]


@KINDS
def test_small_budget_of_time_means_few_windows(kind, prepared, weights):
    index = prepared.windows("test")
    job = job_of(kind, prepared, weights(kind), limits={"budget_s": 1e-9})
    forecaster, report = kind.fit(prepared, job)
    assert report.notes[1].startswith(f"{kind.title} forecasts 1 of {len(index)} test windows, evenly spaced: a window")
    assert np.isfinite(forecaster.predict(prepared, index)).all(axis=1).sum() == 1
    (note,) = missing_note(forecaster, len(index))
    assert note.endswith(f"of {len(index)} test windows: {len(index) - 1} over the time budget.")
    everything, few = fitted(kind, prepared, weights), index.evenly(9)
    assert np.isfinite(everything.predict(prepared, few)).all() and missing_note(everything, len(few)) == ()


@KINDS
def test_chosen_windows_are_evenly_spaced_and_forecast_as_all_are(kind, prepared, weights):
    index = prepared.windows("test")
    some = fitted(kind, prepared, weights, most_windows=8)
    found = some.predict(prepared, index)
    held = np.isfinite(found).all(axis=1)
    assert [held[index.channel == channel].sum() for channel in range(2)] == [4, 4]
    gaps = np.diff(index.origin[held & (index.channel == 0)])
    assert gaps.max() - gaps.min() <= 1
    expected = fitted(kind, prepared, weights).predict(prepared, part_of(index, np.flatnonzero(held)))
    np.testing.assert_allclose(found[held], expected, rtol=1e-3, atol=1e-3)  # one at a time rounds in another order
    apart = [some.predict(prepared, part_of(index, slice(at, at + 15))) for at in range(0, len(index), 15)]
    np.testing.assert_array_equal(np.concatenate(apart), found)
    rows = len(prepared.values)
    beyond = WindowIndex(np.array([0, 1]), np.array([rows, rows]), 0)
    assert np.isfinite(some.predict(prepared, beyond)).all(), "the forecast beyond the data is always made"


@KINDS
def test_chosen_windows_are_kept_with_the_forecaster(kind, prepared, weights, tmp_path):
    some, index = fitted(kind, prepared, weights, most_windows=3), prepared.windows("test")
    some.save(tmp_path)
    loaded = kind.load(tmp_path, prepared.config)
    assert loaded.cutoffs == some.cutoffs
    np.testing.assert_array_equal(loaded.predict(prepared, index), some.predict(prepared, index))
    tree = read_sealed_json(tmp_path / FILE)
    del tree["cutoffs"]
    write_sealed_json(tmp_path / FILE, tree)  # as earlier versions wrote it
    assert np.isfinite(kind.load(tmp_path, prepared.config).predict(prepared, index.evenly(9))).all()


@KINDS
def test_fit_that_is_stopped_loads_nothing(kind, prepared):
    job = job_of(kind, prepared, "no/such-weights", should_stop=lambda: True)
    forecaster, report = kind.fit(prepared, job)
    assert forecaster is None and report.stopped


@KINDS
def test_forecasts_do_not_depend_on_how_windows_are_asked_for(kind, prepared, weights):
    forecaster, index = fitted(kind, prepared, weights), prepared.windows("test").evenly(40)  # more than a batch
    heard: list[int] = []
    together = forecaster.predict(prepared, index, on_batch=heard.append)
    assert together.shape == (len(index), HORIZON) and together.dtype == np.float64
    assert np.isfinite(together).all() and heard[-1] == len(index)
    apart = [forecaster.predict(prepared, part_of(index, slice(at, at + 15))) for at in range(0, len(index), 15)]
    np.testing.assert_array_equal(np.concatenate(apart), together)
    backwards = part_of(index, slice(None, None, -1))
    np.testing.assert_array_equal(forecaster.predict(prepared, backwards)[::-1], together)


@KINDS
def test_forecast_reads_nothing_from_its_origin_on(kind, prepared, weights):
    forecaster, origin = fitted(kind, prepared, weights), 350
    index = WindowIndex(np.array([0, 1]), np.array([origin, origin]), 0)
    values = prepared.values.copy()
    values[origin:] = np.random.default_rng(0).normal(0, 1e4, values[origin:].shape)
    values[origin + 2 :: 3] = np.nan
    expected = forecaster.predict(prepared, index)
    np.testing.assert_array_equal(forecaster.predict(with_values(prepared, values), index), expected)
    values = prepared.values.copy()
    values[origin - 1] += 5
    assert (forecaster.predict(with_values(prepared, values), index) != expected).any()


@KINDS
def test_forecast_beyond_the_data_starts_after_the_last_row(kind, prepared, weights):
    forecaster, rows = fitted(kind, prepared, weights), len(prepared.values)
    beyond = WindowIndex(np.array([0, 1]), np.array([rows, rows]), 0)
    longer = np.concatenate([prepared.values, np.full((1, 2), 7.0)])
    stamps = prepared.table.values.index.append(prepared.table.future_index(1))
    table = replace(prepared.table, values=pd.DataFrame(longer, index=stamps, columns=prepared.table.channels))
    inside = forecaster.predict(PreparedData.of(table, prepared.config, scaler=prepared.scaler), beyond)
    np.testing.assert_array_equal(forecaster.predict(prepared, beyond), inside)
    assert np.isfinite(inside).all()


@KINDS
def test_saved_forecaster_loads_to_the_same_forecasts(kind, prepared, weights, tmp_path):
    forecaster, index = fitted(kind, prepared, weights), prepared.windows("test").evenly(9)
    forecaster.save(tmp_path)
    loaded = kind.load(tmp_path, prepared.config)
    assert loaded.source == forecaster.source
    np.testing.assert_array_equal(loaded.predict(prepared, index), forecaster.predict(prepared, index))


@KINDS
def test_forecast_moves_and_stretches_with_its_context(kind, prepared, weights):
    """Also on a level where float32 would keep none of the movement."""
    forecaster, index = fitted(kind, prepared, weights), prepared.windows("test").evenly(9)
    forecaster.never_below_zero = False
    moved = with_values(prepared, prepared.values * 3 + 1e9)
    expected = forecaster.predict(prepared, index) * 3 + 1e9
    np.testing.assert_allclose(forecaster.predict(moved, index) - 1e9, expected - 1e9, rtol=1e-3, atol=1e-2)


@KINDS
def test_context_with_a_gap_that_nothing_fills_has_no_forecast(kind, prepared, weights):
    forecaster, origin = fitted(kind, prepared, weights), 350
    values = prepared.values.copy()
    values[origin - 5, 0] = np.nan
    index = WindowIndex(np.array([0, 1, 0]), np.array([origin, origin, origin - 5]), 0)
    found = forecaster.predict(with_values(prepared, values, missing="skip"), index)
    assert np.isnan(found[0]).all() and np.isfinite(found[1:]).all()
    np.testing.assert_array_equal(found[1:], forecaster.predict(prepared, index)[1:])
    filled = forecaster.predict(with_values(prepared, values, missing="interpolate"), index)
    assert np.isfinite(filled).all()


@KINDS
def test_context_that_reaches_before_the_table_has_no_forecast(kind, prepared, weights):
    index = WindowIndex(np.array([0, 0]), np.array([CONTEXT - 1, CONTEXT]), 0)
    found = fitted(kind, prepared, weights).predict(prepared, index)
    assert np.isnan(found[0]).all() and np.isfinite(found[1]).all()


@KINDS
def test_constant_series_has_a_finite_forecast(kind, prepared, weights):
    constant = with_values(prepared, np.full_like(prepared.values, 0.1))
    found = fitted(kind, prepared, weights).predict(constant, prepared.windows("test").evenly(3))
    assert np.isfinite(found).all()


@needs("fracast")
def test_fracast_forecasts_a_constant_series_by_its_value(prepared, weights):
    constant = with_values(prepared, np.full_like(prepared.values, 0.1))
    found = fitted(FracastForecaster, prepared, weights).predict(constant, prepared.windows("test").evenly(3))
    np.testing.assert_allclose(found, 0.1, atol=1e-4)


@needs("fracast")
def test_fracast_follows_a_daily_rhythm(prepared, weights):
    index = prepared.windows("test")
    actual = prepared.values[index.origin[:, None] + np.arange(HORIZON), index.channel[:, None]]
    error = np.abs(fitted(FracastForecaster, prepared, weights).predict(prepared, index) - actual).mean()
    last = prepared.values[index.origin - 1, index.channel]
    assert error < 0.5 * np.abs(last[:, None] - actual).mean()


@KINDS
def test_median_of_the_quantiles_is_the_forecast(kind, prepared, weights):
    forecaster, index = fitted(kind, prepared, weights), prepared.windows("test").evenly(9)
    quantiles = forecaster.predict_quantiles(prepared, index)
    assert forecaster.quantile_levels == tuple(LEVELS)
    assert quantiles.shape == (9, HORIZON, 9) and np.isfinite(quantiles).all()
    np.testing.assert_array_equal(quantiles[..., 4], forecaster.predict(prepared, index))
    assert (np.diff(quantiles.mean(axis=(0, 1))) != 0).all()


@KINDS
def test_chosen_quantiles_are_passed_on_sorted_beside_the_median(kind, prepared, weights, tmp_path):
    assert fitted(kind, prepared, weights).own_levels == ()
    forecaster, index = fitted(kind, prepared, weights, quantiles=(0.1, 0.9)), prepared.windows("test").evenly(5)
    forecast_WH, quantiles_WHQ = forecaster.predict_own(prepared, index)
    np.testing.assert_array_equal(forecast_WH, forecaster.predict(prepared, index))
    given_WHQ = forecaster.predict_quantiles(prepared, index)[..., [0, 8]]
    np.testing.assert_array_equal(quantiles_WHQ, np.sort(given_WHQ, axis=-1))
    forecaster.save(tmp_path)
    config = job_of(kind, prepared, weights(kind), limits={"quantiles": (0.1, 0.9)}).config
    assert kind.load(tmp_path, config).own_levels == (0.1, 0.9)
    with pytest.raises(ConfigError, match=r"has no quantile at 0\.95; choose 'quantiles' among 0\.1, 0\.2"):
        fitted(kind, prepared, weights, quantiles=(0.1, 0.95))


def test_timesfm_keeps_a_window_above_zero_by_its_own_values(prepared, weights):
    """The library does so for a whole batch at once, by the lowest value in it."""
    forecaster = fitted(TimesFMForecaster, prepared, weights)
    values = prepared.values - prepared.values.min(axis=0)  # zero is the lowest of each channel
    near_zero = with_values(prepared, values)
    index = near_zero.windows("test")
    assert forecaster.never_below_zero and (forecaster.predict(near_zero, index) >= 0).all()
    mixed = with_values(prepared, np.column_stack([values[:, 0], values[:, 1] - 100]))
    np.testing.assert_array_equal(
        forecaster.predict(mixed, index)[index.channel == 0], forecaster.predict(near_zero, index)[index.channel == 0]
    )
    assert (forecaster.predict(mixed, index)[index.channel == 1] < 0).any()
    forecaster.never_below_zero = False
    assert (forecaster.predict(near_zero, index) < 0).any(), "the model itself goes below"


@KINDS
def test_missing_package_is_named_with_the_command_that_installs_it(kind, prepared, monkeypatch):
    monkeypatch.setitem(sys.modules, kind.module, None)
    with pytest.raises(ConfigError, match=rf"{kind.title} needs the package {kind.module}.*pip install ") as refused:
        kind.fit(prepared, job_of(kind, prepared))
    assert "\n" not in str(refused.value) and (kind is TimesFMForecaster or kind.package in str(refused.value))


@pytest.mark.parametrize("kind", [TimesFMForecaster, pytest.param(ChronosForecaster, marks=needs("chronos"))])
def test_weights_that_are_not_here_are_named_with_what_to_do(kind, prepared, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        BackboneError, match=rf"{kind.section.model_fields['weights'].default}.*give its folder"
    ) as refused:
        kind.fit(prepared, job_of(kind, prepared))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", [TimesFMForecaster, pytest.param(ChronosForecaster, marks=needs("chronos"))])
def test_folder_of_another_model_is_refused(kind, prepared, backbones, tmp_path):
    with pytest.raises(BackboneError, match="is another model than"):
        kind.fit(prepared, job_of(kind, prepared, str(backbones["gpt2"])))
    with pytest.raises(BackboneError, match=r"holds no config\.json"):
        kind.fit(prepared, job_of(kind, prepared, str(tmp_path)))


@needs("fracast")
def test_folder_without_fracast_weights_is_refused(prepared, tmp_path):
    with pytest.raises(BackboneError, match="leave 'weights' empty"):
        FracastForecaster.fit(prepared, job_of(FracastForecaster, prepared, str(tmp_path)))


def test_weights_in_part_are_refused(prepared, weights, tmp_path):
    from safetensors.torch import load_file, save_file

    shutil.copytree(weights(TimesFMForecaster), tmp_path / "part")
    path = tmp_path / "part" / "model.safetensors"
    tensors = load_file(path)
    tensors.pop(next(name for name in tensors if "output_projection_point" in name))
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(BackboneError, match=r"only a part of TimesFM 2\.5: 1 are missing"):
        TimesFMForecaster.fit(prepared, job_of(TimesFMForecaster, prepared, str(tmp_path / "part")))


def test_pickled_weights_are_never_read(prepared, weights, tmp_path):
    folder = tmp_path / "pickled"
    shutil.copytree(weights(TimesFMForecaster), folder)
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(BackboneError, match="could not be loaded"):
        TimesFMForecaster.fit(prepared, job_of(TimesFMForecaster, prepared, str(folder)))


def test_load_refuses_weights_that_have_changed(prepared, weights, tmp_path):
    shutil.copytree(weights(TimesFMForecaster), tmp_path / "weights")
    forecaster = fitted(TimesFMForecaster, prepared, lambda _: str(tmp_path / "weights"))
    forecaster.save(tmp_path)
    write_timesfm(tmp_path / "weights")
    with pytest.raises(CheckpointError, match=r"are not those that .* was written with"):
        TimesFMForecaster.load(tmp_path, prepared.config)


@needs("fracast")
def test_load_refuses_the_weights_of_another_version_of_the_package(prepared, weights, tmp_path):
    fitted(FracastForecaster, prepared, weights).save(tmp_path)
    write_sealed_json(tmp_path / FILE, read_sealed_json(tmp_path / FILE) | {"version": "0.0.9"})
    with pytest.raises(CheckpointError, match=r"install fracast==0\.0\.9"):
        FracastForecaster.load(tmp_path, prepared.config)


def test_load_refuses_a_missing_damaged_or_foreign_file(prepared, weights, tmp_path):
    with pytest.raises(CheckpointError, match=r"holds no zero_shot\.json"):
        TimesFMForecaster.load(tmp_path, prepared.config)
    fitted(TimesFMForecaster, prepared, weights).save(tmp_path)
    with pytest.raises(CheckpointError, match="is of 'transformers', not of 'chronos-forecasting'; fit the run again"):
        ChronosForecaster.load(tmp_path, prepared.config)
    text = (tmp_path / FILE).read_text()
    (tmp_path / FILE).write_text(text.replace("transformers", "transfermers"))
    with pytest.raises(CheckpointError, match="is damaged"):
        TimesFMForecaster.load(tmp_path, prepared.config)
    (tmp_path / FILE).write_text(json.dumps({"package": "transformers"}))
    with pytest.raises(CheckpointError, match="is damaged"):
        TimesFMForecaster.load(tmp_path, prepared.config)


@needs("fracast")
def test_fit_keeps_in_the_run_s_folder_what_load_needs(prepared, tmp_path):
    job = replace(job_of(FracastForecaster, prepared), folder=tmp_path)
    fitted_there, _ = FracastForecaster.fit(prepared, job)
    index = prepared.windows("test").evenly(2)
    again = FracastForecaster.load(tmp_path, job.config).predict(prepared, index)
    np.testing.assert_array_equal(again, fitted_there.predict(prepared, index))
