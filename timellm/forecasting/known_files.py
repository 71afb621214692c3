"""The columns known ahead in a run's folder.

known.json     names of the columns, the texts of those that hold texts, and whether each channel has its own
known.parquet  their values: one column of numbers for each, channel after channel, and the rows' moments last

Shapes: S rows, N channels (1 where a column holds for all channels), K columns.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from timellm.data.known import Known
from timellm.files.parquetfile import read_parquet, write_parquet
from timellm.files.sealed import read_sealed_json, write_sealed_json
from timellm.training.checkpoint import KNOWN, KNOWN_COLUMNS

__all__ = ["KNOWN", "KNOWN_COLUMNS", "read_known", "write_known"]

_MOST_AHEAD = 1_000_000
"""Rows after the table's end."""


def write_known(folder: Path, known: Known) -> None:
    """Write both files.

    Raises:
        OSError: the disk is full.
    """
    facts = {"names": list(known.names), "categories": {name: list(one) for name, one in known.categories.items()}}
    write_sealed_json(folder / KNOWN_COLUMNS, facts | {"channels": known.values_SNK.shape[1]})
    flat_SC = known.values_SNK.reshape(len(known.index), -1)
    frame = pd.DataFrame(flat_SC, index=known.index, columns=[str(number) for number in range(flat_SC.shape[1])])
    write_parquet(folder / KNOWN, pa.Table.from_pandas(frame))


def read_known(path: Path, values: pd.DataFrame) -> Known:
    """Inverse of `write_known`, for the table whose values are given.

    Raises:
        ValueError, LookupError, TypeError, OSError: a file is damaged, or belongs to another table.
    """
    facts = read_sealed_json(path.with_name(KNOWN_COLUMNS))
    names = tuple(map(str, facts["names"]))
    categories = {str(name): tuple(map(str, texts)) for name, texts in facts["categories"].items()}
    channels = int(facts["channels"])
    if not names or channels not in (1, values.shape[1]) or not categories.keys() <= set(names):
        raise ValueError("it does not say of which columns and channels")
    rows = read_parquet(path, most_rows=len(values) + _MOST_AHEAD)
    *columns, moments = rows.schema
    if len(columns) != channels * len(names) or not all(pa.types.is_float64(one.type) for one in columns):
        raise ValueError(f"it has {len(columns)} columns and not {channels * len(names)} of numbers")
    if not pa.types.is_timestamp(moments.type) or moments.type.tz is not None:
        raise ValueError("its last column is not the rows' moments")
    index = pd.DatetimeIndex(rows[moments.name].to_pandas(), name="ds")
    if not index[: len(values)].equals(values.index) or not index.is_monotonic_increasing:
        raise ValueError("its rows are not those of the table")
    flat_SC = rows.drop_columns(moments.name).to_pandas(ignore_metadata=True).to_numpy(np.float64)
    known = Known(index, names, flat_SC.reshape(len(index), channels, len(names)), categories)
    for name, texts in categories.items():
        codes = known.values_SNK[:, :, names.index(name)]
        codes = codes[~np.isnan(codes)]
        if not np.isin(codes, np.arange(len(texts))).all():
            raise ValueError(f"column '{name}' has a text without a name")
    return known
