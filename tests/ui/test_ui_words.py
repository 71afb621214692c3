"""Words for numbers and states: short, with units, and never at the end before the end."""

import math
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from timellm.config import RunConfig
from timellm.jobs.store.run import Run
from timellm.training.progress import PHASES
from timellm.ui.words import (
    ago,
    duration,
    memory,
    number,
    overall_share,
    phase_line,
    plain,
    skill_words,
    without_minus_zero,
)


def run(**values) -> Run:
    unset = dict.fromkeys(Run.__dataclass_fields__)
    known = {"id": "x", "name": "x", "state": "running", "config_text": RunConfig.create("x.csv").to_json()}
    return Run(**unset | known | {"run_dir": Path("x"), "done": 0, "total": 0, "fraction": 0.0, "summary": {}} | values)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "not known yet"),
        (float("inf"), "not known yet"),
        (0.4, "0 s"),
        (59, "59 s"),
        (75, "1 min 15 s"),
        (1800, "30 min"),
        (3900, "1 h 5 min"),
        (400_000, "4 days"),
    ],
)
def test_duration_has_at_most_two_units(seconds, text):
    assert duration(seconds) == text


def test_ago_counts_from_now():
    now = datetime.now(UTC)
    assert ago(now, now=now) == "just now"
    assert ago(now - timedelta(minutes=5), now=now) == "5 min ago"
    assert ago(now - timedelta(hours=3), now=now) == "3 h ago"
    assert ago(now - timedelta(minutes=5)).endswith(" ago")


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (float("nan"), "–"), (0, "0"), (0.38912, "0.3891"), (17420.4, "17,420"), (0.0005, "0.0005000")],
)
def test_number_keeps_four_significant_digits(value, text):
    assert number(value) == text


def test_memory_is_in_megabytes_until_it_is_in_gigabytes():
    assert memory(None) == "–"
    assert memory(500) == "524 MB"
    assert memory(2048) == "2.1 GB"


def test_plain_leaves_nothing_for_markdown_to_read():
    assert plain("a*b_c [x](y) $z$ :red[w]") == r"a\*b\_c \[x\](y) \$z\$ \:red\[w\]"


def test_skill_says_better_and_worse_in_words():
    assert skill_words(0.123, "Ridge") == "error 12% lower than that of Ridge"
    assert skill_words(-1.39) == "error 139% higher than that of the seasonal naive"
    assert skill_words(0.001, "Ridge") == "error about that of Ridge"
    assert skill_words(None) == "no comparison with other models"


def test_overall_share_never_falls_from_phase_to_phase_and_never_reaches_the_end():
    begins_elsewhere = RunConfig.create("x.csv", pretrain=("y.csv",)).to_json()
    for text in (RunConfig.create("x.csv").to_json(), begins_elsewhere):
        phases = [phase for phase in PHASES if phase != "pretraining" or text == begins_elsewhere]
        moments = [run(phase=phase, fraction=f, config_text=text) for phase in phases for f in (0.0, 0.5, 1.0)]
        loads = run(phase="loading", config_text=text)
        shares = [overall_share(moment) for moment in (loads, *moments[:3], moments[5], *moments[6:])]
        assert shares == sorted(shares) and shares[-1] < 1
        assert overall_share(replace(loads, state="finished")) == 1


def test_phase_line_names_no_total_when_the_clock_ends_the_run():
    assert phase_line(run(phase="training", done=12, total=300)) == "Training, step 12 of 300"
    assert phase_line(run(phase="training", done=12, total=1_000_000)) == "Training, step 12"
    assert phase_line(run(phase="pretraining", done=3, total=6)) == "Pre-training on other tables, step 3 of 6"
    assert phase_line(run(phase="pretraining", fraction=1.0, message="Loading it again")) == "Loading it again"
    assert phase_line(run(phase="loading", message="Waiting for 2 workers")) == "Waiting for 2 workers"
    assert phase_line(run(phase="loading", message="Loading my*model*")) == r"Loading my\*model\*"
    assert phase_line(run(phase="loading", message="")) == "Preparing"
    assert phase_line(run(phase="fetching", done=5_000_000, total=93_000_000)) == "Fetching the backbone, 5 of 93 MB"


@pytest.mark.parametrize(
    "text", ["see https://a.example", "HTTP://a.example", "www.a.example", "me@a.example", "ftp://a"]
)
def test_plain_address_is_no_link(text):
    shown = plain(text)
    assert shown.replace("\u2060", "").replace("\\", "") == text
    assert not re.search(r"(?i)(https?|ftp)\\?://|www\.|[-.+\w]@", shown)


def test_plain_line_is_no_list_heading_or_code():
    text = "- one\n+ two\n1. three\n    four\nfive\n===\n---\n# six"
    assert plain(text).split("\n") == [
        r"\- one", r"\+ two", r"1\. three", "four", "five", r"\===", r"\---", r"\# six",
    ]  # fmt: skip
    assert plain("-0.5 of 1.5, 3-4") == "-0.5 of 1.5, 3-4"


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_number_that_is_none_is_a_dash_and_no_share(odd):
    assert memory(odd) == "–"
    assert overall_share(run(phase="training", fraction=odd)) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("share", "shown"), [(-4.9e-5, 0.0), (-0.0, 0.0), (0.0, 0.0), (-5.1e-5, -5.1e-5), (0.25, 0.25), (-0.25, -0.25)]
)
def test_share_that_is_shown_as_zero_has_no_minus(share, shown):
    found = without_minus_zero(share, decimals=4)
    assert (found, math.copysign(1, found)) == (shown, math.copysign(1, shown))
