"""A small run whose language model does the work, trained once, and copies of it that were tampered with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import timellm
from tests.conftest import SMALL
from timellm.config import RunConfig
from timellm.files.tensorfile import read_tensors, write_tensors
from timellm.forecasters.time_llm.kept import PROTOTYPES


@pytest.fixture(scope="session")
def trained_run(hourly_csv, tiny_backbone, tmp_path_factory) -> Path:
    """The folder of a run that has learned the daily rhythm through its attention."""
    folder = tmp_path_factory.mktemp("explained") / "run"
    changes = {"steps": 80, "prototypes": 60, "learning_rate": 0.01}
    timellm.fit(RunConfig.create(hourly_csv, backbone=str(tiny_backbone), **SMALL | changes), run_dir=folder)
    return folder


@pytest.fixture
def shuffled(trained_run, tmp_path) -> Callable[..., Path]:
    """Makes copies of the run in which the rows of prototypes in some files are shuffled."""

    def make(*files: str, seed: int = 0) -> Path:
        folder = tmp_path / "-".join([str(seed), *(Path(name).stem for name in files)])
        shutil.copytree(trained_run, folder)
        for name in files:
            tensors, facts = read_tensors(folder / name, remedy="")
            key = "prototypes" if name == PROTOTYPES else "prototypes.weight"
            order = torch.randperm(len(tensors[key]), generator=torch.Generator().manual_seed(seed))
            write_tensors(folder / name, tensors | {key: tensors[key][order].contiguous()}, facts=facts)
        return folder

    return make
