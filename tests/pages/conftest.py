"""Every screen without a browser: a workspace in a temporary folder, and runs in it that no training had to make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import streamlit as st
import torch
from safetensors.torch import save_file
from streamlit.testing.v1 import AppTest

from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.table import load_table
from timellm.data.uploads import save_upload
from timellm.data.windows import WindowIndex
from timellm.files.sealed import write_sealed_json
from timellm.files.tensorfile import write_tensors
from timellm.forecasters.protocol import FitJob, ignore_batch
from timellm.forecasters.ridge.forecaster import Ridge
from timellm.forecasters.time_llm.kept import LINEAR_PATH, PROTOTYPES, WORDS, path_config
from timellm.forecasters.time_llm.patching import PatchEmbedding
from timellm.forecasters.time_llm.reprogramming import Reprogramming
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.calibration import measure_bands
from timellm.forecasting.quick import QuickForecasters
from timellm.forecasting.scoring import ScoredModels, score_test_part
from timellm.jobs.store.process import this_process
from timellm.jobs.store.run import Run
from timellm.jobs.store.run_store import Store
from timellm.training.checkpoint import save_config
from timellm.workspace import PROJECT, workspace

FRAME = PROJECT / "pages" / "frame.py"
_PROTOTYPES, _WIDTH = 24, 32


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty workspace; nothing cached from another test."""
    monkeypatch.setenv("TIMELLM_HOME", str(tmp_path))
    # A look at the page sees to a runner while runs wait; no test of a page wants a process that takes them.
    monkeypatch.setattr("timellm.jobs.local.launcher.start_runner", lambda store: this_process())
    st.cache_resource.clear()
    st.cache_data.clear()
    return tmp_path


@pytest.fixture
def open_page() -> Callable[..., AppTest]:
    """Open a screen by its file name, with ids in the URL."""

    def open_one(page: str, **ids: str) -> AppTest:
        app = AppTest.from_file(str(FRAME), default_timeout=60)
        for name, value in ids.items():
            app.query_params[name] = value
        app.run()
        if page != "overview":
            app.switch_page(f"{page}.py").run()
        return app

    return open_one


def hourly_csv(rows: int = 400, missing: int = 0) -> bytes:
    """A wide table of two hourly channels with a daily season."""
    hours = np.arange(rows)
    frame = pd.DataFrame(
        {
            "date": pd.date_range("2024-01-01", periods=rows, freq="h"),
            "load": 50 + 10 * np.sin(hours * 2 * np.pi / 24),
            "price": 20 + 3 * np.cos(hours * 2 * np.pi / 24) + hours / 100,
        }
    )
    frame.loc[10 : 10 + missing - 1, "price"] = np.nan
    return frame.to_csv(index=False).encode()


@pytest.fixture(name="hourly_csv")
def hourly_csv_fixture() -> Callable[..., bytes]:
    """Writes such tables."""
    return hourly_csv


@pytest.fixture
def table_id(home: Path) -> str:
    """The id of a table that was brought in."""
    return save_upload("Plant load.csv", content=hourly_csv()).name


@pytest.fixture
def store(home: Path) -> Store:
    """The store of the test's workspace."""
    return Store.open(workspace())


def config_for(table_id: str) -> RunConfig:
    """A small run on the table."""
    return RunConfig.create(
        workspace().uploads / table_id,
        context=48,
        horizon=12,
        steps=20,
        d_model=8,
        d_ff=4,
        heads=2,
        prototypes=_PROTOTYPES,
    )


@pytest.fixture
def queued(table_id: str, store: Store) -> Run:
    """A run that waits."""
    return store.create_run(config_for(table_id), name="Waiting run")


@pytest.fixture
def failed(table_id: str, store: Store) -> Run:
    """A run that failed."""
    run = store.create_run(config_for(table_id), name="Failed run")
    return store.finish(run.id, "failed", error="the backbone 'nowhere/none' cannot be had: no connection")


@pytest.fixture
def finished(table_id: str, store: Store) -> Run:
    """A finished run with every artefact, made from random weights and a forecast better than the last value."""
    run = store.create_run(config_for(table_id), name="Finished run")
    fill(RunFolder(run.run_dir), run.config)
    summary = {"skill": 0.25, "verdict": "better", "best_step": 20, "steps": 20}
    return store.finish(run.id, "finished", summary=summary)


@pytest.fixture
def stopped(table_id: str, store: Store) -> Run:
    """A run that was stopped when it had something to keep."""
    run = store.create_run(config_for(table_id), name="Stopped run")
    fill(RunFolder(run.run_dir), run.config)
    return store.finish(run.id, "stopped", summary={"skill": -0.1})


class HalfTooHigh:
    """Stands for a trained network: it is wrong by half a unit everywhere."""

    name = "Time-LLM"

    def predict(self, prepared: PreparedData, index: WindowIndex, *, on_batch=ignore_batch) -> np.ndarray:
        rows = index.origin[:, None] + np.arange(prepared.horizon)
        return prepared.values[rows, index.channel[:, None]] + 0.5


def fill(folder: RunFolder, config: RunConfig) -> None:
    """Write a run folder as the pipeline does, without a backbone."""
    table = load_table(config.data)
    prepared = PreparedData.of(table, config)
    save_config(folder.path, config)
    folder.save_table(table)
    folder.save_scaler(prepared.scaler)
    own = HalfTooHigh()
    quick = QuickForecasters.fit(prepared, folder.path)
    score_test_part(ScoredModels(own, quick.rows), prepared, folder)
    measure_bands(ScoredModels(own, quick.rows), prepared, folder)
    ahead = table.future_index(config.model.horizon)
    future = [
        pd.DataFrame({"unique_id": name, "ds": ahead, "yhat": 1.0 + np.arange(len(ahead))}) for name in table.channels
    ]
    folder.save_future(pd.concat(future, ignore_index=True))
    Ridge.fit(prepared, FitJob(path_config(config), folder.path), file=LINEAR_PATH)
    _write_adapter(folder, config)


def _write_adapter(folder: RunFolder, config: RunConfig) -> None:
    torch.manual_seed(0)
    model = config.model
    embedding = PatchEmbedding(patch_length=model.patch_length, stride=model.stride, d_model=model.d_model, dropout=0.0)
    attention = Reprogramming(
        d_model=model.d_model,
        heads=model.heads,
        keys=model.d_ff,
        width=_WIDTH,
        dropout=0.0,
        cosine=model.attention_scores == "cosine",
    )
    tensors = {f"patch_embedding.{name}": tensor for name, tensor in embedding.state_dict().items()}
    tensors |= {f"reprogramming.{name}": tensor for name, tensor in attention.state_dict().items()}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder.path / "adapter.safetensors")
    facts = {"of": "prototypes"}
    write_tensors(folder.path / PROTOTYPES, {"prototypes": torch.randn(_PROTOTYPES, _WIDTH)}, facts=facts)
    write_sealed_json(folder.path / WORDS, [["price", "cost", f"word{i}"] for i in range(_PROTOTYPES)])
