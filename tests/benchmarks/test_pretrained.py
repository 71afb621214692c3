"""Adapters that come trained: the generated series are what is written of them, and a target has a row each way."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import pretrained as benchmark
from tests.conftest import SMALL
from timellm.config import RunConfig
from timellm.forecasters.start_rules import PRETRAINED

LLM = SMALL | {"linear_path": "fixed", "linear_maps": "shared", "steps": 2, "missing": "interpolate", "device": "cpu"}


def test_generated_series_are_the_same_for_one_seed_and_differ_among_each_other():
    one, again = (benchmark.generated(600, 5, seed=1) for _ in range(2))
    assert one.equals(again) and not one.equals(benchmark.generated(600, 5, seed=2))
    values = one.drop(columns="ds").to_numpy()
    assert np.isfinite(values).all() and (values.std(axis=0) > 0).all()
    assert np.abs(np.corrcoef(values.T) - np.eye(5)).max() < 0.999


def test_seasons_have_two_of_the_lengths_and_events_stay_or_fade():
    drawn = np.random.default_rng(3)
    power = np.abs(np.fft.rfft(benchmark._seasons(168 * 48, drawn)))
    found = {round(168 * 48 / place) for place in np.flatnonzero(power > 1e-6 * power.max())}
    harmonics = {length: {round(length / one) for one in (1, 2, 3)} for length in benchmark.SEASONS}
    assert any(found <= harmonics[a] | harmonics[b] for a in harmonics for b in harmonics if a < b)
    steps = np.diff(benchmark._events(5000, np.random.default_rng(4)))
    assert 5 <= (np.abs(steps) > 0.2).sum() < 200


def test_target_has_a_row_for_each_way_to_forecast_it(hourly_csv, tiny_backbone, tmp_path, monkeypatch):
    small = [one for one in benchmark.samples() if one.rows < 3000][:1]
    assert small, "a sample that is learned from in a second"
    monkeypatch.setattr(benchmark, "samples", lambda: small)
    monkeypatch.setattr(benchmark, "find_spec", lambda name: None)
    config = RunConfig.create(hourly_csv, backbone=str(tiny_backbone), **LLM)
    found = benchmark.adapters(config, tmp_path / "out")
    assert [one["table"] for one in found["tables"]] == [small[0].key, "generated"]
    assert not (tmp_path / "out" / PRETRAINED / "training_state.safetensors").exists()
    rows = {
        name: (error, windows) for name, error, windows, _ in benchmark.measure(config, tmp_path / "out", steps=[2])
    }
    assert list(rows) == ["zero-shot", "ridge", "best simple rule", "2 steps", "2 steps from the adapters"]
    assert {windows for _, windows in rows.values()} == {2 * (80 - 12 + 1)}
    assert all(error > 0 for error, _ in rows.values())
    assert rows["2 steps"][0] == pytest.approx(rows["ridge"][0], rel=0.2), "both begin at a ridge of the target"
