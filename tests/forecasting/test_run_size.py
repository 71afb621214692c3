"""A run with default settings is small on disk: it holds what was trained and what came of it, never the backbone."""

from __future__ import annotations

import numpy as np
import pandas as pd

from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.samples import find_sample
from timellm.data.table import load_table
from timellm.forecasters.time_llm.backbone import load_backbone
from timellm.forecasters.time_llm.forecaster import TimeLLMForecaster
from timellm.forecasters.time_llm.network import TimeLLM
from timellm.forecasting.artifacts import RunFolder
from timellm.training.checkpoint import save_adapter, save_config

LIMIT_BYTES = 10_000_000


def test_default_run_of_a_bundled_sample_takes_less_than_ten_megabytes(tmp_path):
    """Everything of a run that has a size of its own, with noise for forecasts: nothing is harder to compress."""
    config = RunConfig.create(find_sample("melbourne-pedestrians").path)
    table = load_table(config.data)
    prepared = PreparedData.of(table, config)
    folder, noise = RunFolder(tmp_path), np.random.default_rng(0)
    save_config(tmp_path, config)
    folder.save_table(table)
    folder.save_scaler(prepared.scaler)
    index = prepared.windows("test")
    forecast = noise.normal(size=(len(index), config.model.horizon))
    with folder.writing_test_forecasts(prepared) as writer:
        writer.write(index, forecast)
    steps = table.future_index(config.model.horizon)
    folder.save_future(pd.DataFrame({"unique_id": "Town Hall", "ds": steps, "yhat": noise.normal(size=len(steps))}))
    network = TimeLLM(config.model, backbone=load_backbone(config.model, device="cpu"), description="Footfall.")
    save_adapter(tmp_path, network)
    TimeLLMForecaster(network, config).write_extras(tmp_path)

    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    trained = sum(tensor.numel() for tensor in network.state_dict().values())
    assert sizes["adapter.safetensors"] < 4 * trained + 10_000, "nothing but what trains is saved"
    assert sum(sizes.values()) < LIMIT_BYTES, sizes
