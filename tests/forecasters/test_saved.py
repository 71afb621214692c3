"""A forecaster's file that cannot be used is refused in the same words, whatever the kind."""

from __future__ import annotations

import pytest

from timellm.config import RunConfig
from timellm.errors import CheckpointError
from timellm.forecasters.registry import REGISTRY

KINDS = ("naive", "ridge", "ets", "theta", "fracast", "timesfm", "chronos")


@pytest.fixture(params=KINDS)
def saved(request, tmp_path):
    """The path of a kind's file, which is not there, and what loads it."""
    kind = REGISTRY[request.param]
    config = RunConfig.create("table.csv", kind=kind.name, horizon=4)
    return tmp_path / kind.file, lambda: kind.load().load(tmp_path, config)


def test_missing_file_is_refused(saved):
    path, load = saved
    with pytest.raises(CheckpointError, match=rf"^{path.parent} holds no {path.name}; fit the run again$"):
        load()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"12", b"{}", b'{"timellm.digest": "sha256:", "content": {}}'])
def test_damaged_file_is_refused(saved, content):
    path, load = saved
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"^{path} is damaged \(.+\); fit the run again$"):
        load()


def test_file_that_cannot_be_read_is_refused(saved):
    path, load = saved
    path.mkdir()
    with pytest.raises(CheckpointError, match=rf"^{path} cannot be read \(.+\); let this user read it$"):
        load()
