"""Files and folders that cannot be used end a verb in one line, before the work; two runs do not share a folder."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time

import pytest

from timellm.cli import main
from timellm.workspace import PROJECT

SMALL = ["layers=1", "context=48", "horizon=12", "patch_length=16", "prototypes=20", "heads=2", "batch_size=4"]


@contextlib.contextmanager
def without_rights():
    """As a user without rights, where this one has them all: a file of mode 0 cannot be read then."""
    import timellm.pipeline  # noqa: F401 - the interpreter's own folder may be one that this user cannot read

    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def refused(words, capsys) -> str:
    """What a verb says that is refused; it must be one line."""
    assert main([str(word) for word in words]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1), said.err
    return said.err


@pytest.mark.parametrize("place", ["/proc/x", "/dev/null/x"])
def test_fit_refuses_a_folder_that_cannot_be_written_before_it_reads_the_table(place, capsys):
    said = refused(["fit", "no such table.csv", "--run-dir", place], capsys)
    assert said.startswith(f"error: the run folder {place} cannot be written (")
    assert "name a folder that you may write to" in said


def test_fit_refuses_a_cache_that_cannot_be_written_before_it_loads_torch(table, tmp_path):
    program = (
        "import sys; from timellm.cli import main; code = main(sys.argv[1:]); "
        "print('torch' in sys.modules); sys.exit(code)"
    )
    words = ["fit", str(table), "--run-dir", str(tmp_path / "run"), "--set", "context=48", "--set", "horizon=12"]
    words += ["--set", "patch_length=16"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=PROJECT, capture_output=True, text=True,
        env=os.environ | {"TIMELLM_CACHE": "/proc/x"}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    assert (
        "SmolLM2 135M Instruct has to be fetched first, but the cache folder /proc/x cannot be written" in done.stderr
    )
    assert done.stderr.count("\n") == 1
    assert done.stdout == "False\n"
    assert not (tmp_path / "run").exists()


def test_estimate_refuses_a_cache_that_cannot_be_written_before_it_measures(table, monkeypatch, capsys):
    monkeypatch.setenv("TIMELLM_CACHE", "/proc/x")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("it measured"))
    said = refused(["estimate", table, *(word for one in SMALL for word in ("--set", one))], capsys)
    assert "what is measured of this machine cannot be kept: the cache folder /proc/x cannot be written" in said


@pytest.mark.parametrize(
    "words",
    [
        ["forecast", "no-run", "--out"],
        ["attention", "no-run", "--out"],
        ["compare", "a", "b", "--out"],
        ["export", "a"],
    ],
)
@pytest.mark.parametrize(
    ("place", "cause"),
    [
        ("/proc/x", "cannot be written (No such file or directory); name a file in another folder"),
        ("/dev/null/x", "there is no folder /dev/null"),
        ("/dev/full", "is a device or a pipe; name a file"),
    ],
)
def test_output_that_cannot_be_written_is_refused_before_the_work(words, place, cause, capsys):
    assert f"{place}{'' if cause.startswith(('cannot', 'is')) else ':'} {cause}" in refused([*words, place], capsys)


@pytest.mark.parametrize("verb", ["fit", "inspect"])
def test_table_is_no_setting(verb, table, tmp_path, capsys):
    run_dir = ["--run-dir", tmp_path / "run"] if verb == "fit" else []
    said = refused([verb, table, *run_dir, "--set", "path=another.csv"], capsys)
    assert "the table is no setting of --set; name its file as the argument DATA.csv" in said


def test_unreadable_files_are_named_in_one_line(table, tmp_path, capsys):
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    config = run_dir / "config.json"
    config.write_text("{}")
    for path in (table, config):
        path.chmod(0)
    tmp_path.chmod(0o555)
    with without_rights():
        assert str(table) in refused(["inspect", table], capsys)
        for words in (["resume"], ["evaluate"], ["evaluate", "--stored"]):
            said = refused([words[0], run_dir, *words[1:]], capsys)
            assert f"{config} cannot be used (Permission denied); name another place" in said
        for words in (["fit", table, "--run-dir"], ["forecast", run_dir, "--out"]):
            said = refused([*words, tmp_path / "new"], capsys)  # its folder, or one above it, is closed to this user
            assert f"{tmp_path / 'new'} cannot be " in said
            assert "(Permission denied)" in said


def test_second_fit_into_a_folder_is_refused_while_the_first_works(hourly_csv, tiny_backbone, tmp_path, capsys):
    run_dir = tmp_path / "run"
    small = [
        *SMALL,
        "steps=1000000",
        "minutes=5",
        "validations=1000",
        "patience=1000",
        "validation_windows=4",
        f"backbone={tiny_backbone}",
    ]
    settings = [word for one in small for word in ("--set", one)]
    words = ["fit", str(hourly_csv), "--run-dir", str(run_dir)]
    command = [sys.executable, "-m", "timellm", *words, *settings]
    first = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 120
        while not (run_dir / ".lock").exists() or not (run_dir / ".lock").read_text():
            assert first.poll() is None and time.monotonic() < end
            time.sleep(0.01)
        said = refused([*words, *settings, "--set", "seed=1"], capsys)
        assert f"another process works in the run folder {run_dir} (process {first.pid} on " in said
        while not (run_dir / "training_state.safetensors").exists():  # written after the first validation
            assert first.poll() is None and time.monotonic() < end
            time.sleep(0.1)
        assert "another process works in the run folder" in refused(["resume", run_dir], capsys)
        assert "another process works in the run folder" in refused(["evaluate", run_dir], capsys)
    finally:
        first.kill()
        first.wait()
    assert "is not empty" in refused([*words, *settings], capsys), "the killed one keeps nobody out"
