"""Run folders that were damaged or changed are refused, wherever they are used, with what, where and what to do."""

from __future__ import annotations

import json
import pickle
import random
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import timellm
from tests.conftest import SMALL
from timellm.cli import main
from timellm.errors import CheckpointError
from timellm.explain.attention import attention_map
from timellm.forecasting.artifacts import RunFolder
from timellm.pipeline import evaluate
from timellm.training.checkpoint import ADAPTER, CONFIG, read_adapter
from timellm.training.state import STATE
from timellm.training.tensorfile import read_tensors


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


@pytest.mark.parametrize("name", [ADAPTER, STATE, "prototypes.safetensors"])
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
        facts = json.loads((folder / name).read_text())
        facts["mean"][0] += 1
        (folder / name).write_text(json.dumps(facts))
    elif name == "table.json":
        facts = json.loads((folder / name).read_text()) | {"frequency": "D"}
        (folder / name).write_text(json.dumps(facts))
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


@pytest.mark.parametrize("name", ["table.parquet", "future.parquet", "test_forecasts.parquet"])
def test_flipped_bit_in_a_table_changes_no_value_unnoticed(folder, name):
    read = {"table.parquet": "table", "future.parquet": "future", "test_forecasts.parquet": "test_forecasts"}[name]
    path, draw, found = folder / name, random.Random(name), 0
    whole = path.read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little")
    for _ in range(40):
        flipped(path, draw.randrange(4, len(whole) - 8 - footer), draw.randrange(8))
        try:
            getattr(RunFolder(folder), read)()
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
