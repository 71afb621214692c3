"""DeepSpeed by configuration file: what is refused, and, where it is installed, that two processes train as one."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import timellm
from tests.conftest import SMALL
from timellm.errors import ConfigError
from timellm.forecasting.artifacts import RunFolder
from timellm.training import zero
from timellm.training.checkpoint import ADAPTER
from timellm.training.zero import deepspeed_plugin, read_deepspeed

ROOT = Path(__file__).resolve().parents[2]
ZERO_2 = {"zero_optimization": {"stage": 2, "reduce_bucket_size": "auto"}, "train_batch_size": "auto"}


def write(folder: Path, content: object) -> Path:
    path = folder / "deepspeed.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read"),
        ([], "holds no JSON object"),
        ({"zero_optimization": {"stage": 3}}, "sets ZeRO stage 3"),
        ({"zero_optimization": {"stage": 2, "offload_optimizer": {"device": "cpu"}}}, "sets 'offload_optimizer'"),
        ({"fp16": {"enabled": True}}, "enables 'fp16', but the trained parts stay float32"),
        ({"bf16": {"enabled": True}}, "enables 'bf16'"),
        ({"optimizer": {"type": "Adam"}}, "sets 'optimizer', which setting 'optimizer' of the run decides"),
        ({"train_batch_size": 64}, "sets 'train_batch_size', which setting 'batch_size' of the run decides"),
        ({"gradient_clipping": 0.5}, "which setting 'clip_norm' of the run decides"),
    ],
)
def test_file_that_contradicts_the_run_is_refused(tmp_path, content, said):
    with pytest.raises(ConfigError, match=said):
        read_deepspeed(write(tmp_path, content))


def test_file_that_is_not_there_is_refused_before_anything_is_read(small_config, tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere.json cannot be read"):
        timellm.fit(small_config.updated(deepspeed=str(tmp_path / "nowhere.json")), run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_is_automatic_is_left_to_the_run(tmp_path):
    assert read_deepspeed(write(tmp_path, ZERO_2 | {"fp16": {"enabled": "auto"}})) == {
        "zero_optimization": {"stage": 2}
    }


def test_missing_package_is_named_with_its_command(tmp_path, monkeypatch):
    monkeypatch.setattr(zero.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="not installed; install it with pip install deepspeed=="):
        deepspeed_plugin(write(tmp_path, ZERO_2), device=torch.device("cpu"), clip_norm=1.0)


WORKER = """
import json, os, sys
import timellm
from timellm.training import state

state.StateFile.due = lambda _: True
for case in sys.argv[1:]:
    case = json.loads(case)
    def on_progress(progress):
        if case.get("die_at") == progress.done and progress.phase == "training":
            os._exit(9)
    timellm.fit(timellm.RunConfig.from_dict(case["config"]), run_dir=case["run_dir"], on_progress=on_progress)
"""


@pytest.mark.skipif(
    importlib.util.find_spec("deepspeed") is None,
    reason="needs DeepSpeed (requirements-deepspeed.txt), a large package",
)
def test_two_processes_with_zero_2_learn_what_one_learns_and_go_on_to_the_same_weights(
    hourly_csv, tiny_backbone, tmp_path
):
    settings = {
        "backbone": str(tiny_backbone), **SMALL, "steps": 12, "validations": 3, "learning_rate": 1e-3,
        "backbone_dtype": "float32", "device": "cpu", "batch_size": 7, "accumulation": 3, "dropout": 0.0,
    }  # fmt: skip
    one = timellm.RunConfig.create(hourly_csv, **settings)
    two = one.updated(deepspeed=str(write(tmp_path, ZERO_2)))
    random = two.updated(dropout=0.2)

    def torchrun(*cases: dict) -> subprocess.CompletedProcess:
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "--no-python"]
        return subprocess.run(
            [sys.executable, *launcher, sys.executable, "-c", WORKER, *map(json.dumps, cases)],
            cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        )  # fmt: skip

    done = torchrun(
        {"config": two.to_dict(), "run_dir": str(tmp_path / "two")},
        {"config": random.to_dict(), "run_dir": str(tmp_path / "whole")},
        {"config": random.to_dict(), "run_dir": str(tmp_path / "cut"), "die_at": 7},
    )
    assert done.returncode != 0, "the last run was to die"
    timellm.fit(one, run_dir=tmp_path / "one")
    ours, theirs = RunFolder(tmp_path / "two").summary(), RunFolder(tmp_path / "one").summary()
    assert (ours["processes"], ours["steps"]) == (2, 12)
    assert ours["best_validation_loss"] == pytest.approx(theirs["best_validation_loss"], rel=1e-4)
    assert torchrun({"config": random.to_dict(), "run_dir": str(tmp_path / "cut")}).returncode == 0
    left, right = load_file(tmp_path / "cut" / ADAPTER), load_file(tmp_path / "whole" / ADAPTER)
    assert all(torch.equal(left[name], right[name]) for name in right)
