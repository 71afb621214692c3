"""A store of its own for every test of the jobs room."""

import pytest

from timellm.config import RunConfig
from timellm.jobs.store import Store
from timellm.workspace import Workspace


@pytest.fixture
def store(tmp_path):
    """An empty store in a temporary workspace."""
    store = Store.open(Workspace(tmp_path))
    yield store
    store.close()


@pytest.fixture
def config(tmp_path):
    """A valid configuration; its table does not exist."""
    return RunConfig.create(tmp_path / "table.csv", horizon=24)
