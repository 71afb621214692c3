"""The bundled tables are what their records say."""

import pytest

from timellm.config import RunConfig
from timellm.data.samples import find_sample, samples
from timellm.data.season import suggest_lengths
from timellm.data.table import read_table
from timellm.errors import DataError
from timellm.workspace import PROJECT


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.key)
def test_sample_matches_its_record(sample):
    table = read_table(sample.path)
    assert (len(table.values), table.channels, table.frequency) == (sample.rows, sample.channels, sample.frequency)
    assert table.values.isna().mean().max() < 0.001
    assert sample.path.stat().st_size < 1_000_000
    assert min(map(len, (sample.title, sample.source, sample.licence, sample.attribution, sample.cut))) > 10
    config = RunConfig.create(sample.path, description=sample.description)
    # Long enough for the usual context, so that what an analyst sees first is not a shortened case.
    assert suggest_lengths(table, config.task)[0] == config.task.context


def test_first_sample_is_hourly_with_a_clear_day():
    first = samples()[0]
    values = read_table(first.path).values
    assert first.frequency == "h"
    assert len(first.channels) >= 3
    assert all(values[name].autocorr(24) > 0.7 for name in first.channels)


def test_runs_of_earlier_versions_find_samples_where_they_were():
    for sample in samples():
        assert (PROJECT / "data" / "samples" / sample.path.name).resolve() == sample.path


def test_unknown_sample_is_refused_with_those_there_are():
    with pytest.raises(DataError, match="there is no sample 'iris'; there are: melbourne-pedestrians, seattle-weather"):
        find_sample("iris")
