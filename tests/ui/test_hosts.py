"""Host names that the server answers to: loopback, the address in use, and what the operator lists; nothing else."""

import asyncio
import os
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor

import pytest
import streamlit as st

from timellm.errors import ConfigError
from timellm.ui.hosts import HostCheck, listed_hosts, tell_who_reaches_this_server


def finish(work: Coroutine) -> None:
    """Run it in a thread of its own: the main one has a running loop for good once a test has used a browser."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


def answer(host: str | None, *, kind: str = "http", origin: str | None = None, listed=(), came_to="127.0.0.1"):
    """Status and text of a request that names `host`; status 200 where the application is reached."""
    headers = [] if host is None else [(b"host", host.encode())]
    headers += [(b"origin", origin.encode())] if origin else []
    scope = {"type": kind, "path": "/", "headers": headers, "server": (came_to, 8501)}
    scope |= {"extensions": {"websocket.http.response": {}}} if kind == "websocket" else {"method": "GET"}
    sent = []

    async def app(scope, receive, send):
        await send({"type": f"{kind}.response.start", "status": 200})

    async def send(message):
        sent.append(message)

    finish(HostCheck(app, listed=listed)(scope, None, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent).decode()


@pytest.fixture
def option(monkeypatch):
    """Sets options of the server as its configuration would."""
    usual, changed = st.get_option, {}
    monkeypatch.setattr(st, "get_option", lambda name: changed.get(name, usual(name)))
    return changed


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:80", "localhost.:9", "127.0.0.1:8501", "127.8.9.10", "[::1]:1"]
)
def test_loopback_names_are_accepted_with_any_port(kind, host):
    assert answer(host, kind=kind)[0] == 200


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "host",
    ["evil.example:8501", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.5", "localhost.evil"],
)
def test_foreign_name_is_refused_with_what_to_set(kind, host):
    status, text = answer(host, kind=kind)
    assert status == 403
    assert f"TIMELLM_HOSTS={host.partition(':')[0]}" in text
    assert text.count("\n") == 1


@pytest.mark.parametrize("host", [None, "", "a b", "user@localhost", "localhost/x", "localhost:port", "[::1", "<b>"])
def test_header_without_a_host_name_is_refused(host):
    assert answer(host)[0] == 400


def test_two_hosts_in_one_request_are_refused():
    twice = {"type": "http", "headers": [(b"host", b"localhost"), (b"host", b"evil.example")]}
    sent = []

    async def send(message):
        sent.append(message)

    finish(HostCheck(None)(twice, None, send))
    assert sent[0]["status"] == 400


def test_names_that_the_operator_lists_are_accepted(option):
    listed = ("forecast.example", "10.0.0.5", "*.lab.example", "fd00::5")
    for host in ("forecast.example:8501", "Forecast.Example", "10.0.0.5", "a.lab.example", "[fd00:0::5]:80"):
        assert answer(host, listed=listed)[0] == 200, host
    assert answer("lab.example", listed=listed)[0] == 403
    assert answer("xforecast.example", listed=listed)[0] == 403
    option["server.allowedHosts"] = ["other.example"]
    assert answer("other.example")[0] == 200


def test_address_that_the_server_listens_on_is_accepted(option):
    assert answer("192.168.1.5:8501", came_to="192.168.1.5")[0] == 200
    assert answer("192.168.1.5:8501", came_to="::ffff:192.168.1.5")[0] == 200
    assert answer("192.168.1.6:8501", came_to="192.168.1.5")[0] == 403
    option["server.address"] = "workstation.lan"
    assert answer("workstation.lan:8501", came_to="192.168.1.5")[0] == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost:3000", "https://localhost", "null"])
def test_websocket_of_another_page_is_refused(origin):
    assert answer("localhost:8501", kind="websocket", origin=origin)[0] == 403


def test_websocket_of_an_own_page_or_of_no_page_is_accepted(option):
    assert answer("localhost:8501", kind="websocket", origin="http://localhost:8501")[0] == 200
    assert answer("localhost:8501", kind="websocket")[0] == 200
    option["server.corsAllowedOrigins"] = ["https://portal.example"]
    assert answer("localhost:8501", kind="websocket", origin="https://portal.example")[0] == 200


@pytest.mark.parametrize("listed", ["http://forecast.example", "forecast.example:8501", "a b", "a/b"])
def test_listed_name_that_is_none_is_named(monkeypatch, listed):
    monkeypatch.setenv("TIMELLM_HOSTS", f"good.example,{listed}")
    with pytest.raises(ConfigError, match=f"TIMELLM_HOSTS lists '{listed}'"):
        listed_hosts()


def test_list_is_read_with_its_blanks(monkeypatch):
    monkeypatch.setenv("TIMELLM_HOSTS", " forecast.example, 10.0.0.5 ,,[fd00::5]")
    assert listed_hosts() == ("forecast.example", "10.0.0.5", "[fd00::5]")
    monkeypatch.delenv("TIMELLM_HOSTS")
    assert listed_hosts() == ()


@pytest.mark.parametrize(
    ("address", "listed", "allowed", "reached"),
    [
        ("127.0.0.1", (), [], "0"),
        ("localhost", (), [], "0"),
        ("::1", ("localhost",), [], "0"),
        (None, (), [], "1"),
        ("0.0.0.0", (), [], "1"),
        ("192.168.1.5", (), [], "1"),
        ("127.0.0.1", ("forecast.example",), [], "1"),
        ("127.0.0.1", (), ["forecast.example"], "1"),
    ],
)
def test_server_knows_whether_others_reach_it(option, monkeypatch, address, listed, allowed, reached):
    monkeypatch.setenv("TIMELLM_REACHED_BY_OTHERS", "what it was")
    option.update({"server.address": address, "server.allowedHosts": allowed})
    tell_who_reaches_this_server(listed)
    assert os.environ["TIMELLM_REACHED_BY_OTHERS"] == reached
