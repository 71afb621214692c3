"""A store of its own for every test of the jobs room; the store's own tests have it on both databases."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from tests.jobs.postgresql import programs, throw_away_server
from timellm.config import RunConfig
from timellm.jobs.store.run_store import Store
from timellm.workspace import Workspace


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests of the store that ask for a store, directly or through another fixture, run on both databases."""
    if metafunc.module.__name__.split(".")[-1].startswith("test_store") and "database" in metafunc.fixturenames:
        metafunc.parametrize("database", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL of a PostgreSQL database that is there for this session only."""
    if programs() is None:
        pytest.skip("PostgreSQL's programs are not in /usr/lib/postgresql; tests/run.sh installs them")
    with throw_away_server() as url:
        yield url


@pytest.fixture
def empty_postgresql(postgresql: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of the PostgreSQL database, which is empty and in force."""
    engine = sa.create_engine(postgresql)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        connection.execute(sa.text("CREATE SCHEMA public"))
    engine.dispose()
    monkeypatch.setenv("TIMELLM_STORE", postgresql)
    return postgresql


@pytest.fixture
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The database in force: "sqlite", or "postgresql", which is then empty."""
    kind = getattr(request, "param", "sqlite")
    monkeypatch.delenv("TIMELLM_STORE", raising=False)
    if kind == "postgresql":
        request.getfixturevalue("empty_postgresql")
    return kind


@pytest.fixture
def store(database, tmp_path):
    """An empty store in a temporary workspace."""
    store = Store.open(Workspace(tmp_path))
    yield store
    store.close()


@pytest.fixture
def config(tmp_path):
    """A valid configuration; its table does not exist."""
    return RunConfig.create(tmp_path / "table.csv", horizon=24)
