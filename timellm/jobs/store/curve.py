"""Loss curves of runs: one row a reported training step, added while it trains, read as a frame to be drawn.

Inputs: open connections of timellm.jobs.store.run_store. Outputs: rows of `curves`, or a DataFrame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from timellm.jobs.store.schema import curves
from timellm.training.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("train_loss", "validation_loss", "learning_rate")


def add_point(connection: sa.Connection, run_id: str, progress: Progress) -> None:
    """Add the numbers of a report to its step's row; a report outside training, or without a loss, adds nothing."""
    point = {name: value for name in MEASURES if (value := getattr(progress, name)) is not None}
    if progress.phase != "training" or not {"train_loss", "validation_loss"} & point.keys():
        return
    here = (curves.c.run_id == run_id) & (curves.c.step == progress.done)
    if connection.execute(sa.update(curves).where(here).values(point)).rowcount == 0:
        connection.execute(sa.insert(curves).values(run_id=run_id, step=progress.done, **point))


def forget_validations(connection: sa.Connection, run_id: str, *, after: int) -> tuple[float | None, float | None]:
    """Take the validations after a step out of the curve; the last and the lowest validation loss that are left."""
    mine = curves.c.run_id == run_id
    connection.execute(sa.update(curves).where(mine, curves.c.step > after).values(validation_loss=None))
    left = sa.select(curves.c.validation_loss).where(mine, curves.c.validation_loss.is_not(None))
    last = connection.scalar(left.order_by(curves.c.step.desc()).limit(1))
    return last, connection.scalar(sa.select(sa.func.min(curves.c.validation_loss)).where(mine))


def read_curve(connection: sa.Connection, run_id: str, *, most: int | None = None) -> pd.DataFrame:
    """Columns step, train_loss, validation_loss, learning_rate in the order of steps; NaN where not measured.

    Of a long training, about `most` evenly spaced rows, besides the first, the last and at most as many validations.
    """
    import pandas as pd  # here, so that workers that only wait for their turn stay small

    columns = ["step", *MEASURES]
    mine = curves.c.run_id == run_id
    query = sa.select(*(curves.c[name] for name in columns)).where(mine).order_by(curves.c.step)
    if most is not None:
        counts = sa.select(sa.func.count(), sa.func.count(curves.c.validation_loss)).where(mine)
        count, validations = connection.execute(counts).one()
        if (every := -(-count // most)) > 1:
            validated = curves.c.validation_loss.is_not(None)
            place = sa.func.row_number().over(order_by=curves.c.step).label("place")
            among = sa.func.row_number().over(order_by=curves.c.step, partition_by=validated).label("among")
            numbered = sa.select(*(curves.c[name] for name in columns), place, among).where(mine).subquery()
            kept = (numbered.c.place % every == 1) | (numbered.c.place == count)
            # All of them in what is trained here; a curve from elsewhere may have one at every step.
            every_validation = max(1, -(-validations // most))
            kept |= numbered.c.validation_loss.is_not(None) & ((numbered.c.among - 1) % every_validation == 0)
            query = sa.select(*(numbered.c[name] for name in columns)).where(kept).order_by(numbered.c.step)
    frame = pd.DataFrame([tuple(row) for row in connection.execute(query)], columns=columns)
    return frame.astype({name: "int64" if name == "step" else "float64" for name in columns})
