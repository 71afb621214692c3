"""An HTTP route that hands out a run's archive, a piece at a time.

A download button would keep the whole archive in the memory of the session. Here it is written to a file that has no
name any more, and is gone when the answer has been sent or the browser has turned away.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO

import streamlit as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from timellm.errors import TimeLLMError
from timellm.jobs.store.run import RUN_ID
from timellm.ui.loaders import store

_PLACE = "export"
_CHUNK = 2**20


def link(run_id: str, *, with_table: bool) -> str:
    """Where the run's archive is handed out."""
    base = (st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}/{_PLACE}/{run_id}?table={int(with_table)}".replace("//", "/")


def routes() -> list[Route]:
    """What the server adds to Streamlit's own routes."""
    base = (st.get_option("server.baseUrlPath") or "").strip("/")
    return [Route(f"/{base}/{_PLACE}/{{run_id}}".replace("//", "/"), hand_out, methods=["GET"])]


def hand_out(request: Request) -> Response:
    """Answer with the archive, or with the reason why there is none."""
    # Another page could not read the answer, but it could keep this server busy with requests. A server on another port
    # of this machine is another origin of the same site.
    if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return PlainTextResponse("this is handed out to the workbench's own pages only", status_code=403)
    from timellm.jobs.archive.writing import write_archive

    run_id = request.path_params["run_id"]
    if not RUN_ID.fullmatch(run_id):
        return PlainTextResponse("there is no such run", status_code=404)
    place = store().place.checkpoints
    file = tempfile.TemporaryFile(prefix=".export-", dir=place)  # noqa: SIM115, closed when it has been sent
    try:
        write_archive(store(), run_id, file, with_table=request.query_params.get("table") != "0")
    except (TimeLLMError, OSError) as error:
        file.close()
        return PlainTextResponse(f"The run cannot be exported: {error}", status_code=409)
    size = file.tell()
    headers = {
        "Content-Length": str(size),
        "Content-Disposition": f'attachment; filename="{run_id}.zip"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(_pieces(file), media_type="application/zip", headers=headers)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while piece := file.read(_CHUNK):
            yield piece
