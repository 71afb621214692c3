"""Repair steps as plain data: their text, its normal form, and what is refused with a remedy."""

import pytest

from timellm.config import DataConfig, RunConfig, parse_setting
from timellm.config.repair import with_step
from timellm.errors import ConfigError


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("resample:1h:mean", "resample:1h:mean"),
        (" Resample : 1h : MEAN ", "resample:1h:mean"),
        ("timezone:Europe/Berlin", "timezone:Europe/Berlin:utc"),
        ("clip:0:", "clip:0:"),
        ("clip::100:a:b", "clip::100:a:b"),
        ("drop:channel:a:b/c", "drop:channel:a:b/c"),
        ("drop:rows:2024-01-01 13:00/", "drop:rows:2024-01-01 13:00/"),
        ("fill:seasonal:024", "fill:seasonal:24"),
    ],
)
def test_a_step_has_one_normal_form_that_survives_json(written, normal):
    config = RunConfig.create("a.csv", repair=(written,))
    assert config.data.repair == (normal,)
    assert RunConfig.from_json(config.to_json()) == config
    assert DataConfig(path="a.csv", repair=(normal,)).repair == (normal,)


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ("mend", "write one of timezone, drop"),
        ("resample:1h", "write for example resample:1h:mean"),
        ("resample:1h:median", "none of mean, sum, last, max, min"),
        ("duplicates:max", "none of mean, sum, last, first"),
        ("fill:seasonal", "how many rows a season has"),
        ("fill:linear:3", "write fill:linear"),
        ("clip::", "needs a limit"),
        ("clip:nan:1", "has 'nan' for a limit"),
        ("clip:5:1", "lower limit above"),
        ("drop:rows:monday/", "'monday' is no moment"),
        ("drop:rows:2024-02-01/2024-01-01", "ends before it begins"),
        ("timezone:Mars/Crater", "no time zone"),
        ("timezone:../../etc/passwd", "no time zone"),
    ],
)
def test_a_step_without_meaning_says_how_to_write_it(step, says):
    with pytest.raises(ConfigError, match="repair") as error:
        DataConfig(path="a.csv", repair=(step,))
    assert says in str(error.value)


def test_a_fill_step_is_the_last_and_the_only_one():
    with pytest.raises(ConfigError, match="one fill step, as the last"):
        DataConfig(path="a.csv", repair=("fill:linear", "clip:0:1"))
    assert with_step(("fill:linear",), "clip:0:1") == ("clip:0:1", "fill:linear")
    assert with_step(("clip:0:1", "fill:linear"), "fill:previous") == ("clip:0:1", "fill:previous")


@pytest.mark.parametrize(
    ("repair", "missing", "used"),
    [
        ((), "interpolate", "interpolate"),
        (("fill:linear",), "skip", "interpolate"),
        (("fill:previous",), "skip", "previous"),
        (("fill:seasonal:7",), "skip", "seasonal:7"),
        (("fill:none",), "skip", "skip"),
    ],
)
def test_the_fill_step_says_how_gaps_are_treated(repair, missing, used):
    assert RunConfig.create("a.csv", repair=repair, missing=missing).missing == used


def test_two_ways_to_fill_contradict_each_other():
    with pytest.raises(ConfigError, match="leave one of them out"):
        RunConfig.create("a.csv", repair=("fill:previous",), missing="interpolate")


def test_steps_of_a_command_line_are_parted_by_commas():
    assert parse_setting("repair=resample:1h:mean, clip:0:5") == ("repair", ("resample:1h:mean", "clip:0:5"))
