"""Corrections are kept beside the upload, and go with it."""

import pytest

from timellm.data.corrections import keep_corrections, kept_corrections
from timellm.data.samples import samples
from timellm.data.uploads import delete_upload, save_upload, uploads
from timellm.errors import DataError
from timellm.workspace import workspace

SETTINGS = {"time_column": "Zeit", "repair": ["resample:1h:mean", "fill:linear"]}


def test_corrections_of_an_upload_are_kept_changed_and_taken_away():
    path = save_upload("a.csv", content=b"date,load\n2024-01-01,1\n")
    before = path.read_bytes()
    assert kept_corrections(path.name) == {}
    keep_corrections(path.name, SETTINGS)
    assert kept_corrections(path.name) == SETTINGS
    assert [one.id for one in uploads()] == [path.name] and path.read_bytes() == before
    keep_corrections(path.name, {})
    assert kept_corrections(path.name) == {}
    keep_corrections(path.name, SETTINGS)
    delete_upload(path.name)
    assert not list(workspace().uploads.iterdir())


def test_corrections_of_a_sample_lie_in_the_workspace():
    table_id = f"sample:{samples()[0].key}"
    keep_corrections(table_id, SETTINGS)
    assert kept_corrections(table_id) == SETTINGS
    assert not uploads()


@pytest.mark.parametrize("content", ["[1]", "{", '{"a": "' + "x" * 30_000 + '"}'], ids=["list", "half", "large"])
def test_damaged_corrections_say_so(content):
    path = save_upload("a.csv", content=b"date,load\n2024-01-01,1\n")
    path.with_suffix(".corrections.json").write_text(content)
    with pytest.raises(DataError, match="correct it anew"):
        kept_corrections(path.name)


def test_an_id_of_no_table_is_refused():
    for table_id in ("../../etc/passwd", "sample:none", "ffffffffffff-gone.csv"):
        with pytest.raises(DataError):
            keep_corrections(table_id, SETTINGS)
