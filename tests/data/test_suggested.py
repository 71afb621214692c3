"""Settings that suit a table where the usual ones do not."""

import numpy as np
import pandas as pd
import pytest

from timellm.config import RunConfig
from timellm.data.suggested import suggested
from timellm.data.table import Table
from timellm.data.windows import Split


def table(rows: int, step: str = "h", channels: int = 2) -> Table:
    index = pd.date_range("2021-01-01", periods=rows, freq=step, name="ds")
    values = pd.DataFrame(np.ones((rows, channels)), index=index, columns=[f"c{n}" for n in range(channels)])
    return Table(values, step, "ds", "wide", ())


def found(rows, step="h", *, kind="time_llm", given=(), **settings):
    config = RunConfig.create("table.csv", kind=kind, **settings)
    return {one.name: one for one in suggested(table(rows, step), config, given=given)}


def test_long_table_gets_lengths_and_patches_that_do_not_overlap():
    chosen = found(8760)
    assert {name: one.value for name, one in chosen.items()} == {"context": 336, "horizon": 96, "stride": 16}
    assert chosen["stride"].reason.startswith("42 patches that overlap take longer to read than 22 that do not")
    assert "stride" not in found(8760, given={"context"}, context=256)
    assert "stride" not in found(8760, given={"stride"}, stride=8)


@pytest.mark.parametrize("kind", ["ridge", "patchtst"])
def test_long_table_gets_lengths_alone_where_patches_cost_little(kind):
    assert {name: one.value for name, one in found(8760, kind=kind).items()} == {"context": 336, "horizon": 96}


def test_short_table_gets_larger_parts_shorter_patches_and_smaller_batches_with_reasons():
    chosen = found(144, "MS")
    assert {name: one.value for name, one in chosen.items()} == {
        "split": "60%/20%/20%", "context": 32, "horizon": 12, "patch_length": 8, "stride": 4, "batch_size": 16,
    }  # fmt: skip
    assert chosen["split"].reason.startswith("with 70%/10%/20% the validation part has 16 rows, fewer than 2 horizons")
    assert chosen["patch_length"].reason == "patches of 16 rows would cut a context of 32 into 4 only"
    assert chosen["batch_size"].reason == "the training part has 86 windows, few for batches of 32"


def test_what_the_user_gave_is_kept_and_the_rest_follows_from_it():
    given = {"split": "80%/10%/10%", "context": 40, "patch_length": 16}
    chosen = found(144, "MS", given=given, **given)
    assert {name: one.value for name, one in chosen.items()} == {"horizon": 12}


def test_batch_keeps_a_window_for_each_part_it_is_worked_through_in():
    assert found(144, "MS", accumulation=20)["batch_size"].value == 20
    assert "batch_size" not in found(144, "MS", accumulation=32)


def test_split_of_the_user_is_not_judged():
    assert "split" not in found(144, "MS", split="50%/10%/40%")


def test_kind_without_patches_or_steps_gets_neither():
    assert set(found(144, "MS", kind="ridge")) == {"split", "context", "horizon"}
    assert set(found(144, "MS", kind="dlinear")) == {"split", "context", "horizon", "batch_size"}


@pytest.mark.parametrize("rows", [40, 55, 100, 333, 1000])
@pytest.mark.parametrize("step", ["h", "D", "MS", "YS"])
def test_suggested_settings_make_a_valid_run_with_windows_in_every_part(rows, step):
    content = table(rows, step)
    usual = RunConfig.create("table.csv")
    config = usual.updated(**{one.name: one.value for one in suggested(content, usual)})
    split = Split.from_rows(config.task.split_rows(rows))
    for part in ("training", "validation", "test"):
        begin, end = split.bounds(part)
        assert end - max(begin, config.task.context) >= config.task.horizon, part
