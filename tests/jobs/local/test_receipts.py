"""Receipts in the background: one at a time, kept, cancelled, failed with a cause, and never stuck."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from tests.conftest import SMALL
from timellm.config import RunConfig
from timellm.errors import JobError
from timellm.jobs.local import receipts
from timellm.workspace import PROJECT, workspace


@pytest.fixture
def config(hourly_csv, tiny_backbone) -> RunConfig:
    return RunConfig.create(hourly_csv, backbone=str(tiny_backbone), **SMALL)


@pytest.fixture(autouse=True)
def nothing_left_behind():
    yield
    receipts.cancel_receipt()


def wait(until, timeout_s: float = 300) -> None:
    end = time.monotonic() + timeout_s
    while not until():
        assert time.monotonic() < end, receipts.under_way()
        time.sleep(0.1)


def test_measurement_goes_on_by_itself_and_its_receipt_is_kept(config):
    assert receipts.kept_receipt(config) is None
    receipts.start_receipt(config)
    begun = receipts.under_way()
    assert (begun.key, begun.backbone) == (receipts.receipt_key(config), config.model.backbone)
    with pytest.raises(JobError, match="are being measured; wait for that, or cancel it"):
        receipts.start_receipt(config.updated(batch_size=4))
    wait(lambda: receipts.under_way() is None or receipts.under_way().share > 0.2)
    wait(lambda: receipts.under_way() is None)
    assert receipts.failure(config) is None
    kept = receipts.kept_receipt(config)
    assert [row.precision for row in kept.rows] == ["float32", "bfloat16", "8bit", "4bit"]
    assert receipts.kept_receipt(config.updated(quantization="4bit", horizon=6, seed=3)) == kept
    assert receipts.kept_receipt(config.updated(layers=1)) is None


def test_of_many_clicks_at_once_one_starts_a_measurement(config, monkeypatch):
    started, popen, together = [], subprocess.Popen, threading.Barrier(6)

    def counted(command, *arguments, **named):
        started.append(command)
        return popen(command, *arguments, **named)

    monkeypatch.setattr(receipts.subprocess, "Popen", counted)

    def click() -> str:
        together.wait()
        try:
            receipts.start_receipt(config)
        except JobError as error:
            return str(error)
        return "started"

    with ThreadPoolExecutor(6) as clicks:
        answers = sorted(click.result() for click in [clicks.submit(click) for _ in range(6)])
    assert len(started) == 1
    assert answers.count("started") == 1
    assert all("are being measured; wait for that, or cancel it" in said for said in answers if said != "started")


CLICK = """
import sys
from timellm.config import RunConfig
from timellm.errors import JobError
from timellm.jobs.local import receipts
config = RunConfig.from_json(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
try:
    receipts.start_receipt(config)
    print("started", flush=True)
    sys.stdin.readline()
except JobError as error:
    print(error)
"""


def test_of_two_servers_one_starts_a_measurement(config):
    command = [sys.executable, "-c", CLICK, config.to_json()]
    servers = [
        subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        for _ in range(3)
    ]
    try:
        for server in servers:
            assert server.stdout.readline() == "ready\n"
        for server in servers:
            server.stdin.write("\n")
        answers = sorted(server.stdout.readline().strip() for server in servers)
        assert answers[0] == "started"
        assert all("are being measured" in said for said in answers[1:])
    finally:
        for server in servers:
            server.communicate("\n")


def test_cancelled_measurement_leaves_nothing_but_the_last_receipt(config):
    receipts.start_receipt(config)
    wait(lambda: receipts.under_way().share > 0)
    process = psutil.Process(receipts.under_way().process.pid)
    worker = process.children()
    receipts.cancel_receipt()
    wait(lambda: receipts.under_way() is None)
    assert receipts.failure(config) is None
    assert receipts.kept_receipt(config) is None
    wait(lambda: not any(child.is_running() for child in worker))


def test_measurement_can_be_cancelled_while_it_starts(config):
    receipts.start_receipt(config)
    receipts.cancel_receipt()
    wait(lambda: receipts.under_way() is None)
    assert receipts.failure(config) is None


def test_failed_measurement_keeps_its_cause_until_the_next(config, monkeypatch):
    wrong = config.updated(layers=99)
    receipts.start_receipt(wrong)
    wait(lambda: receipts.under_way() is None)
    assert "has 3 layers, but 'layers' asks for 99" in receipts.failure(wrong)
    assert receipts.failure(config) is None
    receipts.start_receipt(wrong)
    assert receipts.failure(wrong) is None


def test_measurement_whose_process_is_gone_is_a_failure(config):
    receipts.start_receipt(config)
    psutil.Process(receipts.under_way().process.pid).send_signal(signal.SIGKILL)
    wait(lambda: receipts.under_way() is None)
    assert "the measurement ended early" in receipts.failure(config)


def test_damaged_receipt_counts_as_none(config):
    folder = workspace().receipts
    folder.mkdir(parents=True)
    for text in ("{", "[]", '{"rows": []}', '{"rows": 3}'):
        (folder / f"{receipts.receipt_key(config)}.json").write_text(text)
        assert receipts.kept_receipt(config) is None


def test_key_tells_backbones_apart_that_share_a_name(config):
    keys = {
        receipts.receipt_key(config.updated(backbone=name)) for name in ("a/gpt2", "b/gpt2", "gpt2", "../../etc/passwd")
    }
    assert len(keys) == 4
    assert not any("/" in key or "." in key for key in keys)
