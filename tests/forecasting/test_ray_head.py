"""The head of a Ray cluster that does not answer, or not to us, is refused in seconds and in one line."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

pytest.importorskip("ray", reason="Ray is not installed; tests/run.sh installs requirements-ray.txt")

from timellm.cli import main
from timellm.errors import JobError
from timellm.forecasting import ray_head
from timellm.forecasting.ray_head import check_head


@contextlib.contextmanager
def listener(answer: bytes | None):
    """A server that takes every connection, and says nothing or always the same."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    held.append(server.accept()[0])
                    if answer is not None:
                        held[-1].sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        for connection in held:
            connection.close()


@pytest.fixture(autouse=True)
def on_loopback(monkeypatch):
    """Ray takes a loopback address as it is; it would use this machine's address in its network."""
    monkeypatch.setattr("ray._private.services.resolve_ip_for_localhost", lambda host: host)
    monkeypatch.setattr(ray_head, "ANSWERS_WITHIN_S", 2.0)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "DEADLINE_EXCEEDED|UNAVAILABLE"),
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "UNAVAILABLE"),
    ],
)
def test_server_that_is_no_head_is_refused(answer, why):
    match = (
        rf"no head of a Ray cluster answers at 127\.0\.0\.1:\d+ \(Ray uses 127\.0\.0\.1:\d+: ({why})\); look whether"
    )
    with listener(answer) as port, pytest.raises(JobError, match=match):
        check_head(f"127.0.0.1:{port}")


def test_port_that_nothing_listens_at_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(JobError, match=rf"answers at 127\.0\.0\.1:{port} \(Connection refused\); look whether it runs"):
        check_head(f"127.0.0.1:{port}")


@pytest.mark.parametrize("address", ["http://head:8265", "head:port", "head:99999", "", "//"])
def test_address_without_meaning_is_refused(address):
    with pytest.raises(JobError, match=f"'{address}' is no address of a Ray cluster; name its head as host:port"):
        check_head(address)


def test_forecast_many_says_so_in_one_line_before_it_reads_anything(capsys):
    with listener(None) as port:
        words = ["no-run", "--data", "no-data.csv", "--out", "nowhere", "--ray", f"127.0.0.1:{port}"]
        assert main(["forecast-many", *words]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert said.err.startswith(f"error: no head of a Ray cluster answers at 127.0.0.1:{port}")


def test_waits_of_both_steps_end_within_ten_seconds(monkeypatch):
    monkeypatch.undo()
    assert ray_head.ANSWERS_WITHIN_S <= 10
