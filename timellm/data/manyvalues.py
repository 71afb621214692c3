"""A long table with several columns of values: the question which one, or each of them as a channel of its own.

Inputs: the sheet, the roles of its columns, the configuration. Outputs: a sheet with one column of values, in which a
series and a column of values make one series, such as "shop 3, price".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from timellm.config import DataConfig
from timellm.data.columns import ColumnRoles, find_roles
from timellm.data.sheet import Sheet
from timellm.errors import Choice, ConfigError, QuestionError

EACH = "*"
"""What the setting value_column says for every column of numbers."""
_MOST_OFFERED = 8


def ask_for_values(sheet: Sheet, values: Sequence[str]) -> QuestionError:
    """The question which column of a long table to forecast."""
    first = {name: str(sheet.texts[name][0].as_py()) for name in values[:_MOST_OFFERED]}
    choices = [Choice(name, f"forecast '{name}'", f"its first value is {cell}") for name, cell in first.items()]
    listed = ", ".join(values[:_MOST_OFFERED]) + (" …" if len(values) > _MOST_OFFERED else "")
    choices.append(Choice(EACH, "forecast each of them", f"channels such as 'ID, {values[0]}'"))
    return QuestionError(
        f"{sheet.name}: it is a long table, and several of its columns hold numbers: {listed}",
        setting="value_column",
        choices=choices,
    )


def one_value_column(sheet: Sheet, config: DataConfig) -> tuple[Sheet, DataConfig]:
    """The sheet with all columns of values below each other, and the configuration that reads it.

    Raises:
        ConfigError: it has no column of series IDs, or one that is not to be told from the values.
        DataError: a setting names a column that is not there.
    """
    roles = find_roles(sheet, config.model_copy(update={"layout": "long", "value_column": None}))
    values = _values(sheet, roles)
    if roles.id_column is None or not values:
        raise ConfigError(
            f"value_column={EACH} makes each column of numbers a channel of a long table, but {sheet.name} has "
            f"{'no column of series IDs' if roles.id_column is None else 'no column of numbers'}; leave it out"
        )
    count, name = len(values), ", ".join(values)
    series, comma = sheet.texts[roles.id_column], pa.scalar(", ", pa.large_string())
    nameless = pc.equal(series, "")  # stays so, and is refused with its line
    ids = [
        pc.if_else(nameless, series, pc.binary_join_element_wise(series, pa.scalar(value, pa.large_string()), comma))
        for value in values
    ]
    texts: dict[str, pa.Array] = {}
    for column, cells in sheet.texts.items():
        if column == roles.id_column:
            texts[column] = pa.concat_arrays(ids)
        elif column not in values:
            texts[column] = pa.concat_arrays([cells] * count)
    texts[name] = pa.concat_arrays([sheet.texts[value] for value in values])
    long = replace(
        sheet,
        texts=texts,
        records=np.arange(count * len(sheet)),
        lines=np.tile(sheet.lines[sheet.records], count),
    )
    asked = {"layout": "long", "id_column": roles.id_column, "value_column": name}
    return long, config.model_copy(update=asked)


def _values(sheet: Sheet, roles: ColumnRoles) -> list[str]:
    """Columns of values, in the order of the file."""
    found = set(roles.value_candidates)
    return [name for name in sheet.columns if name in found]
