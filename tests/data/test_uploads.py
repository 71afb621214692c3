"""Uploads stay inside their folder, whole, and are found by exact ids alone."""

import errno
import os

import pytest

from timellm.data.samples import samples
from timellm.data.uploads import delete_upload, save_upload, table_path, table_title, uploads
from timellm.errors import DataError
from timellm.workspace import workspace

CONTENT = b"date,x\n2020-01-01,1\n"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TIMELLM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_upload_is_kept_under_hash_and_name_and_found_again():
    path = save_upload("My Sales 2020.csv", content=CONTENT)
    assert path.parent == workspace().uploads
    assert path.name == "949103ca15e9-my-sales-2020.csv"
    assert path.read_bytes() == CONTENT
    assert table_path(path.name) == path
    assert [(upload.id, upload.name) for upload in uploads()] == [(path.name, "My Sales 2020")]
    assert uploads()[0].size_bytes == len(CONTENT)


def test_same_content_is_kept_once_and_other_content_apart():
    first, again = save_upload("a.csv", content=CONTENT), save_upload("a.csv", content=CONTENT)
    other = save_upload("a.csv", content=CONTENT + b"2020-01-02,2\n")
    assert first == again != other
    assert len(uploads()) == 2


def test_name_on_disk_stands_in_for_a_title_that_is_missing_or_damaged():
    path = save_upload("My Sales 2020.csv", content=CONTENT)
    assert table_title(path) == "My Sales 2020"
    path.with_suffix(".json").write_text("{")
    assert table_title(path) == "my-sales-2020"
    path.with_suffix(".json").unlink()
    assert table_title(path) == "my-sales-2020"
    assert table_title(workspace().root / "Own file.csv") == "Own file"


def test_title_is_one_line_without_control_characters():
    path = save_upload("../a\n\u202eb\x00" + "x" * 500 + ".csv", content=CONTENT)
    assert table_title(path).startswith("a b xxx") and len(table_title(path)) == 120


def test_deleted_upload_is_gone_with_its_title():
    path = save_upload("a.csv", content=CONTENT)
    delete_upload(path.name)
    assert list(path.parent.iterdir()) == []
    with pytest.raises(DataError, match="there is no table"):
        delete_upload(path.name)


def test_newest_upload_comes_first():
    old, new = save_upload("old.csv", content=b"1"), save_upload("new.csv", content=b"2")
    os.utime(old, (1, 1))
    assert [upload.path for upload in uploads()] == [new, old]
    os.utime(new, (0, 0))
    assert [upload.path for upload in uploads()] == [old, new]


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "..\\..\\evil.csv",
        "/abs/olute.csv",
        "....",
        "",
        "a\x00b.csv",
        "名前.csv",
        "x" * 500,
        "-rf.csv",
        "a/b/../c.csv",
    ],
)
def test_upload_name_cannot_leave_the_folder(home, name):
    path = save_upload(name, content=CONTENT)
    assert path.resolve().parent == workspace().uploads
    assert len(path.name) < 90
    assert table_path(path.name) == path
    assert {file for file in home.rglob("*") if file.is_file()} == {path, path.with_suffix(".json")}


@pytest.mark.parametrize(
    "table_id",
    [
        "../secret.csv", "0123456789ab-../../secret.csv", "/etc/passwd", "", ".", "0123456789ab-secret",
        "sample:../../x", "0123456789ab-secret.csv\n", "0123456789AB-secret.csv", "0123456789ab-absent.csv",
        "secret.csv", "a\x00b",
    ],
)  # fmt: skip
def test_other_ids_find_nothing(home, table_id):
    save_upload("secret.csv", content=CONTENT)
    (home / "secret.csv").write_bytes(CONTENT)
    (workspace().uploads / "secret.csv").write_bytes(CONTENT)
    with pytest.raises(DataError, match=r"there is no (table|sample)"):
        table_path(table_id)


def test_link_in_the_folder_is_not_followed(home):
    (home / "outside.csv").parent.mkdir(parents=True)
    (home / "outside.csv").write_bytes(CONTENT)
    workspace().uploads.mkdir(parents=True)
    (workspace().uploads / "0123456789ab-link.csv").symlink_to(home / "outside.csv")
    with pytest.raises(DataError, match="there is no table"):
        table_path("0123456789ab-link.csv")


def test_sample_ids_find_the_bundled_tables():
    assert {table_path(f"sample:{sample.key}") for sample in samples()} == {sample.path for sample in samples()}


def test_empty_upload_is_refused():
    with pytest.raises(DataError, match="'a' is empty"):
        save_upload("a.csv", content=b"")
    assert uploads() == ()


def test_failed_write_leaves_nothing_behind(monkeypatch):
    def full(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(DataError, match="No space left on device"):
        save_upload("a.csv", content=CONTENT)
    assert list(workspace().uploads.iterdir()) == []
