"""The bundled tables are what their records say."""

import pytest

from timellm.config import DataConfig, RunConfig
from timellm.data.samples import find_sample, samples
from timellm.data.season import suggest_lengths
from timellm.data.table import load_table, read_table
from timellm.errors import DataError
from timellm.workspace import PROJECT


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.key)
def test_sample_matches_its_record(sample):
    table = load_table(DataConfig(path=str(sample.path), **sample.settings))
    assert (len(table.values), table.channels, table.frequency) == (sample.rows, sample.channels, sample.frequency)
    assert sample.path.stat().st_size < 1_000_000
    texts = (sample.title, sample.description, sample.shows, sample.source, sample.licence, sample.attribution)
    assert min(map(len, (*texts, sample.cut))) > 10
    context, horizon = suggest_lengths(table, RunConfig.create(sample.path, description=sample.description).task)
    assert context > horizon >= 10


def test_samples_differ_in_step_layout_gaps_and_in_what_is_known_ahead():
    found = {sample.key: load_table(DataConfig(path=str(sample.path), **sample.settings)) for sample in samples()}
    assert {table.frequency for table in found.values()} == {"5min", "30min", "h", "D", "W-SAT", "MS"}
    assert {table.layout for table in found.values()} == {"wide", "long"}
    assert {key for key, table in found.items() if table.values.isna().to_numpy().mean() > 0.02} == {
        "blood-glucose",
        "mauna-loa-co2",
    }
    assert [key for key, table in found.items() if table.known is not None] == ["victoria-electricity"]


def test_first_sample_is_hourly_with_a_clear_day():
    first = samples()[0]
    values = read_table(first.path).values
    assert first.frequency == "h"
    assert len(first.channels) >= 3
    assert all(values[name].autocorr(24) > 0.7 for name in first.channels)


def test_runs_of_earlier_versions_find_samples_where_they_were():
    for sample in (find_sample("melbourne-pedestrians"), find_sample("seattle-weather")):
        assert (PROJECT / "data" / "samples" / sample.path.name).resolve() == sample.path


def test_unknown_sample_is_refused_with_those_there_are():
    with pytest.raises(DataError, match="there is no sample 'iris'; there are: melbourne-pedestrians, "):
        find_sample("iris")
