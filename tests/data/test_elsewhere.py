"""Tables at a place that the operator names: listed, brought once, and nothing else."""

from __future__ import annotations

import functools
import http.server
import threading
from pathlib import Path

import pytest

from timellm.data import elsewhere
from timellm.data.elsewhere import Listed, bring, listed, place
from timellm.data.table import read_table
from timellm.data.uploads import table_title, uploads
from timellm.errors import DataError
from timellm.workspace import workspace

TEXT = "day,load\n" + "".join(f"2024-01-{day:02},{day}\n" for day in range(1, 29))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("TIMELLM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path) -> Path:
    root = tmp_path / "tables"
    (root / "plants").mkdir(parents=True)
    (root / "plants" / "load.csv").write_text(TEXT)
    (root / "empty.csv").write_text("")
    (root / "notes.md").write_text("no table")
    (root / ".hidden.csv").write_text(TEXT)
    (tmp_path / "secret.csv").write_text(TEXT)
    return root


@pytest.fixture
def url(folder):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    handler.log_message = lambda *_: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_no_place_is_named_by_default(monkeypatch):
    monkeypatch.delenv("TIMELLM_TABLES", raising=False)
    assert place() is None


def test_tables_of_a_folder_are_listed_with_their_sizes(folder):
    assert listed(str(folder)) == (Listed("empty.csv", 0), Listed("plants/load.csv", len(TEXT)))


def test_table_is_brought_once_under_its_own_name(folder):
    path = bring(str(folder), "plants/load.csv")
    assert path.parent == workspace().uploads and path.read_text() == TEXT and table_title(path) == "load"
    assert bring(str(folder), "plants/load.csv") == path
    assert [one.path for one in uploads()] == [path]
    assert read_table(path).values["load"].tolist() == list(range(1, 29))
    assert not list(workspace().uploads.parent.glob("bring-*"))


def test_table_is_brought_from_a_url(url):
    assert [one.name for one in listed(url)] == ["empty.csv", "plants/load.csv"]
    assert bring(url, "plants/load.csv").read_text() == TEXT


@pytest.mark.parametrize(
    "name", ["../secret.csv", "/etc/passwd", "notes.md", ".hidden.csv", "plants/../../secret.csv", ""]
)
def test_what_is_not_listed_is_not_brought(folder, name):
    with pytest.raises(DataError, match="there is no table"):
        bring(str(folder), name)
    assert uploads() == ()


def test_empty_table_is_refused(folder):
    with pytest.raises(DataError, match=r"empty\.csv is empty"):
        bring(str(folder), "empty.csv")
    assert uploads() == ()


def test_full_disk_ends_the_copy_and_leaves_nothing(folder, monkeypatch):
    monkeypatch.setattr(elsewhere, "_SPARE", 1 << 60)
    with pytest.raises(DataError, match=r"has no room for plants/load\.csv"):
        bring(str(folder), "plants/load.csv")
    assert uploads() == () and not list(workspace().uploads.parent.glob("bring-*"))


def test_place_that_is_gone_or_unknown_is_named_without_its_secrets(tmp_path):
    with pytest.raises(DataError, match="which is not there; correct it"):
        listed(str(tmp_path / "nowhere"))
    with pytest.raises(DataError) as failure:
        listed("nonsense://user:password@host/tables?token=abc")
    assert "password" not in str(failure.value) and "abc" not in str(failure.value)
