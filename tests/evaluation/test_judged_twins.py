"""What twins say of a run: yes only if all without the language model are surely worse, no if one is as good."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.test_window_errors import written
from tests.evaluation.windows import OWN, REFERENCE
from timellm.errors import CheckpointError, ConfigError
from timellm.evaluation import twins as judging
from timellm.evaluation.accumulator import ForecastBatch
from timellm.evaluation.confidence_set import confidence_set
from timellm.evaluation.significance import losses_by_cutoff
from timellm.evaluation.twins import Scored, in_set, judge_twins
from timellm.evaluation.window_errors import read_window_errors
from timellm.forecasters.time_llm.twins import TWINS

HORIZON = 5
needs_arch = pytest.mark.skipif(
    importlib.util.find_spec("arch") is None, reason="arch is not installed; requirements-dev.txt has it"
)


@pytest.fixture
def scored(tmp_path):
    """Makes the run and twins whose errors have these deviations; those of equal ones differ by luck alone."""

    def make(sizes, *, windows=400, **facts):
        rng = np.random.default_rng(3)
        origins, steps = np.arange(windows), np.arange(windows)[:, None] + np.arange(HORIZON)
        truth, shared = rng.normal(size=(2, windows + HORIZON))
        found = []
        for name, size in sizes.items():
            own = 0.7 * shared + 0.7 * rng.normal(size=windows + HORIZON)
            errors = (shared if isinstance(size, str) else own)[steps] * float(size)
            given = ForecastBatch(
                np.zeros(windows, np.int64), 100 + origins, truth[steps], {OWN: truth[steps] + errors}
            )
            written(tmp_path / name, given, horizon=HORIZON, span=windows + HORIZON - 1, **facts)
            twin = next((one for one in TWINS if one.name == name), None)
            title, language_model = (twin.title, twin.language_model) if twin else ("This run", True)
            found.append(
                Scored(name, title, tmp_path / name, OWN, language_model, 60.0 if twin is None else 5.0, 700.0)
            )
        return found[0], found[1:]

    return make


ALL = ("random-weights", "transformer-block", "attention", "no-language-model", "linear-path")


def test_yes_where_every_twin_without_the_language_model_is_worse(scored):
    report = judge_twins(*scored({"run": 1.0, "no-prompt": 1.0} | dict.fromkeys(ALL, 1.4)))
    assert report.answer == "yes"
    assert report.sentence.startswith("Yes: the closest twin without it,")
    assert "higher MSE (p < 0.001), in 5.0 s instead of 60 s." in report.sentence
    by_name = {row.name: row for row in report.rows}
    assert [row.name for row in report.rows] == ["run", "no-prompt", *ALL]
    assert by_name["run"].change is None and by_name["linear-path"].change > 0.5


def test_errors_and_changes_are_those_of_the_windows(scored):
    run, twins = scored({"run": 1.0, "attention": 1.3})
    report = judge_twins(run, twins)
    errors = [read_window_errors(one.folder / "window_errors.parquet", "mse").of(OWN) for one in (run, *twins)]
    mse = [one.total.sum() / one.count.sum() / REFERENCE.scale[0] ** 2 for one in errors]
    assert [row.mse for row in report.rows] == pytest.approx(mse, rel=1e-5)
    assert report.rows[1].change == pytest.approx(mse[1] / mse[0] - 1, rel=1e-5)
    ours, theirs = (one.total / one.count for one in errors)
    assert report.rows[1].won == pytest.approx(np.mean(theirs < ours))
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["rows"][1]["name"] == "attention"


def test_no_names_the_simplest_twin_that_is_as_good(scored):
    run, twins = scored({"run": "1.0"} | dict.fromkeys(ALL, 1.4) | {"attention": "1.001", "linear-path": "1.002"})
    report = judge_twins(run, twins)
    assert report.answer == "no"
    assert report.sentence.startswith("No: the linear path alone is as good: the MSE is ")
    assert report.sentence.endswith(" with it, in 5.0 s instead of 60 s.")


def test_no_where_a_twin_is_surely_better(scored):
    report = judge_twins(*scored({"run": 1.0, "attention": 0.6, "linear-path": 1.4}))
    assert report.answer == "no"
    assert report.sentence.startswith("No: one attention layer is better: its MSE is 6")
    assert "% lower (" in report.sentence and "p < 0.001)" in report.sentence


def test_a_twin_that_is_better_by_luck_is_at_least_as_good(scored, monkeypatch):
    monkeypatch.setattr(judging, "LUCK", 0.0)
    report = judge_twins(*scored({"run": 1.0, "attention": 0.6, "linear-path": 1.4}))
    assert report.answer == "no" and "one attention layer is at least as good: its MSE is 6" in report.sentence


def test_too_little_where_the_difference_to_one_of_them_may_be_luck(scored, monkeypatch):
    sizes = {"run": 1.0, "attention": 1.4, "linear-path": 1.4}
    monkeypatch.setattr(judging, "LUCK", 0.0)
    report = judge_twins(*scored(sizes))
    assert report.answer == "too little"
    assert report.sentence.startswith("Too little to tell: the closest twin without it, ")
    assert "may be luck (p < 0.001)." in report.sentence


def test_too_little_where_the_windows_cover_few_horizons(scored):
    report = judge_twins(*scored({"run": 1.0, "attention": 1.4}, windows=20))
    assert report.answer == "too little" and report.rows[1].p_value is None
    assert "the 20 test windows cover about 4.8 horizons, and fewer than 8 tell little" in report.sentence


def test_the_same_forecasts_are_as_good_however_few_they_are(scored):
    report = judge_twins(*scored({"run": "1.0", "linear-path": "1.0"}, windows=20))
    assert report.answer == "no" and "the linear path alone is as good" in report.sentence


def test_nothing_is_said_before_a_twin_without_the_language_model_has_finished(scored):
    report = judge_twins(*scored({"run": 1.0, "no-prompt": 1.4}))
    assert report.answer == "not known" and "no twin without the language model" in report.sentence


def test_twin_of_other_windows_is_refused_by_its_name(scored, tmp_path):
    run, twins = scored({"run": 1.0, "attention": 1.4})
    _, others = scored({"run": 1.0, "linear-path": 1.4}, window_set="other")
    run = replace(run, folder=twins[0].folder)
    with pytest.raises(ConfigError, match=r"Linear path alone cannot be compared with the run: .*different windows"):
        judge_twins(run, [*twins, *others])
    (others[0].folder / "window_errors.parquet").unlink()
    with pytest.raises(CheckpointError, match=r"Linear path alone: .* has no errors by window"):
        judge_twins(run, others)


def test_losses_by_cutoff_are_of_the_windows_that_all_cover(tmp_path):
    rng, windows = np.random.default_rng(0), 12
    actual = rng.normal(size=(windows, HORIZON))
    forecasts = {name: actual + rng.normal(size=actual.shape) for name in ("a", "b", "c")}
    forecasts["b"][4] = np.nan
    forecasts["c"][7, 2] = np.nan
    given = ForecastBatch(np.arange(windows) % 2, 100 + np.arange(windows) // 2, actual, forecasts)
    found = read_window_errors(written(tmp_path, given, horizon=HORIZON), "mse")
    cutoffs, losses = losses_by_cutoff([found.of(name) for name in forecasts])
    kept = np.array([i for i in range(windows) if i not in (4, 7)])
    assert cutoffs.tolist() == [0, 1, 2, 3, 4, 5]
    for name, loss in zip(forecasts, losses, strict=True):
        squared = ((forecasts[name] - actual) ** 2).mean(axis=1)
        expected = [squared[[i for i in kept if i // 2 == cutoff]].mean() for cutoff in range(6)]
        np.testing.assert_allclose(loss, expected, rtol=1e-5)


@needs_arch
def test_confidence_set_leaves_out_what_is_surely_worse_and_counts_the_same_losses_once():
    rng = np.random.default_rng(0)
    base = rng.normal(size=400) ** 2
    worse = base + 0.5 + 0.1 * rng.normal(size=400)
    found = confidence_set({"a": base, "b": base * (1 + 1e-7), "c": worse}, block=20)
    assert found["a"] == found["b"] == 1.0 and found["c"] < 0.01
    assert confidence_set({"a": base, "b": base}, block=20) == {"a": 1.0, "b": 1.0}
    assert confidence_set({"a": base, "b": base * (1 + 1e-7), "c": worse}, block=20) == found, "the draws are fixed"


@needs_arch
def test_report_says_which_may_be_the_best(scored):
    report = judge_twins(*scored({"run": 1.0, "attention": 1.6, "linear-path": "1.0"}))
    by_name = {row.name: row for row in report.rows}
    assert in_set(by_name["attention"]) is False
    assert True in {in_set(by_name["run"]), in_set(by_name["linear-path"])}
    assert judge_twins(*scored({"run": 1.0, "attention": 1.6}, windows=20)).rows[0].confidence is None


def test_without_the_package_a_note_says_how_to_install_it(scored, monkeypatch):
    monkeypatch.setattr("timellm.evaluation.confidence_set.has_confidence_sets", lambda: False)
    report = judge_twins(*scored({"run": 1.0, "attention": 1.4}))
    assert all(in_set(row) is None for row in report.rows)
    assert report.notes == ("For the model confidence set, install the package arch: pip install arch==8.0.0",)
