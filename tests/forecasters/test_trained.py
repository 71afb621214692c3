"""Forecasters that are trained step by step: one fit for all kinds, which stops, goes on, saves and loads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.table import load_table
from timellm.data.windows import WindowIndex
from timellm.errors import CheckpointError, ConfigError
from timellm.forecasters.autoformer import AutoformerForecaster
from timellm.forecasters.dlinear import DLinearForecaster
from timellm.forecasters.patchtst import PatchTSTForecaster
from timellm.forecasters.protocol import FitJob, FitStoppedError
from timellm.forecasters.trained import BuildJob, NetworkForecaster
from timellm.training.checkpoint import read_adapter
from timellm.training.pinned import PINNED, PinnedWindows
from timellm.training.state import StateFile, has_state

CONTEXT, HORIZON, STEPS = 32, 6, 12


SMALL = {
    DLinearForecaster: {"kind": "dlinear", "moving_average": 5},
    AutoformerForecaster: {"kind": "autoformer", "d_model": 8, "d_ff": 16, "moving_average": 5, "dropout": 0.2},
    PatchTSTForecaster: {
        "kind": "patchtst", "patch_length": 8, "stride": 4, "d_model": 8, "heads": 2, "d_ff": 16, "layers": 1,
    },
}  # fmt: skip
KINDS = pytest.mark.parametrize("kind", SMALL)


class Killed(Exception):
    """What stands here for a process that ends."""


def killed_after(step: int):
    def on_progress(progress) -> None:
        if progress.done == step and progress.learning_rate is not None:
            raise Killed

    return on_progress


TRAINING = {"batch_size": 8, "validations": 3, "validation_windows": 20, "learning_rate": 0.01, "patience": 4}


@pytest.fixture
def prepared(hourly_csv, request) -> PreparedData:
    """Of the test's kind of forecaster; a DLinear's where it is not about kinds."""
    kind = getattr(request.node, "callspec", None)
    small = SMALL[kind.params["kind"] if kind else DLinearForecaster]
    config = RunConfig.create(
        hourly_csv, **small, **TRAINING, context=CONTEXT, horizon=HORIZON, steps=STEPS, pinned_windows=2, device="cpu"
    )
    return PreparedData.of(load_table(config.data), config)


def job_in(folder: Path, prepared: PreparedData, **watch) -> FitJob:
    folder.mkdir(exist_ok=True)
    return FitJob(prepared.config, folder, **watch)


def with_settings(prepared: PreparedData, **settings) -> PreparedData:
    return replace(prepared, config=prepared.config.updated(**settings))


def equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@KINDS
def test_fit_says_how_it_went_and_keeps_the_best_weights(kind, prepared, tmp_path):
    heard = []
    forecaster, report = kind.fit(prepared, job_in(tmp_path / "run", prepared, on_progress=heard.append))
    losses = {moment.done: moment.validation_loss for moment in heard if moment.validation_loss is not None}
    assert sorted(losses) == [4, 8, 12]
    assert report.validation_loss == min(losses.values()) and not report.stopped
    assert report.facts["steps"] == STEPS and losses[report.facts["best_step"]] == report.validation_loss
    assert equal(read_adapter(tmp_path / "run"), forecaster.network.state_dict())
    assert has_state(tmp_path / "run"), "the caller removes it when all is written"


@KINDS
@pytest.mark.parametrize("end_at", [3, 6, 11])
def test_fit_that_was_cut_off_goes_on_to_the_same_forecasts(kind, prepared, tmp_path, monkeypatch, end_at):
    whole, expected = kind.fit(prepared, job_in(tmp_path / "whole", prepared))
    monkeypatch.setattr(StateFile, "due", lambda _: True)
    with pytest.raises(Killed):
        kind.fit(prepared, job_in(tmp_path / "cut", prepared, on_progress=killed_after(end_at)))
    torch.manual_seed(99)  # the new process starts anywhere
    again, report = kind.fit(prepared, job_in(tmp_path / "cut", prepared))
    assert equal(again.network.state_dict(), whole.network.state_dict())
    assert report.validation_loss == expected.validation_loss
    for name in ("steps", "best_step"):
        assert report.facts[name] == expected.facts[name]
    index = prepared.windows("test")
    np.testing.assert_array_equal(again.predict(prepared, index), whole.predict(prepared, index))
    assert (tmp_path / "cut" / PINNED).read_bytes() == (tmp_path / "whole" / PINNED).read_bytes()


@KINDS
def test_stop_keeps_what_was_learned(kind, prepared, tmp_path):
    done = [0]

    def on_progress(progress) -> None:
        done[0] = progress.done

    watch = {"on_progress": on_progress, "should_stop": lambda: done[0] == 6}
    forecaster, report = kind.fit(prepared, job_in(tmp_path / "run", prepared, **watch))
    assert report.stopped and report.facts["steps"] == 6 and report.facts["best_step"] in (4, 6)
    assert equal(read_adapter(tmp_path / "run"), forecaster.network.state_dict())


@KINDS
def test_stop_before_the_first_step_leaves_no_forecaster(kind, prepared, tmp_path):
    forecaster, report = kind.fit(prepared, job_in(tmp_path / "run", prepared, should_stop=lambda: True))
    assert forecaster is None and report.stopped and report.validation_loss is None


@KINDS
def test_saved_forecaster_loads_to_the_same_forecasts(kind, prepared, tmp_path):
    forecaster, _ = kind.fit(prepared, job_in(tmp_path / "run", prepared))
    (tmp_path / "copy").mkdir()
    forecaster.save(tmp_path / "copy")
    loaded = kind.load(tmp_path / "copy", prepared.config)
    index = prepared.windows("test")
    np.testing.assert_array_equal(loaded.predict(prepared, index), forecaster.predict(prepared, index))


@KINDS
def test_forecasts_do_not_depend_on_how_windows_are_asked_for(kind, prepared, tmp_path):
    forecaster, _ = kind.fit(prepared, job_in(tmp_path / "run", prepared))
    index = prepared.windows("test")
    together = forecaster.predict(prepared, index)
    assert together.shape == (len(index), HORIZON) and together.dtype == np.float64
    parts = [slice(begin, begin + 37) for begin in range(0, len(index), 37)]
    apart = [forecaster.predict(prepared, WindowIndex(index.channel[p], index.origin[p], 0)) for p in parts]
    np.testing.assert_array_equal(np.concatenate(apart), together)


@KINDS
def test_forecast_reads_nothing_from_its_origin_on(kind, prepared, tmp_path):
    forecaster, _ = kind.fit(prepared, job_in(tmp_path / "run", prepared))
    origin = 360
    scrambled = prepared.values.copy()
    scrambled[origin:] = np.random.default_rng(0).normal(1e3, 1e3, scrambled[origin:].shape)
    scrambled[origin - CONTEXT - 1] = -1e3  # and nothing before its context
    index = WindowIndex(np.array([0, 1]), np.array([origin, origin]), 0)
    np.testing.assert_array_equal(
        forecaster.predict(replace(prepared, values=scrambled), index), forecaster.predict(prepared, index)
    )
    cut = replace(prepared, values=prepared.values[:origin])  # one past the last row
    np.testing.assert_array_equal(forecaster.predict(cut, index), forecaster.predict(prepared, index))


@KINDS
def test_forecast_of_a_context_with_a_gap_is_missing_and_leaves_others_alone(kind, prepared, tmp_path):
    forecaster, _ = kind.fit(prepared, job_in(tmp_path / "run", prepared))
    gap = prepared.values.copy()
    gap[340, 0] = np.nan
    index = WindowIndex(np.array([0, 1]), np.array([350, 350]), 0)
    found = forecaster.predict(replace(prepared, values=gap), index)
    assert np.isnan(found[0]).all()
    np.testing.assert_array_equal(found[1], forecaster.predict(prepared, index)[1])


@KINDS
def test_parts_of_a_batch_train_the_same_network(kind, prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(nn.Dropout, "forward", lambda _, states: states)
    one, _ = kind.fit(prepared, job_in(tmp_path / "one", prepared))
    parts = with_settings(prepared, accumulation=3)
    other, _ = kind.fit(parts, job_in(tmp_path / "parts", parts))
    index = prepared.windows("test")
    np.testing.assert_allclose(other.predict(parts, index), one.predict(prepared, index), rtol=1e-3)


@KINDS
def test_seed_decides_the_weights(kind, prepared, tmp_path):
    found = []
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        seeded = with_settings(prepared, seed=seed)
        found.append(kind.fit(seeded, job_in(tmp_path / name, seeded))[0].network.state_dict())
    assert equal(found[0], found[1]) and not equal(found[0], found[2])


def test_dlinear_learns_a_linear_map_without_noise(tmp_path):
    """Three sines obey a linear recurrence, which forecasts them without error."""
    rows = np.arange(600)
    waves = [np.sin(rows * 2 * np.pi / period + 1) for period in (24, 13, 7)]
    frame = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=600, freq="h"), "load": 40 + 3 * sum(waves)})
    frame.to_csv(tmp_path / "waves.csv", index=False)
    config = RunConfig.create(
        tmp_path / "waves.csv", **SMALL[DLinearForecaster], context=CONTEXT, horizon=HORIZON, steps=400, batch_size=64,
        learning_rate=0.01, device="cpu",
    )  # fmt: skip
    prepared = PreparedData.of(load_table(config.data), config)
    forecaster, report = DLinearForecaster.fit(prepared, job_in(tmp_path / "run", prepared))
    assert report.validation_loss < 1e-3
    index = prepared.windows("test")
    actual = prepared.values[index.origin[:, None] + np.arange(HORIZON), index.channel[:, None]]
    assert np.abs(forecaster.predict(prepared, index) - actual).max() < 0.05 * prepared.values.std()


def test_pinned_forecasts_are_kept_at_every_validation(prepared, tmp_path):
    DLinearForecaster.fit(prepared, job_in(tmp_path / "run", prepared))
    rows = pq.read_table(tmp_path / "run" / PINNED).to_pylist()
    pinned = PinnedWindows.of(prepared, tmp_path / "run")
    assert [row["step"] for row in rows] == [4, 4, 8, 8, 12, 12]
    assert [row["origin"] for row in rows] == pinned.validated.origin[pinned.positions].tolist() * 3


def test_training_goes_on_with_the_same_settings_only(prepared, tmp_path):
    DLinearForecaster.fit(prepared, job_in(tmp_path / "run", prepared))
    changed = with_settings(prepared, learning_rate=0.02)
    with pytest.raises(CheckpointError, match="belongs to a training with other settings"):
        DLinearForecaster.fit(changed, job_in(tmp_path / "run", changed))
    elsewhere = with_settings(prepared, path="elsewhere.csv", tracker="tensorboard")
    DLinearForecaster.fit(elsewhere, job_in(tmp_path / "run", elsewhere))


def test_gradient_checkpointing_of_a_network_without_it_is_refused(prepared, tmp_path):
    changed = with_settings(prepared, gradient_checkpointing=True)
    with pytest.raises(ConfigError, match="'gradient_checkpointing' is on, but DLinear has no layers that run again"):
        DLinearForecaster.fit(changed, job_in(tmp_path / "run", changed))


def test_weights_of_another_network_are_refused(prepared, tmp_path):
    DLinearForecaster.fit(prepared, job_in(tmp_path / "run", prepared))
    with pytest.raises(CheckpointError, match=r"does not fit its config\.json"):
        PatchTSTForecaster.load(tmp_path / "run", prepared.config.updated(**SMALL[PatchTSTForecaster]))


class SlowToBuild(NetworkForecaster):
    """A kind whose parts are fetched first, and which keeps something beside its weights."""

    @classmethod
    def build(cls, job: BuildJob) -> nn.Module:
        if job.should_stop():
            raise FitStoppedError
        return nn.Linear(job.context, job.horizon, device=job.device)

    def write_extras(self, folder: Path) -> None:
        (folder / "extra.txt").write_text(str(self.network.weight.shape[1]))


def test_kind_writes_build_alone_and_may_keep_more_than_weights(prepared, tmp_path):
    forecaster, _ = SlowToBuild.fit(prepared, job_in(tmp_path / "run", prepared))
    assert (tmp_path / "run" / "extra.txt").read_text() == str(CONTEXT)
    assert np.isfinite(forecaster.predict(prepared, prepared.windows("test"))).all()


def test_stop_while_the_network_is_built_leaves_nothing(prepared, tmp_path):
    forecaster, report = SlowToBuild.fit(prepared, job_in(tmp_path / "run", prepared, should_stop=lambda: True))
    assert forecaster is None and report.stopped
    assert not list((tmp_path / "run").iterdir())
