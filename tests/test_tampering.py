"""Run folders that were damaged or changed are refused, wherever they are used, with what, where and what to do."""

from __future__ import annotations

import contextlib
import json
import pickle
import random
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

import timellm
from tests.conftest import SMALL
from tests.kept_forecasts import kept_forecasts
from timellm.cli import main
from timellm.errors import CheckpointError
from timellm.evaluation.comparisons import COMPARISONS
from timellm.evaluation.coverage import COVERAGE
from timellm.evaluation.window_errors import WINDOW_ERRORS, read_window_errors
from timellm.explain.attention import attention_map
from timellm.files import parquetfile
from timellm.files.parquetfile import read_parquet, write_parquet
from timellm.files.parquetfooter import declared_values
from timellm.files.sealed import KEY, read_sealed_json, write_sealed_json
from timellm.files.tensorfile import read_tensors
from timellm.forecasters.time_llm.attention_history import ATTENTION_HISTORY, AttentionHistory
from timellm.forecasters.time_llm.kept import DICTIONARY, START
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.bands import INTERVALS
from timellm.forecasting.validation import BASELINES, WINDOWS, PinnedForecasts, read_baselines
from timellm.jobs.store.comparison import _read_scores
from timellm.pipeline import evaluate
from timellm.training.checkpoint import ADAPTER, CONFIG, read_adapter
from timellm.training.pinned import PINNED
from timellm.training.state import STATE


@pytest.fixture(scope="module")
def trained(tmp_path_factory, hourly_csv, tiny_backbone) -> Path:
    """A run that was stopped after its first validation: it forecasts, and it can go on."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    config = timellm.RunConfig.create(hourly_csv, backbone=str(tiny_backbone), **SMALL)
    seen = []
    timellm.fit(
        config, run_dir=folder, on_progress=lambda progress: seen.append(progress.validation_loss),
        should_stop=lambda: any(loss is not None for loss in seen),
    )  # fmt: skip
    return folder


@pytest.fixture
def folder(trained, tmp_path) -> Path:
    """A copy to be spoilt."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


class Trap:
    """Something that leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self):
        return Path.touch, (self._trace,)


def flipped(path: Path, at: int, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def used_for(folder: Path):
    """Every way in which trained weights are read."""
    return (
        lambda: timellm.Forecaster.load(folder),
        lambda: evaluate(folder),
        lambda: attention_map(folder, channel="load"),
    )


def assert_refused(folder: Path, match: str) -> None:
    for use in used_for(folder):
        with pytest.raises(CheckpointError, match=match) as caught:
            use()
        assert str(folder) in str(caught.value), "it does not say where"


def test_folder_that_nobody_touched_is_used(folder):
    assert len(timellm.Forecaster.load(folder).forecast()) == 24
    assert attention_map(folder, channel="load").words


@pytest.mark.parametrize("name", [ADAPTER, STATE, "prototypes.safetensors", START])
def test_single_flipped_bit_anywhere_in_a_file_of_tensors_is_found(folder, name):
    path, draw = folder / name, random.Random(name)
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    places = [draw.randrange(header) for _ in range(150)] + [draw.randrange(header, len(whole)) for _ in range(60)]
    for at in places:
        flipped(path, at, draw.randrange(8))
        with pytest.raises(CheckpointError, match="is damaged"):
            read_tensors(path, remedy="start again")
        path.write_bytes(whole)
    assert read_tensors(path, remedy="start again")


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, 0.999])
def test_adapter_that_is_cut_short_is_refused(folder, keep):
    data = (folder / ADAPTER).read_bytes()
    (folder / ADAPTER).write_bytes(data[: keep if keep > 1 else int(len(data) * keep)])
    assert_refused(folder, r"adapter\.safetensors is damaged .*; put back what was there, or train the run again")


def test_pickle_under_a_familiar_name_is_refused_unread(folder, tmp_path):
    trace = tmp_path / "trace"
    for write in (
        lambda path: path.write_bytes(pickle.dumps(Trap(trace))),
        lambda path: path.write_bytes(pickle.dumps({"weight": Trap(trace)}, protocol=2)),
        lambda path: torch.save({"weight": torch.ones(2), "trap": Trap(trace)}, path),
    ):
        for name in (ADAPTER, "prototypes.safetensors"):
            write(folder / name)
        assert_refused(folder, "is a pickle under a familiar name; reading it could run code, so it was not read")
        with pytest.raises(CheckpointError, match="is a pickle under a familiar name"):
            RunFolder(folder).prototypes()
    (folder / ADAPTER).unlink()
    torch.save({"trap": Trap(trace)}, folder / "adapter.pt")  # a name that nothing here reads
    assert_refused(folder, "holds no adapter.safetensors")
    assert not trace.exists()


@pytest.mark.parametrize(
    ("setting", "value"), [("horizon", 13), ("layers", 1), ("description", "other words"), ("learning_rate", 0.5)]
)
def test_changed_setting_is_named(folder, setting, value):
    config = RunFolder(folder).config().updated(**{setting: value})
    (folder / CONFIG).write_text(config.to_json())
    with pytest.raises(CheckpointError, match=rf"config\.json says {setting}={value!r}, but the weights were trained"):
        read_adapter(folder)
    with pytest.raises(CheckpointError, match="belongs to a training with other settings"):
        timellm.fit(config, run_dir=folder)


def test_run_whose_table_and_backbone_lie_elsewhere_today_is_used(folder, tmp_path, tiny_backbone):
    moved = shutil.copytree(tiny_backbone, tmp_path / "elsewhere" / tiny_backbone.name)
    config = RunFolder(folder).config().updated(path="/not/there.csv", backbone=str(moved), device="cpu")
    expected = timellm.Forecaster.load(folder).forecast()
    (folder / CONFIG).write_text(config.to_json())
    assert timellm.Forecaster.load(folder).forecast().equals(expected)


@pytest.mark.parametrize("name", ["table.parquet", "table.json", "scaler.json"])
def test_changed_companion_of_the_weights_is_named(folder, name):
    if name == "scaler.json":
        facts = read_sealed_json(folder / name)
        facts["mean"][0] += 1
        write_sealed_json(folder / name, facts)  # somebody who knows how: the weights know it all the same
    elif name == "table.json":
        write_sealed_json(folder / name, read_sealed_json(folder / name) | {"frequency": "D"})
    else:
        table = RunFolder(folder).table()
        table.values.iloc[5, 0] += 1
        RunFolder(folder).save_table(table)
    with pytest.raises(CheckpointError, match=f"{name} was changed after the weights were trained with it; put back"):
        read_adapter(folder)
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name} is missing, with which the weights were trained; put back"):
        read_adapter(folder)
    for use in used_for(folder):
        with pytest.raises(CheckpointError, match=r"has no (table|scaler) yet|is missing"):
            use()


@pytest.mark.parametrize("name", ["table.json", "scaler.json", "scores.json", "words.json", "summary.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"{}", b"null", b'{"mean": 1}', b"\xff\xfe"])
def test_file_of_facts_that_holds_something_else_is_refused(folder, name, content):
    read = {"words.json": "words", "table.json": "table", "scaler.json": "scaler", "scores.json": "scores"}
    (folder / name).write_bytes(content)
    try:
        getattr(RunFolder(folder), read.get(name, "summary"))()
    except CheckpointError as error:
        assert f"{name} is damaged" in str(error) or "the scores lack" in str(error)
    else:
        assert name in ("words.json", "summary.json"), "it was taken for what it is not"
        assert content in (b"[1]", b"{}", b'{"mean": 1}')


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("table.parquet", RunFolder.table),
        ("future.parquet", RunFolder.future),
        ("test_forecasts.parquet", RunFolder.run_forecasts),
    ],
)
def test_flipped_bit_in_a_table_changes_no_value_unnoticed(folder, name, read):
    path, draw, found = folder / name, random.Random(name), 0
    whole = path.read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little")
    for _ in range(40):
        flipped(path, draw.randrange(4, len(whole) - 8 - footer), draw.randrange(8))
        try:
            read(RunFolder(folder))
        except CheckpointError as error:
            assert "is damaged" in str(error)
            found += 1
        path.write_bytes(whole)
    assert found > 30, "pages are not checked"


def test_foreign_set_of_tensors_is_refused(folder):
    tensors = load_file(folder / ADAPTER)
    first, *rest = tensors
    for spoilt in (
        {name: tensors[name] for name in rest},
        tensors | {"more": torch.ones(2)},
        tensors | {first: tensors[first].double()[..., :1]},
        {"weight": torch.ones(2)},
    ):
        save_file({name: tensor.contiguous() for name, tensor in spoilt.items()}, folder / ADAPTER)
        with pytest.raises(CheckpointError, match=r"adapter\.safetensors does not fit its config\.json"):
            timellm.Forecaster.load(folder)


def test_resume_refuses_a_state_with_a_flipped_bit_or_another_table(folder, capsys):
    state = (folder / STATE).read_bytes()
    flipped(folder / STATE, len(state) - 5, 3)
    assert main(["resume", str(folder)]) == 2
    assert "is damaged" in capsys.readouterr().err
    (folder / STATE).write_bytes(pickle.dumps({"a": 1}))
    assert main(["resume", str(folder)]) == 2
    assert "is a pickle under a familiar name" in capsys.readouterr().err
    (folder / STATE).write_bytes(state)
    table = RunFolder(folder).table()
    table.values.iloc[5, 0] += 1
    RunFolder(folder).save_table(table)
    assert main(["resume", str(folder)]) == 2
    assert "table.parquet was changed after the weights were trained with it" in capsys.readouterr().err


RESULTS = {
    "table.parquet": lambda folder: RunFolder(folder).table().values.to_dict(),
    "table.json": lambda folder: str(RunFolder(folder).table()),
    "scaler.json": lambda folder: [array.tolist() for array in vars(RunFolder(folder).scaler()).values()],
    "test_forecasts.parquet": lambda folder: kept_forecasts(RunFolder(folder)).forecast["Time-LLM"].tolist(),
    "scores.json": lambda folder: json.dumps(RunFolder(folder).scores().to_dict()),
    COMPARISONS: lambda folder: RunFolder(folder).comparisons(),
    WINDOW_ERRORS: lambda folder: read_window_errors(folder / WINDOW_ERRORS, "mae").of("Time-LLM").total.tolist(),
    INTERVALS: lambda folder: RunFolder(folder).intervals().models["Time-LLM"].quantile_NSG.tolist(),
    COVERAGE: lambda folder: RunFolder(folder).coverage().to_dict(),
    "naive.json": lambda folder: sorted(RunFolder(folder).quick().rows),
    "future.parquet": lambda folder: RunFolder(folder).future().to_dict(),
    "words.json": lambda folder: RunFolder(folder).words(),
    DICTIONARY: lambda folder: RunFolder(folder).dictionary(),
    "summary.json": lambda folder: RunFolder(folder).summary(),
    BASELINES: read_baselines,
    ATTENTION_HISTORY: lambda folder: AttentionHistory.read(folder).attention_KV.tolist(),
    PINNED: lambda folder: [one.forecast_KH.tolist() for one in PinnedForecasts.read(folder).windows],
    WINDOWS: lambda folder: [one.measured.tolist() for one in PinnedForecasts.read(folder).windows],
}
"""Every file of a result, and what is read from it as something to compare."""


def without_seal(path: Path) -> None:
    """Write a file as an earlier version did."""
    if path.suffix == ".json":
        path.write_text(json.dumps(read_sealed_json(path)))
    else:
        pq.write_table(read_parquet(path), path, write_page_checksum=True)


def test_fit_leaves_no_result_without_a_digest(folder):
    others = {
        CONFIG,
        ADAPTER,
        STATE,
        START,
        "prototypes.safetensors",
        "ridge.safetensors",
    }
    left = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    assert left - others == set(RESULTS)
    for name in RESULTS:
        assert KEY.encode() in (folder / name).read_bytes(), name


@pytest.mark.parametrize("name", RESULTS)
def test_single_flipped_bit_anywhere_in_a_result_is_found(folder, name):
    path, draw = folder / name, random.Random(name)
    whole, read = path.read_bytes(), RESULTS[name]
    expected = repr(read(folder))
    seal = max(whole.rfind(KEY.encode()), 0) if path.suffix == ".parquet" else whole.find(KEY.encode())
    places = [draw.randrange(len(whole)) for _ in range(60)]
    places += [draw.randrange(len(whole) - 60, len(whole)) for _ in range(10)] + [draw.randrange(60) for _ in range(10)]
    for at, bit in [(at, draw.randrange(8)) for at in places] + [(seal + i, i % 8) for i in range(95)]:
        flipped(path, at, bit)
        try:
            found = repr(read(folder))
        except CheckpointError as error:
            assert "\n" not in str(error)
            assert str(folder.name) in str(error)
            assert (
                "start the run again" in str(error) or "evaluate the run again" in str(error) or "fit the" in str(error)
            )
        else:
            assert found == expected, f"bit {bit} of byte {at} changes the result unnoticed"
        path.write_bytes(whole)


@pytest.mark.parametrize("name", RESULTS)
def test_result_of_an_earlier_version_is_read_and_its_damage_is_one_kind_of_error(folder, name):
    path, draw, read = folder / name, random.Random(name), RESULTS[name]
    expected = repr(read(folder))
    without_seal(path)
    assert KEY.encode() not in path.read_bytes()
    assert repr(read(folder)) == expected
    whole = path.read_bytes()
    for _ in range(60):
        flipped(path, draw.randrange(len(whole)), draw.randrange(8))
        with contextlib.suppress(CheckpointError):
            read(folder)
        path.write_bytes(whole)


def test_damaged_scores_are_no_result_of_a_comparison(folder, tmp_path):
    scores = (folder / "scores.json").read_bytes()
    (folder / "scores.json").write_bytes(scores.replace(b'"mae": ', b'"mae": 1', 1))
    with pytest.raises(CheckpointError, match=r"scores\.json is damaged \(its content is not what was written"):
        _read_scores(folder / "scores.json")


@pytest.fixture
def little_room(monkeypatch):
    """A file may take a mebibyte in memory before it is looked at how far it shrinks."""
    monkeypatch.setattr(parquetfile, "_SHRINKS_FREELY", 2**20)


def test_parquet_that_declares_more_than_a_run_has_is_not_read(folder, little_room, monkeypatch):
    rows = 1_000_000
    pq.write_table(pa.table({"a": np.zeros(rows)}), folder / "bomb.parquet", row_group_size=rows)
    assert (folder / "bomb.parquet").stat().st_size < 2**13
    with monkeypatch.context() as no_reading:
        no_reading.setattr(parquetfile.pq, "read_table", None)  # nothing of it is decoded
        with pytest.raises(ValueError, match="declares 1,000,000 values, more than a run's would"):
            read_parquet(folder / "bomb.parquet")
        with pytest.raises(
            ValueError, match="declares 1,000,000 rows of 1,000,000 values, and this run's has at most 24"
        ):
            read_parquet(folder / "bomb.parquet", most_rows=24)
    for name in ("future.parquet", "table.parquet", PINNED, WINDOWS):
        whole = (folder / name).read_bytes()
        shutil.copy(folder / "bomb.parquet", folder / name)
        with pytest.raises(CheckpointError, match=r"it declares 1,000,000 rows|declares 1,000,000 values"):
            RESULTS[name](folder)
        (folder / name).write_bytes(whole)


def test_bounds_of_a_file_follow_from_the_runs_settings(folder):
    many = pa.table({"unique_id": ["load"] * 25, "ds": np.zeros(25, "datetime64[us]"), "yhat": np.zeros(25)})
    write_parquet(folder / "future.parquet", many)
    with pytest.raises(CheckpointError, match="it declares 25 rows of 75 values, and this run's has at most 24 rows"):
        RunFolder(folder).future()
    lists = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(1300, np.float32)), 13)
    windows = pa.table({"unique_id": ["load"] * 100, "origin": np.full(100, 300), "yhat": lists})
    write_parquet(folder / "test_forecasts.parquet", windows)
    with pytest.raises(CheckpointError, match="its forecasts are not of 12 steps"):
        kept_forecasts(RunFolder(folder))


def test_long_text_that_stands_in_every_row_is_not_written_out(tmp_path, little_room):
    long = pa.table({"unique_id": pa.array(["x" * 2**14] * 200)})
    pq.write_table(long, tmp_path / "long.parquet")
    with pytest.raises(ValueError, match="texts of column 'unique_id' would take 3,276,800 bytes"):
        read_parquet(tmp_path / "long.parquet")


def test_columns_that_are_all_the_same_can_be_read_again(tmp_path, little_room):
    same = pa.table({"a": np.zeros(2**18)})
    write_parquet(tmp_path / "a.parquet", same)
    assert read_parquet(tmp_path / "a.parquet").equals(same)


def test_values_in_lists_are_counted_from_the_footer_alone(folder, tmp_path):
    for name in ("test_forecasts.parquet", PINNED, WINDOWS, "table.parquet"):
        declared = pq.read_metadata(folder / name)
        counted = sum(
            declared.row_group(i).column(j).num_values
            for i in range(declared.num_row_groups)
            for j in range(declared.num_columns)
        )
        assert declared_values((folder / name).read_bytes()) == counted > 0
    one_list = pa.table({"y": pa.array([[0.0] * 500_000])})
    pq.write_table(one_list, tmp_path / "list.parquet")
    assert declared_values((tmp_path / "list.parquet").read_bytes()) == 500_000
    with pytest.raises(ValueError, match="declares 1 rows of 500,000 values, and this run's has at most 1,000 values"):
        read_parquet(tmp_path / "list.parquet", most_values=1000)
