"""The configuration: round trips, names without sections, refusals in one line."""

from __future__ import annotations

import pytest

from timellm.config import KINDS, RunConfig, TaskConfig, parse_setting, sections, setting_help
from timellm.errors import ConfigError


def test_json_round_trip_keeps_everything():
    config = RunConfig.create("a.csv", layers=3, split="10/5/5", channels=["x"], minutes=2.5, description="“ü”\n")
    assert RunConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize("kind", KINDS)
def test_setting_names_are_unique_across_sections_and_explained(kind):
    names = [name for fields in sections(kind).values() for name in fields.model_fields]
    assert len(names) == len(set(names))
    assert all(setting_help(name, kind) for name in names)


def test_differences_name_both_values():
    config = RunConfig.create("a.csv")
    assert config.updated(layers=2).differences(config) == {"layers": (2, 6)}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": 0}, "setting 'layers' is 0: .*greater than or equal to 1"),
        ({"layer": 3}, "no setting 'layer'; did you mean 'layers'"),
        ({"minutes": float("nan")}, "setting 'minutes' is nan"),
        ({"patch_length": 400, "context": 64}, "patch_length 400 is longer than context 64"),
        ({"stride": 17}, "stride 17 skips rows"),
        ({"split": "1/2"}, "setting 'split' is '1/2': give train/validation/test"),
        ({"split": "70%/20%/20%"}, "must add up to 100%"),
        (
            {"accumulation": 9, "batch_size": 8},
            "accumulation 9 makes more parts than a batch of 8 has",
        ),
        ({"quantization": "3bit"}, "setting 'quantization' is '3bit'"),
    ],
)
def test_meaningless_setting_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        RunConfig.create("a.csv", **settings)


@pytest.mark.parametrize("text", ["[]", "{", '{"data": {"path": "a"}, "modle": {}}'])
def test_what_is_no_configuration_is_refused(text):
    with pytest.raises(ConfigError):
        RunConfig.from_json(text)


def test_split_counts_rows():
    assert TaskConfig().split_rows(17_420) == (12_194, 1_742, 3_484)
    assert TaskConfig().split_rows(52_696) == (36_887, 5_270, 10_539), "as published for Weather"
    assert TaskConfig(split="8640/2880/2880").split_rows(17_420) == (8640, 2880, 2880)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("layers=4", ("layers", "4")),
        ("batch-size = 8", ("batch_size", "8")),
        ("minutes=none", ("minutes", None)),
        ("quantization=none", ("quantization", "none")),
        ("dated_notes=", ("dated_notes", "")),
        ("channels=a, b", ("channels", ("a", "b"))),
    ],
)
def test_command_line_setting_is_split(text, expected):
    assert parse_setting(text) == expected


def test_command_line_setting_without_value_is_refused():
    with pytest.raises(ConfigError, match="'layers' is not key=value"):
        parse_setting("layers")
