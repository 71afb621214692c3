"""Whether attention explains forecasts: on a small trained run, on copies in which the link is broken, and by hand."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

import timellm
from tests.conftest import SMALL
from timellm.config import RunConfig
from timellm.errors import ConfigError, DataError
from timellm.explain import gradients, masked
from timellm.explain.answer import ADDS_NOTHING, answer
from timellm.explain.faithfulness import faithfulness, one_window
from timellm.explain.orders import Attended, Orders, rank_correlations
from timellm.explain.reader import AttentionReader
from timellm.explain.removals import LEAST, MOST, RANDOM, Blocks, Interval, Removals, numbers_removed
from timellm.explain.study import Faithfulness, OneWindow
from timellm.files.tensorfile import read_tensors, write_tensors
from timellm.forecasters.time_llm.kept import PROTOTYPES
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.fitted import FittedRun
from timellm.training.checkpoint import ADAPTER


@pytest.fixture(scope="module")
def found(trained_run) -> Faithfulness:
    return faithfulness(trained_run, windows=32)


@pytest.mark.skipif(not gradients.has_gradients(), reason="the optional package captum is not installed")
def test_gradients_are_set_beside_attention(found):
    assert -1 <= found.study.gradients.correlation.low <= found.study.gradients.correlation.high <= 1
    assert found.study.gradients.gap < 0.2


def test_true_run_is_explained_at_least_partly(found):
    assert found.answer.word in ("yes", "partly"), found.answer.sentence
    prototypes = found.study.prototypes
    assert prototypes.stands_out()
    assert prototypes.area(MOST) > prototypes.area(RANDOM) > prototypes.area(LEAST)
    assert found.study.linear_share is None


@pytest.mark.parametrize(("file", "seed"), [(PROTOTYPES, 0), (PROTOTYPES, 1), (ADAPTER, 0)])
def test_run_whose_prototypes_were_shuffled_after_training_is_called_no(shuffled, file, seed):
    broken = faithfulness(shuffled(file, seed=seed), windows=32)
    assert broken.answer.word == "no", broken.answer.sentence
    assert broken.study.even.value > 0.2, "attention carries the forecast as before: what is shown is not what is read"
    assert "matter no more than others" in broken.answer.sentence


def test_shuffling_what_is_shown_together_with_what_is_read_changes_nothing(shuffled, found):
    # Keys and values come from the same rows, so that only their numbers change. The words would be wrong, which no
    # forecast can show.
    same = faithfulness(shuffled(PROTOTYPES, ADAPTER), windows=32)
    assert same.answer.word == found.answer.word
    np.testing.assert_allclose(same.study.prototypes.of(MOST), found.study.prototypes.of(MOST), rtol=0.05, atol=2e-3)
    assert same.study.even.value == pytest.approx(found.study.even.value, rel=1e-3)


def test_run_that_adds_nothing_is_called_no_without_a_backbone(trained_run, tmp_path, monkeypatch):
    shutil.copytree(trained_run, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    folder.save_summary(folder.summary() | {"adds_nothing": True})
    monkeypatch.setattr(FittedRun, "load", lambda *_, **__: pytest.fail("the backbone was loaded"))
    found = faithfulness(tmp_path / "run")
    assert found == Faithfulness(ADDS_NOTHING, None)
    assert found.answer.sentence.startswith("No: the language model adds nothing")


def test_study_leaves_run_and_forecasts_as_they_were(trained_run):
    before = {path.name: path.read_bytes() for path in trained_run.iterdir()}
    forecast = timellm.Forecaster.load(trained_run).forecast()
    shares = []
    faithfulness(trained_run, channel="price", windows=4, on_part=shares.append)
    assert {path.name: path.read_bytes() for path in trained_run.iterdir()} == before
    assert timellm.Forecaster.load(trained_run).forecast().equals(forecast)
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_work_ends_when_its_progress_says_so(trained_run):
    def stop(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        faithfulness(trained_run, windows=4, on_part=stop)


def test_unknown_channel_and_run_without_attention_are_refused(trained_run, tmp_path):
    with pytest.raises(DataError, match="no channel 'wind'; the run has load, price"):
        faithfulness(trained_run, channel="wind")
    shutil.copytree(trained_run, tmp_path / "run")
    config = RunFolder(trained_run).config().updated(reprogramming="linear")
    (tmp_path / "run" / "config.json").write_text(config.to_json())
    with pytest.raises(ConfigError, match="no attention over text prototypes"):
        faithfulness(tmp_path / "run")


def test_without_captum_a_note_says_how_to_get_it(trained_run, monkeypatch):
    for module in (gradients, masked):
        monkeypatch.setattr(module, "has_gradients", lambda: False)
    found = faithfulness(trained_run, windows=4)
    assert found.study.gradients is None
    assert found.notes == (gradients.how_to_get_them(),)
    assert "captum==" in found.notes[0]


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [
        ("gpt2", {"quantization": "8bit"}),
        ("bert", {"prototype_source": "map", "attention_scores": "dot"}),
        ("qwen2", {"quantization": "4bit", "fast_code": False}),
    ],
)
def test_every_kind_of_backbone_is_studied(hourly_csv, backbones, tmp_path, architecture, settings):
    few = {"backbone": str(backbones[architecture]), "steps": 2, "validations": 1, "channels": ["load"]}
    timellm.fit(RunConfig.create(hourly_csv, **SMALL | few | settings), run_dir=tmp_path / "run")
    study = faithfulness(tmp_path / "run", windows=3).study
    for removals in (study.prototypes, study.patches):
        assert np.isfinite(removals.of(MOST)).all()
        assert (removals.of(MOST) > 0).all()
    if gradients.has_gradients():
        assert np.isfinite(study.gradients.gap)


def test_linear_path_is_left_alone_by_masks_and_told_apart(hourly_csv, tiny_backbone, tmp_path):
    few = {"linear_path": "fixed", "steps": 1, "validations": 1, "channels": ["load"]}
    timellm.fit(RunConfig.create(hourly_csv, backbone=str(tiny_backbone), **SMALL | few), run_dir=tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    tensors, facts = read_tensors(folder.path / ADAPTER, remedy="")
    head = torch.randn(tensors["head.linear.weight"].shape, generator=torch.Generator().manual_seed(0))
    write_tensors(folder.path / ADAPTER, tensors | {"head.linear.weight": head * 1e-3}, facts=facts)
    folder.save_summary(folder.summary() | {"adds_nothing": False})
    found = faithfulness(folder.path, windows=32)
    assert found.study.linear_share == pytest.approx(1, abs=1e-6), "the stored forecasts are the linear path's"
    assert 0 < found.study.even.value < 0.05
    assert found.answer.word == "no"
    assert "carries next to nothing" in found.answer.sentence
    assert "The linear path, which attention does not touch, carries 100.0%" in " ".join(found.study.sentences())


@pytest.mark.parametrize("cutoff", ["2024-01-17 15:00", "2024-01-08 01:00"])
def test_one_window_is_measured_beside_and_does_not_count(trained_run, found, cutoff):
    window = OneWindow("price", pd.Timestamp(cutoff))  # the first ends with the table, so that nothing came after it
    both = faithfulness(trained_run, windows=32, one=window)
    assert both.answer == found.answer
    assert both.one.window == window
    moved = both.one.prototypes.of(MOST)
    assert moved.shape == (len(both.one.prototypes.removed_K), 1)
    assert np.isfinite(moved).all()
    assert np.isfinite(both.one.prototypes.of(MOST, error=True)).all() == (cutoff != "2024-01-17 15:00")
    alone = one_window(trained_run, window, deviation=both.study.deviation)
    np.testing.assert_array_equal(alone.prototypes.of(MOST), moved)
    assert alone.even == both.one.even
    assert f"{moved[both.one.prototypes.main, 0]:.1%}" in both.one.sentence()


def test_window_that_is_not_there_is_refused_before_anything_is_worked_out(trained_run):
    with pytest.raises(DataError, match="there is no row at 2031-01-01"):
        faithfulness(trained_run, one=OneWindow("price", pd.Timestamp("2031-01-01")), on_part=pytest.fail)


def opened(run_dir, count: int = 3):
    fitted = FittedRun.load(run_dir)
    index = fitted.prepared.windows("test").evenly(count)
    return next(iter(masked.batches(fitted.forecaster, fitted.prepared, index)))


@pytest.mark.skipif(not gradients.has_gradients(), reason="the optional package captum is not installed")
def test_attributions_sum_to_the_distance_of_the_forecasts(trained_run):
    _, windows, _ = opened(trained_run)
    mean_BPM = windows.patches_BPM.mean(dim=1, keepdim=True).expand_as(windows.patches_BPM)
    with torch.no_grad():
        distance = (windows.forecast() - windows.forecast(patches_BPM=mean_BPM)).norm(dim=1).numpy()
    found = gradients.integrated_gradients(windows, steps=100)
    np.testing.assert_allclose(found.distance_B, distance, rtol=1e-5)
    np.testing.assert_allclose(found.attribution_BP.sum(axis=1), distance, rtol=0.05)
    assert found.gap == pytest.approx(0, abs=0.05)


def test_movements_are_those_of_forecasts_masked_one_by_one(trained_run):
    which, windows, actual_BH = opened(trained_run)
    attended_WV = np.random.default_rng(3).random((3, 60))
    orders = Orders.of("prototypes", attended_WV)
    moved = masked.moved(windows, actual_BH, [orders.part(which)], on_pass=lambda done: None)
    number = int(np.flatnonzero(orders.removed_K == 6)[0])
    with torch.no_grad():
        whole = windows.forecast().numpy()
        mask = torch.zeros(3, 60, dtype=torch.bool)
        for window in range(3):
            mask[window, np.argsort(-attended_WV[window])[:6].copy()] = True
        other = windows.forecast(masked.Masks(prototypes=mask)).numpy()
    np.testing.assert_allclose(moved.moved_OKB[0][0, number], np.sqrt(((other - whole) ** 2).mean(axis=1)), rtol=1e-5)
    change = np.abs(other - actual_BH).mean(axis=1) - np.abs(whole - actual_BH).mean(axis=1)
    np.testing.assert_allclose(moved.error_OKB[0][0, number], change, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(moved.deviation_B, whole.std(axis=1), rtol=1e-5)


def test_orders_take_the_most_attended_first_and_rename_units_alike_in_all_windows():
    attended_WU = np.random.default_rng(0).random((7, 40))
    orders = Orders.of("patches", attended_WU)
    most_WU, least_WU, *random_WU = orders.place_OWU
    by_hand = np.array([[np.sum(row > value) for value in row] for row in attended_WU])
    np.testing.assert_array_equal(most_WU, by_hand)
    np.testing.assert_array_equal(least_WU, 39 - by_hand)
    assert len(random_WU) == 19
    for place_WU in random_WU:
        names = [int(np.flatnonzero((most_WU == place_WU[:, [u]]).all(axis=0))[0]) for u in range(40)]
        assert sorted(names) == list(range(40))
        assert names != list(range(40))
    main = orders.removed_K == 4
    assert orders.wanted_OK[:, main].all()
    assert orders.wanted_OK[7:, ~main].sum() == 0
    assert orders.wanted_OK[:7].all()


def test_numbers_removed_run_from_one_to_all_but_one():
    np.testing.assert_array_equal(numbers_removed(1000), [10, 20, 50, 100, 200, 500, 800, 900, 950, 990])
    np.testing.assert_array_equal(numbers_removed(2), [1])
    assert numbers_removed(43)[0] == 1
    assert numbers_removed(43)[-1] == 42


def test_rank_correlation_is_that_of_ranks():
    first = np.array([[1.0, 5.0, 9.0, 20.0], [1.0, 5.0, 9.0, 20.0], [3.0, 3.0, 3.0, 3.0]])
    second = np.array([[0.1, 0.2, 0.3, 0.4], [4.0, 3.0, 2.0, 1.0], [4.0, 3.0, 2.0, 1.0]])
    np.testing.assert_allclose(rank_correlations(first, second), [1, -1, np.nan])


def test_interval_of_a_ratio_covers_it_and_grows_with_what_windows_share():
    drawn = np.random.default_rng(0)
    origin_W = np.arange(400)
    apart = Blocks(origin_W, horizon=1).ratio(drawn.gamma(9.0, size=400), np.ones(400))
    assert apart.low < 9 < apart.high
    alike = np.repeat(drawn.gamma(9.0, size=40), 10)
    narrow, wide = (Blocks(origin_W, horizon=horizon).ratio(alike, np.ones(400)) for horizon in (1, 10))
    assert wide.value == narrow.value == pytest.approx(alike.mean())
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    few = Blocks(np.arange(40), horizon=10).ratio(np.ones(40), np.ones(40))
    assert few.value == 1
    assert np.isnan(few.low)
    assert not few.above(0)


def removals(most: float, *, least: float = 0.2, unit: str = "prototypes", windows: int = 40) -> Removals:
    """Of 20 units: how far the most and the least attended ones move forecasts, as multiples of random ones."""
    names = (MOST, LEAST, *[RANDOM] * 19)
    noise = np.random.default_rng(0).normal(1, 0.1, (21, len(numbers_removed(20)), windows))
    size = np.array([most, least, *[1.0] * 19])[:, None, None]
    blocks = Blocks(np.arange(windows) * 5, horizon=10)
    return Removals(unit, 20, numbers_removed(20), names, size * noise, 0.1 * size * noise, blocks)


SURE = Interval(0.5, 0.4, 0.6)


@pytest.mark.parametrize(
    ("even", "prototypes", "patches", "word", "reason"),
    [
        (SURE, removals(3), removals(2, unit="patches"), "yes", "explains these forecasts: without the 2 most"),
        (SURE, removals(3), removals(1, unit="patches"), "partly", "patches whose attention stands out matter no more"),
        (SURE, removals(1.5), removals(2, unit="patches"), "partly", "less than twice as far"),
        (SURE, removals(9, least=2), removals(2), "partly", "little attention does not mean little effect.* 2.0"),
        (SURE, removals(9, least=1), removals(2), "partly", "little attention does not mean little effect"),
        (Interval(0.1, 0.1, 0.1), removals(3), removals(2), "partly", "attention carries little of them"),
        (SURE, removals(1), removals(2, unit="patches"), "no", "matter no more than others"),
        (Interval(0.01, 0.0, 0.1), removals(3), removals(2), "no", "carries next to nothing.* by 1.0%"),
        (Interval(np.nan, np.nan, np.nan), removals(3), removals(2), "no", "carries next to nothing"),
        (SURE, removals(3, windows=8), removals(2, windows=8), "no", "too few test windows to tell"),
    ],
)  # fmt: skip
def test_answer_follows_the_rule(even, prototypes, patches, word, reason):
    found = answer(even, prototypes, patches)
    assert found.word == word
    assert found.sentence.lower().startswith(f"{word}: ")
    assert re.search(reason, found.sentence), found.sentence


def test_random_draw_that_moves_forecasts_further_forbids_to_be_sure():
    most = removals(3)
    most.moved_OKW[5, most.main] *= 10
    assert most.ratio().above(1)
    assert most.beaten() == (18, 19)
    assert not most.stands_out()


def test_areas_and_frame_are_those_of_the_means():
    found = removals(3)
    share_K = np.concatenate([[0], found.removed_K]) / 19
    mean_K = np.concatenate([[0], found.moved_OKW[0].mean(axis=1)])
    expected = sum((b - a) * (p + q) / 2 for a, b, p, q in zip(share_K, share_K[1:], mean_K, mean_K[1:], strict=False))
    assert found.area(MOST) == pytest.approx(expected)
    frame = found.frame()
    assert len(frame) == 3 * len(found.removed_K)
    row = frame[(frame["order"] == RANDOM) & (frame["removed"] == 2)].iloc[0]
    draws = found.moved_OKW[2:, found.main].mean(axis=1)
    assert (row["moved"], row["moved_low"], row["moved_high"]) == pytest.approx(
        (draws.mean(), draws.min(), draws.max())
    )


def test_attention_that_ranks_is_the_attention_that_is_shown(trained_run):
    reader, prepared = AttentionReader.open(trained_run), RunFolder(trained_run).prepared()
    index = prepared.windows("test").evenly(2)
    attended = Attended.read(reader, prepared, index)
    scaled = prepared.scaler.transform(prepared.values)
    for window in range(2):
        origin, channel = int(index.origin[window]), int(index.channel[window])
        weights_hPV = reader.weights(scaled[origin - prepared.context : origin, channel][None])[0]
        np.testing.assert_allclose(attended.prototypes_WV[window], weights_hPV.mean(axis=(0, 1)), rtol=1e-5)
        mean_hV = weights_hPV.mean(axis=1)
        away = [
            np.mean([np.abs(weights_hPV[h, p] - mean_hV[h]).sum() / 2 for h in range(len(weights_hPV))])
            for p in range(weights_hPV.shape[1])
        ]
        np.testing.assert_allclose(attended.patches_WP[window], away, rtol=1e-4, atol=1e-7)
