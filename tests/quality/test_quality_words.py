"""Findings as JSON and as sentences."""

import json

import numpy as np
import pytest

from timellm.config import TaskConfig
from timellm.config.repair import checked
from timellm.quality.checks import CHECKS, READING, check
from timellm.quality.finding import SEVERITIES, Finding, as_data
from timellm.quality.words import in_few_words, more_found, nothing_found, said

KEYS = {"kind", "severity", "channel", "count", "share", "where", "values", "effect", "repair"}


@pytest.fixture(name="everything")
def everything_wrong(table_of, daily_wave, random):
    """A table with many faults."""
    load = daily_wave(4000) + random.normal(0, 1, 4000)
    load[100:140] = np.nan
    load[500] = 5000
    walk = np.cumsum(random.normal(size=4003))
    shifted = daily_wave(4000) + random.normal(0, 1, 4000)
    shifted[3000:] += 40
    return table_of(
        load=load,
        shifted=shifted,
        wild=random.normal(0, 1, 4000) * np.linspace(1, 5, 4000),
        valve=(np.arange(4000) % 50 == 0).astype(float),
        same=np.ones(4000),
        nothing=np.full(4000, np.nan),
        number=np.arange(4000),
        walk=walk[:-3],
        ahead=walk[3:],
        copy=2 * load,
    )


def test_every_finding_is_strict_json_with_the_same_keys_and_a_sentence(everything):
    quality = check(everything, TaskConfig(context=400, horizon=900))
    kinds = {one.kind for one in quality.findings}
    assert kinds >= {
        "frequency", "missing_values", "empty", "constant", "nearly_constant", "counter", "outliers", "level_shift",
        "growing_variance", "seasons", "leak", "copy", "too_short",
    }  # fmt: skip
    for finding in quality.findings:
        data = json.loads(json.dumps(as_data(finding), allow_nan=False))
        assert set(data) == KEYS
        words = said(finding)
        assert words.what.endswith(".")
        for part in (words.what, words.where, words.effect, words.repair):
            assert "nan" not in part.split() and "None" not in part
        if finding.repair is not None:
            assert checked([data["repair"]["step"]]) == (finding.repair.step,)


def test_gravest_stand_first(everything):
    ranks = [SEVERITIES.index(one.severity) for one in check(everything, TaskConfig(context=48, horizon=12)).findings]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == 3


def test_checks_that_found_nothing_are_counted_and_listed(table_of, daily_wave, random):
    quality = check(table_of(load=daily_wave(1000) + random.normal(0, 1, 1000)), TaskConfig(context=48, horizon=12))
    assert {one.kind for one in quality.findings} == {"frequency", "seasons", "predictability"}
    assert len(quality.clear) == len(CHECKS) + len(READING) - 3
    said_so = nothing_found(quality)
    assert said_so.startswith(f"{len(quality.clear)} checks found nothing: ")
    assert "outliers" in said_so and "duplicate timestamps" in said_so and "seasons" not in said_so


def test_of_very_many_channels_with_gaps_the_worst_are_listed_and_the_others_counted(table_of):
    values = np.tile(np.arange(200.0)[:, None] % 7, 120)
    for channel in range(120):
        values[: channel % 60, channel] = np.nan
    quality = check(table_of(**{f"c{n}": values[:, n] for n in range(120)}), TaskConfig(context=48, horizon=12))
    listed = quality.of("missing_values")
    assert len(listed) == 50
    assert listed[0].count == 59
    assert quality.more == {"missing_values": 68}
    assert more_found(quality) == ("Missing values: 68 more channels are not listed.",)
    (group,) = [group for group in quality.grouped() if group[0].kind == "missing_values" and len(group) > 10]
    assert in_few_words(group[3:]).startswith(f"Missing values: {len(group) - 3} more, '{group[3].channel}', ")


def test_undefined_numbers_are_null():
    data = as_data(Finding("x", "fact", "none", 1, float("nan"), values={"a": [float("inf"), np.float64(2)]}))
    assert (data["share"], data["values"]) == (None, {"a": [None, 2.0]})


def test_sentence_says_what_where_effect_and_repair(look, daily_wave):
    load = daily_wave(1000)
    load[500:520] = np.nan
    words = said(look(load=load, other=daily_wave(1000)).of("missing_values")[0])
    assert words.sentence == (
        "'load' has no value in 20 rows (2 %), in 1 gap; the longest has 20 rows. Where: 2024-01-21 20:00 to 2024-01-22"
        " 15:00. 79 of 941 windows (8.4 %) touch them and are left out, unless gaps are filled. Repair: fill gaps with"
        " the value 24 rows before."
    )
