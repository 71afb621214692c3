"""What a page load costs the server, and how many sessions it serves: `python -m benchmarks.page_load`.

Each load is a new session over a websocket, as a browser opens it: connect, ask for a page, wait until its script has
ended. No browser draws anything. The store holds `--runs` runs, three of them with results; tables are the samples.
With several `--code FOLDER`, versions of the code are measured in turns, `--rounds` times, each time with a fresh
server. Prints a Markdown table: processor time of the server for each load of a page by one session, then loads a
second and waiting times with `--sessions` sessions that go through all pages. Loopback only.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import connect

PROJECT = Path(__file__).resolve().parent.parent
_SAMPLES = {"melbourne-pedestrians": 2, "seattle-weather": 1}
"""How many runs with results are made on each sample."""
_PATIENCE_S = 120.0


@dataclass
class Measured:
    """One version of the code: milliseconds of processor time a load by page, and what the many sessions saw."""

    cpu_ms: dict[str, list[float]] = field(default_factory=dict)
    loads_a_second: list[float] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    mixed_cpu_ms: list[float] = field(default_factory=list)


def prepare(home: Path, runs: int) -> None:
    """Fill a workspace: runs with results on the samples, and `runs` rows in all; takes a minute or two."""
    os.environ["TIMELLM_HOME"] = str(home)
    from timellm.config import RunConfig
    from timellm.data.samples import find_sample
    from timellm.jobs.store.run_store import Store
    from timellm.jobs.worker import work
    from timellm.pipeline import fit

    store, real = Store.open(), []
    for name, count in _SAMPLES.items():
        table = find_sample(name).path
        config = RunConfig.create(table, steps=4, layers=1, context=96, horizon=24, validations=2, batch_size=8)
        for number in range(count):
            run = store.create_run(config, name=f"{name}, run {number}")
            assert work(run.id, store=store, fit=fit) == "finished"
            real.append(run.id)
        for number in range((runs - sum(_SAMPLES.values())) // len(_SAMPLES)):
            changed = config.updated(steps=100 + number, learning_rate=1e-4 * (1 + number % 7))
            run = store.create_run(changed, name=f"{name}, variant {number}")
            store.finish(run.id, "stopped", summary={"skill": 0.01 * (number % 40), "best_step": number})
    (home / "results.txt").write_text("\n".join(real))


def pages(home: Path) -> dict[str, tuple[str, str]]:
    """Page -> its name in the address, and the query."""
    ids = (home / "results.txt").read_text().split()
    table, run = "table=sample:melbourne-pedestrians", f"run={ids[0]}"
    return {
        "overview": ("", ""),
        "data": ("data", table),
        "finetune": ("finetune", table),
        "runs": ("runs", run),
        "forecast": ("forecast", run),
        "metrics": ("metrics", run),
        "attention": ("attention", run),
        "compare": ("compare", f"runs={','.join(ids[:2])}"),
    }


async def load(port: int, page: tuple[str, str]) -> float:
    """Open one page in a session of its own; seconds until its script has ended.

    Raises:
        RuntimeError: the page shows an exception.
        TimeoutError: it was not there within two minutes.
    """
    began = time.monotonic()
    asked = BackMsg()
    asked.rerun_script.page_name, asked.rerun_script.query_string = page
    async with (
        asyncio.timeout(_PATIENCE_S),
        connect(f"ws://127.0.0.1:{port}/_stcore/stream", max_size=None, compression=None, proxy=None) as line,
    ):
        await line.send(asked.SerializeToString())
        async for data in line:
            said = ForwardMsg.FromString(data)
            kind = said.WhichOneof("type")
            if kind == "delta" and said.delta.new_element.WhichOneof("type") == "exception":
                raise RuntimeError(f"{page}: {said.delta.new_element.exception.message}")
            if kind == "script_finished" and said.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                break
    return time.monotonic() - began


async def many(port: int, asked: list[tuple[str, str]], sessions: int) -> list[float]:
    """Load pages with so many sessions at a time; seconds of each load."""
    waiting, waits = list(reversed(asked)), []

    async def session() -> None:
        while waiting:
            waits.append(await load(port, waiting.pop()))

    async with asyncio.TaskGroup() as group:
        for _ in range(sessions):
            group.create_task(session())
    return waits


@contextmanager
def serving(code: Path, home: Path) -> Iterator[tuple[int, psutil.Process]]:
    """A server of the code in a folder, on a free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}", "--server.headless=true"]
    with (home / "server.log").open("ab") as out:
        process = subprocess.Popen(
            command, cwd=code, env=os.environ | {"TIMELLM_HOME": str(home)}, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        _wait_until_healthy(process, port)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_until_healthy(process: subprocess.Popen, port: int) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("the server did not start; server.log in the workspace says why")


def measure(code: Path, home: Path, found: Measured, *, each: int, loads: int, sessions: int) -> None:
    """One round: every page `each` times by one session, then `loads` of all pages by many."""
    asked = pages(home)
    with serving(code, home) as (port, server):
        asyncio.run(many(port, [*asked.values()] * 2, 1))  # imports and first reading
        for name, page in asked.items():
            before = _cpu_s(server)
            asyncio.run(many(port, [page] * each, 1))
            found.cpu_ms.setdefault(name, []).append(1000 * (_cpu_s(server) - before) / each)
        mixed = [list(asked.values())[number % len(asked)] for number in range(loads)]
        before, began = _cpu_s(server), time.monotonic()
        found.waits_s += asyncio.run(many(port, mixed, sessions))
        found.loads_a_second.append(loads / (time.monotonic() - began))
        found.mixed_cpu_ms.append(1000 * (_cpu_s(server) - before) / loads)


def _cpu_s(server: psutil.Process) -> float:
    times = server.cpu_times()
    return times.user + times.system


def report(found: dict[Path, Measured], sessions: int) -> str:
    """Medians over rounds as a Markdown table, a column for each version of the code."""
    rows = [["", *(code.name for code in found)], ["---"] * (1 + len(found))]
    for page in next(iter(found.values())).cpu_ms:
        rows.append(
            [f"{page}, ms of CPU a load", *(f"{statistics.median(one.cpu_ms[page]):.0f}" for one in found.values())]
        )
    rows.append(
        ["all pages, ms of CPU a load", *(f"{statistics.median(one.mixed_cpu_ms):.0f}" for one in found.values())]
    )
    rows.append(
        [
            f"{sessions} sessions, loads a second",
            *(f"{statistics.median(one.loads_a_second):.1f}" for one in found.values()),
        ]
    )
    for share in (50, 95):
        waits = (statistics.quantiles(one.waits_s, n=100)[share - 1] for one in found.values())
        rows.append([f"{sessions} sessions, {share} % wait at most, s", *(f"{one:.2f}" for one in waits)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main() -> None:
    """Prepare a workspace, or take one that was prepared, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=30)
    parser.add_argument("--loads", type=int, default=400)
    parser.add_argument("--each", type=int, default=10, help="loads of each page by one session")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--code", type=Path, action="append", help="a checkout; several are measured in turns")
    parser.add_argument("--home", type=Path, help="a workspace that an earlier call prepared, or where to make one")
    given = parser.parse_args()
    codes = [code.resolve() for code in given.code or [PROJECT]]
    found = {code: Measured() for code in codes}
    with tempfile.TemporaryDirectory() as scratch:
        home = (given.home or Path(scratch)).resolve()
        if not (home / "results.txt").is_file():
            prepare(home, given.runs)
        for number in range(given.rounds):
            for code in codes if number % 2 == 0 else reversed(codes):
                measure(code, home, found[code], each=given.each, loads=given.loads, sessions=given.sessions)
                print(f"round {number + 1}, {code.name}: {found[code].loads_a_second[-1]:.1f} loads a second")
        print(report(found, given.sessions))


if __name__ == "__main__":
    main()
