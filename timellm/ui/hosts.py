"""Which host names the server answers to, for pages, websockets and routes alike: a guard against DNS rebinding.

A page of another site can give its own name the address 127.0.0.1. For the browser, that page and this server then have
one origin. The server tells them apart by the `Host` header, which still holds the other site's name. Accepted are
loopback names, the address that the request came to, `server.address`, and the names that the operator lists in
`TIMELLM_HOSTS` or `server.allowedHosts`.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

import streamlit as st
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from timellm.errors import ConfigError
from timellm.forecasters.time_llm import remote_code

VARIABLE = "TIMELLM_HOSTS"
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?", re.IGNORECASE)
_PATTERN = re.compile(r"\*|(?:\*\.)?[a-z0-9._-]+|[0-9a-f:.]+|\[[0-9a-f:.]+\]", re.IGNORECASE)


def listed_hosts() -> tuple[str, ...]:
    """The names that the operator lists in `TIMELLM_HOSTS`, such as `forecast.example,10.0.0.5,*.lab.example`.

    Raises:
        ConfigError: one of them is no name, such as a URL or a name with a port.
    """
    names = tuple(name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip())
    for name in names:
        if not _PATTERN.fullmatch(name):
            raise ConfigError(
                f"{VARIABLE} lists {name!r}, which is no host name or address; write names alone, without http:// and"
                " without a port, like forecast.example,10.0.0.5"
            )
    return names


def tell_who_reaches_this_server(listed: Iterable[str]) -> None:
    """Say in the environment, for this process and its workers, whether other machines reach this server.

    They do when it listens beyond loopback, or when it answers to other names (behind a proxy).
    """
    names = [st.get_option("server.address") or "", *listed, *st.get_option("server.allowedHosts")]
    only_here = all(_is_loopback(_plain_name(name)) for name in names)
    os.environ[remote_code.REACHED_BY_OTHERS] = "0" if only_here else "1"


class HostCheck:
    """ASGI middleware that refuses a foreign `Host` header, and a websocket that a foreign page opens.

    Besides this machine's own names it accepts those `listed`.
    """

    def __init__(self, app: ASGIApp, listed: tuple[str, ...] = ()) -> None:
        self._app = app
        self._listed = listed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or refuse it with one line that says what to set."""
        refusal = self._refusal(scope) if scope["type"] in ("http", "websocket") else None
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await refusal(scope, receive, send)
        else:
            await WebSocket(scope, receive, send).send_denial_response(refusal)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if found is None:
            return PlainTextResponse("The request needs exactly one Host header with a host name in it.\n", 400)
        name = _plain_name(found["name"])
        accepted = (*self._listed, *st.get_option("server.allowedHosts"), st.get_option("server.address") or "")
        came_to = (scope.get("server") or ("",))[0]
        if not _is_loopback(name) and not _same_address(name, came_to) and not _matches(name, accepted):
            return PlainTextResponse(
                f"The workbench does not answer to the host name {name}. If you run it under this name, start it with"
                f" {VARIABLE}={name} in its environment.\n",
                403,
            )
        if scope["type"] == "websocket" and not _own_page(headers.get("origin"), hosts[0]):
            return PlainTextResponse(
                "Only the workbench's own pages may open this connection. If a proxy changes the Host header, let it"
                " pass the header on, or list the page's origin in server.corsAllowedOrigins.\n",
                403,
            )
        return None


def _plain_name(name: str) -> str:
    return name.strip("[]").lower().removesuffix(".")


def _is_loopback(name: str) -> bool:
    address = _address(name)
    return name == "localhost" if address is None else address.is_loopback


def _same_address(name: str, came_to: str) -> bool:
    """Whether the host is the very address of this machine that the request came to; no other site has that name."""
    address = _address(name)
    return address is not None and address == _address(came_to)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return None
    return (getattr(address, "ipv4_mapped", None)) or address


def _matches(name: str, patterns: Iterable[str]) -> bool:
    for pattern in map(_plain_name, map(str.strip, patterns)):
        if pattern == "*" or (pattern.startswith("*.") and name.endswith(pattern[1:])):
            return True
        if pattern and (name == pattern or _same_address(name, pattern)):
            return True
    return False


def _own_page(origin: str | None, host: str) -> bool:
    """Whether a websocket comes from a page of this server; programs that are no browsers name no origin.

    Streamlit alone would accept pages of every port of this machine, and look up this machine's public address on the
    internet to compare it with any other origin.
    """
    if origin is None or not st.get_option("server.enableCORS"):
        return True
    return urlsplit(origin).netloc.lower() == host.lower() or origin in st.get_option("server.corsAllowedOrigins")
