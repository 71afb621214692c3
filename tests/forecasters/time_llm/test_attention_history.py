"""What is kept of attention during training: it is that of the weights, changes none, and survives an interruption."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

import timellm
from tests.conftest import SMALL
from timellm.errors import CheckpointError
from timellm.explain.reader import AttentionReader
from timellm.files.parquetfile import write_parquet
from timellm.forecasters.time_llm import attention_history
from timellm.forecasters.time_llm.attention_history import ATTENTION_HISTORY, AttentionHistory, effective
from timellm.forecasting.artifacts import RunFolder
from timellm.training.checkpoint import ADAPTER
from timellm.training.pinned import PinnedWindows

SETTINGS = {"steps": 12, "validations": 4, "validation_windows": 40, "patience": 20, "attention_dropout": 0.2}


@pytest.fixture(scope="module")
def config(hourly_csv, tiny_backbone):
    return timellm.RunConfig.create(hourly_csv, backbone=str(tiny_backbone), **(SMALL | SETTINGS))


@pytest.fixture(scope="module")
def folders(config, tmp_path_factory):
    """The same run with and without pinned windows."""
    found = {}
    for count in (0, 3):
        found[count] = tmp_path_factory.mktemp("runs") / f"pinned{count}"
        timellm.fit(config.updated(pinned_windows=count), run_dir=found[count])
    return found


def test_effective_number_is_one_for_a_single_prototype_and_all_for_even_attention():
    rows = torch.tensor([[0.0, 1.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0.0, 0.0]])
    np.testing.assert_allclose(effective(rows), [1, 4, 2], rtol=1e-6)


def test_history_at_the_end_is_the_attention_of_the_kept_weights(folders):
    folder = RunFolder(folders[3])
    assert folder.summary()["best_step"] == 12
    found = AttentionHistory.read(folders[3])
    assert found.step_K.tolist() == [3, 6, 9, 12] and found.windows == 3
    assert found.effective_Kh.shape == (4, 2) and found.attention_KV.shape == (4, 20)
    prepared = folder.prepared()
    index = PinnedWindows.of(prepared, folders[3]).index
    ((_, weights_WhPV),) = AttentionReader.open(folders[3]).over(prepared, index)
    np.testing.assert_allclose(found.attention_KV[-1], weights_WhPV.mean(axis=(0, 1, 2)), rtol=1e-4)
    entropy_WhP = -(weights_WhPV * np.log(weights_WhPV)).sum(axis=-1)
    np.testing.assert_allclose(found.effective_Kh[-1], np.exp(entropy_WhP).mean(axis=(0, 2)), rtol=1e-4)
    top_WhP = np.sort(weights_WhPV, axis=-1)[..., -10:].sum(axis=-1)
    np.testing.assert_allclose(found.top_share_Kh[-1], top_WhP.mean(axis=(0, 2)), rtol=1e-4)
    assert (found.attention_KV[0] != found.attention_KV[-1]).any(), "training changed nothing"


def test_keeping_it_changes_no_bit_of_the_weights(folders):
    with_it, without = (load_file(folders[count] / ADAPTER) for count in (3, 0))
    assert all(torch.equal(with_it[name], without[name]) for name in without)
    assert AttentionHistory.read(folders[0]) is None


def test_run_that_was_stopped_goes_on_to_the_same_history(config, folders, tmp_path):
    run_dir, seen = tmp_path / "run", []
    same = config.updated(pinned_windows=3)
    timellm.fit(
        same, run_dir=run_dir, on_progress=lambda now: seen.append(now.done if now.phase == "training" else 0),
        should_stop=lambda: bool(seen) and seen[-1] == 7,
    )  # fmt: skip
    assert AttentionHistory.read(run_dir).step_K.tolist() == [3, 6, 7]
    timellm.fit(same, run_dir=run_dir)
    assert (run_dir / ATTENTION_HISTORY).read_bytes() == (folders[3] / ATTENTION_HISTORY).read_bytes()


def test_run_with_a_linear_map_keeps_none(config, tmp_path):
    timellm.fit(config.updated(pinned_windows=3, reprogramming="linear"), run_dir=tmp_path / "run")
    assert AttentionHistory.read(tmp_path / "run") is None


def test_only_the_most_attended_are_kept_where_all_would_be_too_many(config, tmp_path, monkeypatch):
    monkeypatch.setattr(attention_history, "MOST_VALUES", 6 * 5)
    timellm.fit(config.updated(pinned_windows=2), run_dir=tmp_path / "run")
    rows = pq.read_table(tmp_path / "run" / ATTENTION_HISTORY)
    assert [len(one) for one in rows["prototype"].to_pylist()] == [5] * 4
    found = AttentionHistory.read(tmp_path / "run").attention_KV
    assert ((~np.isnan(found)).sum(axis=1) == 5).all()
    assert np.nanmin(found[-1]) > (1 - np.nansum(found[-1])) / 15, "a prototype that is left out is attended less"


def damaged(column: str, value: list, kind: pa.DataType) -> pa.Table:
    rows = {
        "step": pa.array([3]), "windows": pa.array([2]), "effective": pa.array([[2.0]]), "top_share": pa.array([[0.5]]),
        "prototype": pa.array([[0, 1]]), "attention": pa.array([[0.5, 0.5]]),
    }  # fmt: skip
    return pa.table(rows | {column: pa.array([value], kind)})


@pytest.mark.parametrize(
    ("column", "value", "kind"),
    [
        ("prototype", [0, 99_999_999], pa.list_(pa.int64())),
        ("prototype", [0, -1], pa.list_(pa.int64())),
        ("attention", [0.5], pa.list_(pa.float32())),
        ("effective", ["two"], pa.list_(pa.string())),
    ],
)
def test_history_that_is_damaged_is_refused(tmp_path, column, value, kind):
    write_parquet(tmp_path / ATTENTION_HISTORY, damaged(column, value, kind))
    with pytest.raises(CheckpointError, match=r"attention_history.parquet is damaged .* start the run again"):
        AttentionHistory.read(tmp_path)
