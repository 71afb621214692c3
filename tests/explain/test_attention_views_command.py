"""The views of `python -m timellm attention` beside the heatmap."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from timellm.cli.command import main
from timellm.errors import ConfigError
from timellm.explain.condition_names import parse_condition
from timellm.explain.conditions import Days, Hours, Month, Pattern
from timellm.explain.period import PeriodAttention


@pytest.fixture
def ask(trained_run, tmp_path, capsys):
    """Runs the verb on the trained run, and gives what it prints and the numbers that it writes."""

    def run(*options: str) -> tuple[dict, pd.DataFrame]:
        out = tmp_path / "numbers.parquet"
        assert main(["attention", str(trained_run), "--out", str(out), "--json", *options]) == 0
        return json.loads(capsys.readouterr().out), pd.read_parquet(out)

    return run


def test_heads_are_those_of_the_test_period_or_of_one_window(ask, trained_run):
    said, numbers = ask("--view", "heads")
    period = PeriodAttention.open(trained_run, said["channel"])
    expected = period.heads.effective_hP.mean(axis=1)
    assert [row["prototypes"] for row in said["rows"]] == pytest.approx(expected.tolist())
    assert f"Mean of {len(period.index):,} of {period.windows:,} windows" in said["sentence"]
    weights = numbers.drop(columns=["head", "patch", "prototypes attended to"])
    assert np.allclose(weights.sum(axis=1), 1, atol=1e-5)
    of_one, _ = ask("--view", "heads", "--force", "--cutoff", str(period.prepared.table.values.index[-1]))
    assert of_one["sentence"].startswith("Window to ")


def test_hours_are_compared_with_all_patches(ask):
    said, numbers = ask("--view", "when", "--when", "22-5", "--prototypes", "4")
    assert "lie between 22:00 and 05:59" in said["sentence"]
    assert len(said["rows"]) == 4
    assert len(numbers) == 60


def test_two_channels_are_set_beside_each_other(ask):
    said, numbers = ask("--view", "beside", "--beside", "price")
    assert said["channel"] == "load"
    assert numbers.columns.tolist() == ["prototype", "load", "price"]
    assert np.allclose(numbers[["load", "price"]].sum(), 1, atol=1e-5)


def test_a_run_beside_itself_is_the_same(ask, trained_run):
    said, _ = ask("--view", "beside", "--beside", str(trained_run))
    assert "the correlation is 1.00" in said["sentence"]


def test_attention_over_training_has_a_row_for_each_validation(ask):
    said, numbers = ask("--view", "training")
    assert [row["step"] for row in said["rows"]] == numbers["step"].tolist()
    assert f"From step {numbers['step'].iloc[0]} to step" in said["sentence"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--view", "heads", "--when", "peak"), "--when means nothing in the view 'heads'"),
        (("--view", "training", "--cutoff", "2024-01-01"), "--cutoff means nothing in the view 'training'"),
        (("--view", "when"), "needs --when"),
        (("--view", "when", "--when", "tea time"), "'tea time' names no patches"),
        (("--view", "beside"), "needs --beside"),
        (("--view", "beside", "--beside", "nowhere"), "nowhere"),
        (("--view", "heads", "--channel", "water"), "--channel water: the run has load, price"),
        (("--view", "heads", "--out", "heads.html"), "--out heads.html: end its name in"),
    ],
)
def test_options_that_mean_nothing_are_named(trained_run, tmp_path, capsys, options, message):
    assert main(["attention", str(trained_run), "--out", str(tmp_path / "f.png"), *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "f.png").exists()


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("22-5", Hours(22, 5)),
        ("weekend", Days(("Saturday", "Sunday"))),
        ("tuesday,  Friday", Days(("Tuesday", "Friday"))),
        ("MARCH", Month("March")),
        ("peak", Pattern("Peak")),
    ],
)
def test_conditions_are_read_from_one_text(text, condition):
    assert parse_condition(text) == condition


@pytest.mark.parametrize("text", ["", "24-5", "Tuesday, tomorrow", "5"])
def test_text_that_names_no_patches_is_refused(text):
    with pytest.raises(ConfigError, match="names no patches"):
        parse_condition(text)
