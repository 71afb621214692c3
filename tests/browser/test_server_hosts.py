"""A started server against DNS rebinding: nothing of it is handed out under a name that is not its own."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from timellm.workspace import PROJECT

FOREIGN = "evil.example:8501"
PATHS = ("/", "/runs?run=20261122-1530-ab12c", "/export/20261122-1530-ab12c", "/_stcore/health", "/_stcore/host-config")


def get(server, path: str, **headers: str) -> tuple[int, http.client.HTTPMessage, str]:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=20)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    text = answer.read().decode(errors="replace")
    connection.close()
    return answer.status, answer.headers, text


def opened(server, **headers: str) -> bool:
    """Whether the websocket of the pages opens."""
    netloc = urlsplit(server.url).netloc
    host, origin = headers.get("host", netloc), headers.get("origin")
    line = socket.create_connection(("127.0.0.1", int(netloc.rpartition(":")[2])), timeout=20)
    try:
        with connect(f"ws://{host}/_stcore/stream", sock=line, origin=origin):
            return True
    except InvalidStatus as refused:
        assert refused.response.status_code == 403
        return False


@pytest.mark.parametrize("path", PATHS)
def test_foreign_host_reads_nothing(server, path):
    status, headers, text = get(server, path, Host=FOREIGN)
    assert status == 403
    assert "TIMELLM_HOSTS=evil.example" in text
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_static_file_is_not_handed_to_a_foreign_host(server):
    page = get(server, "/")[2]
    script = "/" + page.partition('src="./')[2].partition('"')[0]
    assert get(server, script)[0] == 200
    assert get(server, script, Host=FOREIGN)[0] == 403


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "127.3.4.5", "[::1]:8501"])
def test_loopback_name_gets_the_page(server, host):
    assert get(server, "/", Host=host)[0] == 200


def test_websocket_opens_for_own_pages_alone(server):
    port = urlsplit(server.url).port
    assert opened(server)
    assert opened(server, origin=f"http://127.0.0.1:{port}")
    assert not opened(server, host=f"evil.example:{port}")
    assert not opened(server, host=f"evil.example:{port}", origin=f"http://evil.example:{port}")
    assert not opened(server, origin="http://localhost:3000")


def test_export_answers_no_page_of_another_port(server):
    path = "/export/20261122-1530-ab12c"
    assert get(server, path, Sec_Fetch_Site="same-site")[0] == 403
    assert get(server, path, Sec_Fetch_Site="cross-site")[0] == 403
    status, headers, text = get(server, path, Sec_Fetch_Site="same-origin")
    assert status == 409
    assert "no run" in text
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_list_of_hosts_that_cannot_be_read_ends_the_start(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port=1", "--server.headless=true"],
        cwd=PROJECT,
        env=os.environ | {"TIMELLM_HOME": str(tmp_path), "TIMELLM_HOSTS": "http://forecast.example"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 1
    assert "error: TIMELLM_HOSTS lists 'http://forecast.example'" in ended.stderr
    assert "Traceback" not in ended.stderr
