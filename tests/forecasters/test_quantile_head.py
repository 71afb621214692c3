"""The quantile head of networks: quantiles never cross, the forecast stays what it was, training goes on exactly."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.table import load_table
from timellm.errors import ConfigError
from timellm.evaluation import probabilistic
from timellm.forecasters.bounds import forecast_own
from timellm.forecasters.protocol import FitJob, own_levels
from timellm.forecasters.quantile_head import QuantileHead, spread
from timellm.forecasters.quantile_head_size import head_weights, rows_of
from timellm.forecasters.registry import kind_of
from timellm.forecasters.trained import BuildJob
from timellm.forecasters.training_report import training_report
from timellm.training.loop import TrainingResult
from timellm.training.quantiles import pinball
from timellm.training.state import StateFile

LEVELS = (0.1, 0.5, 0.9)
SMALL = {
    "dlinear": {"moving_average": 5},
    "patchtst": {"patch_length": 8, "stride": 4, "d_model": 8, "heads": 2, "d_ff": 16, "layers": 1},
}
KINDS = pytest.mark.parametrize("kind", SMALL)
TRAINING = {"steps": 250, "batch_size": 32, "validations": 3, "validation_windows": 40, "learning_rate": 5e-3}


def prepared_for(path, kind: str, quantiles=LEVELS, **settings) -> PreparedData:
    config = RunConfig.create(
        path, kind=kind, **SMALL[kind], **(TRAINING | settings), context=24, horizon=4, quantiles=quantiles,
        device="cpu", pinned_windows=0, channels=("load", "price"), split="240/80/80",
    )  # fmt: skip
    return PreparedData.of(load_table(config.data), config)


def built(prepared: PreparedData):
    torch.manual_seed(0)
    job = BuildJob(prepared.config, prepared.context, prepared.horizon, torch.device("cpu"))
    return kind_of(prepared.config.kind).load().build(job)


@pytest.fixture(scope="module")
def fitted(hourly_csv, tmp_path_factory):
    """Each kind, trained for a second."""
    found = {}
    for kind in SMALL:
        prepared, folder = prepared_for(hourly_csv, kind), tmp_path_factory.mktemp("quantiles") / kind
        folder.mkdir()
        found[kind] = prepared, folder, *kind_of(kind).load().fit(prepared, FitJob(prepared.config, folder))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_offsets_never_cross_whatever_the_weights_and_the_window(seed):
    torch.manual_seed(seed)
    head = QuantileHead((0.05, 0.2, 0.5, 0.7, 0.95), features=6, horizon=3, rows=2)
    with torch.no_grad():
        head.weight_FHQ.normal_(std=10.0 ** (seed - 1))
        head.offset_NHQ.normal_()
    offset_BHQ = head(torch.randn(20, 6) * 10, torch.randn(20, 12) * 100, torch.arange(20) % 2)
    assert (offset_BHQ.diff(dim=-1) >= 0).all() and offset_BHQ.isfinite().all()


def test_spread_is_that_of_the_errors_that_bands_are_made_of():
    from timellm.evaluation.intervals import window_spread

    context_BT = np.random.default_rng(0).normal(size=(5, 30)).astype(np.float32) * 3 + 7
    mean_B1, spread_B1 = spread(torch.from_numpy(context_BT))
    np.testing.assert_allclose(spread_B1[:, 0], window_spread(context_BT.astype(np.float64), np.ones(5)), rtol=1e-6)
    np.testing.assert_allclose(mean_B1[:, 0], context_BT.mean(axis=1), rtol=1e-5)


def test_pinball_loss_is_that_of_the_evaluation():
    generator = np.random.default_rng(0)
    actual_BH, forecast_BH, offset_BHQ = (generator.normal(size=shape) for shape in ((5, 4), (5, 4), (5, 4, 3)))
    expected = probabilistic.pinball(actual_BH, forecast_BH[..., None] + offset_BHQ, levels_Q=np.array(LEVELS))
    found_B = pinball(torch.tensor(actual_BH - forecast_BH), torch.tensor(offset_BHQ), LEVELS)
    np.testing.assert_allclose(found_B, expected.mean(axis=(1, 2)), rtol=1e-6)


@KINDS
def test_forecast_has_the_weights_and_gradients_that_it_has_without_quantiles(kind, hourly_csv):
    with_them, without = (built(prepared_for(hourly_csv, kind, quantiles=levels)) for levels in (LEVELS, ()))
    own = without.state_dict()
    assert {name: torch.equal(with_them.state_dict()[name], weight) for name, weight in own.items()} == dict.fromkeys(
        own, True
    )
    extra = sum(weight.numel() for name, weight in with_them.state_dict().items() if name not in own)
    features = with_them.quantile_head.weight_FHQ.shape[0] - 3
    assert extra == head_weights(prepared_for(hourly_csv, kind).config, features=features)
    context_BT, channel_B = torch.randn(6, 24), torch.tensor([0, 1] * 3)
    found_BHR = with_them.eval()(context_BT, channel_B=channel_B)
    torch.testing.assert_close(found_BHR[..., 0], without.eval()(context_BT))
    pinball(0 - found_BHR[..., 0].detach(), found_BHR[..., 1:], LEVELS).mean().backward()
    head = {"dlinear": ("seasonal", "trend"), "patchtst": ("network.head",)}[kind]
    assert all(
        weight.grad is None or not weight.grad.any()
        for name, weight in with_them.named_parameters()
        if name.startswith(head)
    ), "the pinball loss would move the forecast"


@KINDS
def test_quantiles_lie_round_the_forecast_rise_and_are_learned(fitted, kind):
    prepared, _, forecaster, report = fitted[kind]
    index = prepared.windows("test")
    forecast_WH, quantiles_WHQ = forecast_own(forecaster, prepared, index)
    assert own_levels(forecaster) == LEVELS and quantiles_WHQ.shape == (*forecast_WH.shape, 3)
    np.testing.assert_allclose(forecast_WH, forecaster.predict(prepared, index), rtol=1e-5)
    assert (np.diff(quantiles_WHQ, axis=-1) >= 0).all()
    actual_WH = prepared.values[index.origin[:, None] + np.arange(4), index.channel[:, None]]
    first = (
        built(prepared).quantile_head.offset_NHQ[0].detach().numpy() * prepared.scaler.scale[index.channel, None, None]
    )
    losses = [
        probabilistic.pinball(actual_WH, one, levels_Q=np.array(LEVELS)).mean()
        for one in (quantiles_WHQ, forecast_WH[..., None] + first)
    ]
    assert losses[0] < 0.8 * losses[1], "no better than the first offsets round the same forecast"
    assert 0 < report.validation_loss < 1


@KINDS
def test_loaded_network_gives_the_quantiles_that_were_trained(fitted, kind):
    prepared, folder, forecaster, _ = fitted[kind]
    loaded, index = type(forecaster).load(folder, prepared.config), prepared.windows("test")
    for mine, theirs in zip(loaded.predict_own(prepared, index), forecaster.predict_own(prepared, index), strict=True):
        np.testing.assert_array_equal(mine, theirs)


class Killed(Exception):
    """What stands here for a process that ends."""


def test_fit_that_was_cut_off_goes_on_to_the_same_quantiles(fitted, hourly_csv, tmp_path, monkeypatch):
    prepared, _, whole, expected = fitted["dlinear"]
    monkeypatch.setattr(StateFile, "due", lambda _: True)

    def kill(progress) -> None:
        if progress.done == 117 and progress.learning_rate is not None:
            raise Killed

    with pytest.raises(Killed):
        type(whole).fit(prepared, FitJob(prepared.config, tmp_path, on_progress=kill))
    again, report = type(whole).fit(prepared, FitJob(prepared.config, tmp_path))
    mine, theirs = again.network.state_dict(), whole.network.state_dict()
    assert all(torch.equal(mine[name], weight) for name, weight in theirs.items())
    assert report.validation_loss == expected.validation_loss
    assert report.facts["best_step"] == expected.facts["best_step"]


def test_parts_of_a_batch_sum_to_its_gradient(hourly_csv):
    from timellm.training.processes import join_processes
    from timellm.training.step import TrainingWindows, accumulate

    prepared = prepared_for(hourly_csv, "dlinear")
    network, index = built(prepared), prepared.windows("training").evenly(12)
    windows = TrainingWindows(prepared.source(), index, index)
    grads = []
    for parts in (1, 3):
        one = copy.deepcopy(network)
        config = prepared.config.trained.model_copy(update={"accumulation": parts})
        accumulate(join_processes(torch.device("cpu")), one, windows, np.arange(12), config)
        grads.append({name: weight.grad for name, weight in one.named_parameters()})
    for name, grad in grads[0].items():
        torch.testing.assert_close(grads[1][name], grad, rtol=1e-4, atol=1e-6)


def test_offsets_begin_at_the_quantiles_of_the_errors_by_channel_and_step(hourly_csv):
    prepared = prepared_for(hourly_csv, "dlinear")
    index, source = prepared.windows("training"), prepared.source()
    head = QuantileHead(LEVELS, features=4, horizon=4, rows=2)
    head.start_at_errors(source, index, lambda some: np.zeros((len(some), 4)))
    for channel in (0, 1):
        context_BT, target_BH = _gathered(source, index, channel)
        errors_BH = target_BH.numpy() / spread(context_BT)[1].numpy()
        np.testing.assert_allclose(
            head.offset_NHQ[channel].detach().T, np.quantile(errors_BH, LEVELS, axis=0), rtol=1e-4
        )
    assert head.is_zero()


def _gathered(source, index, channel):
    mine = np.flatnonzero(index.channel == channel)
    chosen = mine[np.linspace(0, len(mine) - 1, min(len(mine), 256)).round().astype(np.int64)]
    return source.gather(index.channel[chosen], origin=index.origin[chosen])


def test_very_many_channels_share_their_offsets():
    few = RunConfig.create("t.csv", kind="dlinear", quantiles=LEVELS, channels=("a", "b"), horizon=96)
    many = few.updated(channels=tuple(map(str, range(10_000))))
    assert (rows_of(few), rows_of(many), rows_of(few.updated(channels=()))) == (2, 1, 1)
    assert head_weights(few.updated(quantiles=()), features=9) == 0


@pytest.mark.parametrize(
    ("levels", "reason"),
    [
        ((0.9,), "give a level below 0.5 and one above it"),
        ((0.1, 0.5), "give a level below 0.5 and one above it"),
        ((0.0, 0.9), r"give shares from 0\.01 to 0\.99"),
        ((10, 90), r"give shares from 0\.01 to 0\.99"),
        (tuple(np.linspace(0.02, 0.98, 40)), "give at most 19 levels"),
        (("a", "b"), "valid number"),
    ],
)
def test_levels_that_make_no_band_are_refused(levels, reason):
    with pytest.raises(ConfigError, match=reason):
        RunConfig.create("t.csv", kind="dlinear", quantiles=levels)


def test_levels_are_sorted_read_from_the_command_line_and_off_by_default():
    from timellm.config import parse_setting

    name, value = parse_setting("quantiles=0.9, 0.1,0.9", "dlinear")
    config = RunConfig.create("t.csv", kind="dlinear", **{name: value})
    assert config.quantiles == (0.1, 0.9) and RunConfig.from_json(config.to_json()) == config
    for kind in ("time_llm", "dlinear", "patchtst", "ridge", "fracast"):
        assert RunConfig.create("t.csv", kind=kind).quantiles == ()


@pytest.mark.parametrize(
    ("step", "adds_nothing", "quantiles", "said"),
    [(75, True, True, True), (75, False, True, False), (0, True, True, False), (75, True, False, False)],
)
def test_report_says_that_quantiles_are_of_another_step_than_the_forecast(step, adds_nothing, quantiles, said):
    trained = TrainingResult(100, step, 0.5, 1.0, 1.0, stopped=False, early=False, share=0.0 if adds_nothing else 1.0)
    notes = training_report(trained, seconds=1.0, quantiles=quantiles).notes
    assert any("The quantiles are those of step 75" in note for note in notes) == said
