"""The installed package: it holds what a run needs, and works from an empty folder without the checkout."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

import timellm
from tests.conftest import SMALL
from timellm.installation import PROJECT, install_command

PARTS = ("timellm", "pages", ".streamlit", "app.py", "setup.py", "pyproject.toml", "README.md", "LICENSE")
EXTRAS = (
    "arch",
    "deepspeed",
    "excel",
    "explain",
    "holidays",
    "postgresql",
    "ray",
    "statistical",
    "trackers",
    "zero-shot",
)
_PATIENCE_S = 120


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of this checkout, built from a copy: building leaves folders behind."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for path in [*(PROJECT / name for name in PARTS), *PROJECT.glob("requirements*.txt")]:
        if path.is_dir():
            shutil.copytree(path, source / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", out, source)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The programs of an environment that has the package, and all else from this one."""
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    programs = environment / "bin"
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    pip("--python", programs / "python", "install", "--no-deps", "--no-compile", wheel)
    return programs


def pip(*words: object) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, words)]
    subprocess.run(command, check=True, env=os.environ | {"PIP_NO_INDEX": "1"})


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("TIMELLM_HOME", "PYTHONPATH")}


def timellm_says(installed: Path, folder: Path, *words: object) -> str:
    done = subprocess.run(
        [installed / "timellm", *map(str, words)], cwd=folder, env=environment(),
        capture_output=True, text=True, timeout=_PATIENCE_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path) -> Path:
    """An empty working folder."""
    path = tmp_path / "work"
    path.mkdir()
    return path


def test_wheel_holds_every_file_of_the_package_the_pages_and_their_settings(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    package = [path for path in (PROJECT / "timellm").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert len(package) > 100
    assert {path.relative_to(PROJECT).as_posix() for path in package} <= inside
    pages = [path.relative_to(PROJECT).as_posix() for path in (PROJECT / "pages").glob("*.py")]
    assert {f"timellm/app/{name}" for name in ("app.py", ".streamlit/config.toml", *pages)} <= inside
    assert {name.partition("/")[0] for name in inside} == {"timellm", f"timellm-{timellm.__version__}.dist-info"}


def test_package_needs_what_the_requirement_files_say(wheel):
    with zipfile.ZipFile(wheel) as archive:
        facts = message_from_bytes(archive.read(f"timellm-{timellm.__version__}.dist-info/METADATA"))
    assert facts["Version"] == timellm.__version__
    assert facts["License-Expression"] == "Apache-2.0"
    assert tuple(facts.get_all("Provides-Extra")) == EXTRAS
    expected = set((PROJECT / "requirements.txt").read_text().split())
    for extra in EXTRAS:
        lines = (PROJECT / f"requirements-{extra}.txt").read_text().splitlines()
        pins = [line for line in lines if line and not line.startswith("#")]
        expected |= {f'{pin}; extra == "{extra}"' for pin in pins}
    assert set(facts.get_all("Requires-Dist")) == expected


def test_installed_command_trains_in_the_background_from_an_empty_folder(installed, folder, tiny_backbone, hourly_csv):
    """The worker starts in another folder than the command, and leaves the run where the command was called."""
    assert "usage: timellm [-h] VERB" in timellm_says(installed, folder, "--help")
    assert "400 rows of 2 channels" in timellm_says(installed, folder, "inspect", hourly_csv)
    settings = [f"{name}={value}" for name, value in (SMALL | {"backbone": tiny_backbone}).items()]
    given = [word for setting in settings for word in ("--set", setting)]
    timellm_says(installed, folder, "submit", hourly_csv, *given)
    (run,) = (path for path in (folder / "checkpoints").iterdir() if path.is_dir())
    timellm_says(installed, folder, "follow", run.name)
    assert (run / "scores.json").is_file()
    assert {path.name for path in folder.iterdir()} == {"checkpoints"}


def test_installed_command_serves_the_pages_with_their_settings(installed, folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [installed / "timellm", "app", "--port", str(port)]
    quiet = {"STREAMLIT_SERVER_HEADLESS": "true"}
    with (folder.parent / "log").open("w+b") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment() | quiet, stdout=log, stderr=log)
        try:
            headers = headers_of(f"http://127.0.0.1:{port}/", server)
        finally:
            server.terminate()
            server.wait()
        log.seek(0)
        said = log.read().decode()
    assert headers["X-Frame-Options"], "app.py was not served"
    assert f"http://127.0.0.1:{port}" in said and "Network URL" not in said, said


def headers_of(address: str, server: subprocess.Popen) -> Message:
    end = time.monotonic() + _PATIENCE_S
    while server.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
            return answer.headers
        time.sleep(0.2)
    raise AssertionError("the server did not answer")


def test_command_that_installs_an_extra_is_the_same_in_both(installed):
    program = "from timellm.installation import install_command as c; print(c('ray'), c('trackers', ('wandb',)))"
    shown = subprocess.run(
        [installed / "python", "-c", program], cwd="/", env=environment(), capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == f"{install_command('ray')} {install_command('trackers', ('wandb',))}"
    assert install_command("ray").startswith("pip install 'ray[default,train]==")
    assert install_command("trackers", ("wandb",)).startswith("pip install wandb==")
