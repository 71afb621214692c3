"""Actual values from a database that is asked on request, as a table in a file.

Inputs: an engine and a statement. Outputs: the rows that it returns, as CSV: what came is kept as a file, so that a
score can be traced to it. The statement is the user's own. On PostgreSQL it runs in a transaction that can only read,
and elsewhere in one that is never committed; a database account that may only read is the safe choice in any case.
"""

from __future__ import annotations

import pandas as pd
import sqlalchemy as sa
from sqlalchemy import exc

from timellm.errors import LedgerError

MOST_ROWS = 5_000_000


def rows_as_csv(engine: sa.Engine, statement: str) -> bytes:
    """Ask for rows, and write them as CSV.

    Raises:
        LedgerError: the statement is empty, the database refuses it, or it returns no rows or too many.
    """
    if not statement.strip():
        raise LedgerError("write the SQL statement that returns the table with its newest rows")
    try:
        with engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection = connection.execution_options(postgresql_readonly=True)
            found = connection.execute(sa.text(statement))
            if not found.returns_rows:
                raise LedgerError("the statement returns no rows; write a SELECT")
            rows = found.fetchmany(MOST_ROWS + 1)
            names = list(found.keys())
    except exc.SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        said = " ".join(str(cause).split())[:300]
        if engine.url.password:
            said = said.replace(str(engine.url.password), "***")
        raise LedgerError(f"the database did not answer the statement: {said}; correct it or the connection") from error
    if not rows:
        raise LedgerError("the statement returns no row; check its conditions")
    if len(rows) > MOST_ROWS:
        raise LedgerError(f"the statement returns more than {MOST_ROWS:,} rows; ask for fewer")
    return pd.DataFrame(rows, columns=names).to_csv(index=False).encode()
