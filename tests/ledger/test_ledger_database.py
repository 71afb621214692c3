"""Actual values from a database: asked on request, read only, kept as a file, and taken in like a table."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest
import sqlalchemy as sa
import streamlit as st
from streamlit import config
from streamlit.testing.v1 import AppTest

from tests.jobs.postgresql import PASSWORD, programs, throw_away_server
from tests.ledger.conftest import HORIZON, grown_frame
from timellm.errors import LedgerError
from timellm.ledger.asking import rows_as_csv
from timellm.ledger.scoring import score
from timellm.workspace import PROJECT

STATEMENT = "SELECT date, load, price FROM plant ORDER BY date"


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """URL of a PostgreSQL database that has the grown table."""
    if programs() is None:
        pytest.skip("PostgreSQL's programs are not in /usr/lib/postgresql; tests/run.sh installs them")
    with throw_away_server() as url:
        engine = sa.create_engine(url)
        grown_frame().to_sql("plant", engine, index=False)
        engine.dispose()
        yield url


@pytest.fixture
def engine(database) -> Iterator[sa.Engine]:
    found = sa.create_engine(database)
    yield found
    found.dispose()


def test_rows_come_as_csv(engine):
    text = rows_as_csv(engine, STATEMENT).decode()
    found = pd.read_csv(pd.io.common.StringIO(text), parse_dates=["date"])
    pd.testing.assert_frame_equal(found, grown_frame(), check_dtype=False)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (" ", "write the SQL statement"),
        ("SELECT nothing FROM plant", 'column "nothing" does not exist'),
        ("SELECT date FROM plant WHERE load > 1e9", "returns no row"),
        ("DELETE FROM plant", "read-only transaction"),
        ("DROP TABLE plant", "read-only transaction"),
    ],
)
def test_statement_that_cannot_be_used_says_why_and_changes_nothing(engine, statement, message):
    with pytest.raises(LedgerError, match=message):
        rows_as_csv(engine, statement)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM plant")) == len(grown_frame())


def test_database_that_is_away_is_said_without_its_password(engine):
    url = engine.url.set(port=1)
    with pytest.raises(LedgerError, match="the database did not answer") as failure:
        rows_as_csv(sa.create_engine(url), STATEMENT)
    assert PASSWORD not in str(failure.value)


@pytest.fixture
def secrets(database, tmp_path) -> Iterator[None]:
    """The operator's file of connections: one to the database, and one that nobody can make."""
    path = tmp_path / "secrets.toml"
    path.write_text(f'[connections.plant]\nurl = "{database}"\n[connections.wrong]\nurl = "nonsense"\n')
    before = config.get_option("secrets.files")
    config.set_option("secrets.files", [str(path)])
    st.secrets._reset()
    st.cache_resource.clear()
    st.cache_data.clear()
    yield
    config.set_option("secrets.files", before)
    st.secrets._reset()


def test_page_asks_the_connection_and_scores(ledger, entry, secrets):
    app = AppTest.from_file(str(PROJECT / "pages" / "frame.py"), default_timeout=60)
    app.run().switch_page("ledger.py").run()
    app.text_area(key="ledger/sql").set_value("SELECT * FROM nothing").run()
    next(one for one in app.button if one.label == "Ask and score").click().run()
    assert 'relation "nothing" does not exist' in app.error[0].value.replace("\\", "")
    app.text_area(key="ledger/sql").set_value(STATEMENT).run()
    next(one for one in app.button if one.label == "Ask and score").click().run()
    assert not app.exception and not app.error
    assert f"{2 * HORIZON} new actual values" in app.success[0].value
    found = score(ledger, entry.id)
    app.selectbox(key="ledger/connection").set_value("wrong").run()
    next(one for one in app.button if one.label == "Ask and score").click().run()
    assert "The connection 'wrong' cannot be made" in app.error[0].value.replace("\\", "")
    assert found.state == "scored" and found.arrivals[0].source.name == "database plant"
