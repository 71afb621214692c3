"""The verbs submit, follow, stop and log on this machine's queue; tests/jobs/cluster has them on a cluster."""

from __future__ import annotations

import json

import pytest

from tests.conftest import SMALL
from timellm.cli.command import main
from timellm.jobs.store.process import this_process
from timellm.jobs.store.run_store import Store


@pytest.fixture
def queue(monkeypatch):
    """A queue that nobody works off."""
    monkeypatch.setattr("timellm.jobs.local.launcher.start_runner", lambda store: this_process())
    store = Store.open()
    yield store
    store.close()


def said(capsys, *words) -> dict:
    """The JSON answer of a command line that went well."""
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_run_is_submitted_looked_at_and_withdrawn(queue, hourly_csv, capsys):
    settings = [part for name, value in SMALL.items() for part in ("--set", f"{name}={value}")]
    run = said(capsys, "submit", hourly_csv, "--name", "by hand", *settings)
    assert (run["state"], run["name"], run["workers"]) == ("queued", "by hand", 1)
    assert queue.get(run["id"]).config.model.horizon == SMALL["horizon"]
    assert said(capsys, "log", run["id"])["log"] == ""
    assert said(capsys, "stop", run["id"])["state"] == "stopped"
    assert said(capsys, "follow", run["id"])["state"] == "stopped"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--on", "cluster"), "no cluster is named here: set TIMELLM_RAY"),
        (("--workers", "2"), "several workers need a cluster"),
    ],
)
def test_submit_without_a_cluster_says_what_to_set(queue, hourly_csv, capsys, monkeypatch, words, message):
    monkeypatch.delenv("TIMELLM_RAY", raising=False)
    assert main(["submit", str(hourly_csv), *words]) == 2
    assert message in capsys.readouterr().err
    assert queue.runs() == ()


def test_forecast_many_asks_for_the_cluster_that_its_workers_are_on(tmp_path, capsys):
    words = ["forecast-many", tmp_path, "--data", tmp_path, "--out", tmp_path / "out", "--workers", "2"]
    assert main(list(map(str, words))) == 2
    assert "name it with --ray" in capsys.readouterr().err
