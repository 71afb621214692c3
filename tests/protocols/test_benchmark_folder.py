"""The folder of the original files: what a user of the page may name, alone on a machine and on a shared server."""

from __future__ import annotations

import pytest

from timellm.errors import ConfigError
from timellm.forecasters.time_llm.remote_code import REACHED_BY_OTHERS
from timellm.protocols.folder import check_settings_name_no_files, named_folder
from timellm.workspace import workspace


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TIMELLM_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TIMELLM_TABLES", raising=False)
    monkeypatch.delenv(REACHED_BY_OTHERS, raising=False)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "ETTh1.csv").write_text("date,OT\n")
    return tmp_path


@pytest.fixture
def shared(monkeypatch):
    """A server that other machines reach."""
    monkeypatch.setenv(REACHED_BY_OTHERS, "1")


def test_any_folder_of_the_machine_may_be_named_and_nothing_means_the_usual_one(home, monkeypatch):
    assert named_folder("  ") == workspace().benchmarks
    assert named_folder(f' "{home / "elsewhere"}" ') == home / "elsewhere"
    monkeypatch.setenv("HOME", str(home))
    assert named_folder("~/elsewhere") == home / "elsewhere"
    (workspace().root / "mine").mkdir(parents=True)
    assert named_folder("mine") == workspace().root / "mine"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("/nowhere/at/all", "there is no folder /nowhere/at/all"),
        ("{home}/elsewhere/ETTh1.csv", "is a file; name the folder that it lies in"),
        ("/tmp/a\0b", "is no path of a folder on this machine"),
        ("//server/share", "is no path of a folder on this machine"),
        ("\\\\server\\share", "is no path of a folder on this machine"),
        ("~nobody-of-this-name/x", "is no path of a folder"),
        ("/" + "x" * 5000, "cannot be read|is no path"),
    ],
)
def test_what_is_no_folder_is_refused_with_what_to_do(home, text, why):
    with pytest.raises(ConfigError, match=why):
        named_folder(text.replace("{home}", str(home)))


def test_folder_without_the_right_to_open_it_is_refused(home, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)  # tests may run as root, who may open every folder
    with pytest.raises(ConfigError, match=r"cannot be read \(its files may not be opened\)"):
        named_folder(str(home / "elsewhere"))


def test_visitors_of_a_shared_server_name_only_what_its_operator_opened(home, shared, monkeypatch):
    inner = workspace().benchmarks / "m4"
    inner.mkdir(parents=True)
    assert named_folder("") == workspace().benchmarks
    assert named_folder(str(inner)) == inner
    with pytest.raises(ConfigError, match="its operator decides which folders it reads"):
        named_folder(str(home / "elsewhere"))
    monkeypatch.setenv("TIMELLM_TABLES", str(home / "elsewhere"))
    assert named_folder(str(home / "elsewhere")) == home / "elsewhere"
    monkeypatch.setenv("TIMELLM_TABLES", "s3://bucket/elsewhere")
    with pytest.raises(ConfigError, match="operator"):
        named_folder(str(home / "elsewhere"))


@pytest.mark.parametrize(
    "text", ["{benchmarks}/../../../elsewhere", "{benchmarks}/way", "{home}/elsewhere", "/nowhere", "~"]
)
def test_a_shared_server_does_not_tell_what_is_outside(home, shared, text):
    """No way out by dots or by a link, and one answer whether something is there or not."""
    workspace().benchmarks.mkdir(parents=True)
    (workspace().benchmarks / "way").symlink_to(home / "elsewhere")
    text = text.replace("{benchmarks}", str(workspace().benchmarks)).replace("{home}", str(home))
    with pytest.raises(ConfigError, match="is not read, because other machines can reach this server"):
        named_folder(text)


@pytest.mark.parametrize(
    "text", ["known_file=/etc/passwd", "start-from=/runs/one", "pretrain=/tables/a.csv", "deepspeed=/etc/ds.json"]
)
def test_visitors_of_a_shared_server_name_no_file_in_a_setting_either(text, monkeypatch):
    check_settings_name_no_files(["steps=20", text])
    monkeypatch.setenv(REACHED_BY_OTHERS, "1")
    check_settings_name_no_files(["steps=20", "backbone=gpt2"])
    with pytest.raises(ConfigError, match="names files, and other machines can reach this server"):
        check_settings_name_no_files(["steps=20", text])
