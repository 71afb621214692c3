"""The count of a run's memory is held against autograd, against the real network, and against fresh processes."""

import subprocess
import sys

import pytest
import torch

from timellm.config import RunConfig
from timellm.forecasters.time_llm.backbone import load_backbone
from timellm.forecasters.time_llm.catalog import is_ready
from timellm.forecasters.time_llm.network import TimeLLM
from timellm.forecasters.time_llm.shape import backbone_shape
from timellm.sizing.activations import PassCount
from timellm.sizing.memory import memory_need, prompt_tokens, trained_weights
from timellm.sizing.table import TableSize, scoring_bytes
from timellm.sizing.table import test_windows as count_test_windows
from timellm.workspace import PROJECT

ARCHITECTURES = ("llama", "qwen2", "gpt2", "bert")
DESCRIPTION = "Hourly load of a power plant in kilowatts, measured at two generators since the first of January 2024."


def config_for(backbone, **settings) -> RunConfig:
    """Sizes at which every tensor that is kept shows."""
    usual = {"layers": 3, "context": 96, "horizon": 24, "d_model": 16, "d_ff": 8, "heads": 2, "prototypes": 40}
    return RunConfig.create("table.csv", backbone=str(backbone), description=DESCRIPTION, **usual | settings)


def network_for(config) -> TimeLLM:
    backbone = load_backbone(config.model, device="cpu")
    return TimeLLM(config.model, backbone=backbone, description=config.data.description)


def kept_by_autograd(network, windows: int) -> float:
    """MiB that a forward pass saves for its backward pass, weights left out."""
    backbone = network.reader.backbone.model
    lasting = {
        tensor.untyped_storage().data_ptr()
        for tensor in (*network.parameters(), *backbone.parameters(), *backbone.buffers())
    }
    saved: dict[int, torch.Tensor] = {}

    def keep(tensor):
        if tensor.untyped_storage().data_ptr() not in lasting:
            saved[tensor.untyped_storage().data_ptr()] = tensor  # held, so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network.train()(torch.randn(windows, network.config.context))
    return sum(tensor.untyped_storage().nbytes() for tensor in saved.values()) / 2**20


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_count_of_what_is_kept_is_what_autograd_saves(backbones, architecture, dtype):
    # A long context and a short text, because with a tokenizer of letters the attention to them would drown the rest.
    config = config_for(backbones[architecture], backbone_dtype=dtype, context=400).updated(description="x")
    network, windows = network_for(config), 12
    ids = network.reader.backbone.token_ids(network.template.texts(torch.randn(windows, 400)))
    shared = len(network.reader.shared_ids)
    shape, number_bytes = backbone_shape(config.model.backbone), 2 if dtype == "bfloat16" else 4
    count = PassCount(config.model, shape, number_bytes, shared, max(map(len, ids)) - shared)
    counted = count.kept(windows) + count.prompt_cache(windows)
    assert counted == pytest.approx(kept_by_autograd(network, windows), rel=0.05)


@pytest.mark.parametrize("source", ["direct", "map"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_count_of_trained_weights_is_the_networks(backbones, architecture, source):
    config = config_for(backbones[architecture], prototype_source=source)
    trained = sum(weight.numel() for weight in network_for(config).parameters())
    assert trained_weights(config.model, backbone_shape(config.model.backbone)) == trained


@pytest.mark.parametrize("style", [{}, {"prompt_style": "paper", "statistic_digits": 0, "lags": "circular"}])
@pytest.mark.parametrize("backbone", ["smollm2-135m", "all-minilm-l6-v2"])
def test_prompt_has_about_the_tokens_that_are_counted_without_its_tokenizer(backbone, style):
    if not is_ready(backbone):
        pytest.skip(f"{backbone} has not been fetched here")
    config = config_for(backbone, layers=1, context=168, **style)
    network = network_for(config)
    windows = torch.randn(8, 168, generator=torch.Generator().manual_seed(1))
    real = max(map(len, network.reader.backbone.token_ids(network.template.texts(windows))))
    assert sum(prompt_tokens(config, backbone_shape(backbone))) == pytest.approx(real, rel=0.15)


@pytest.mark.parametrize("backbone", [name for name in ("smollm2-135m", "all-minilm-l6-v2") if is_ready(name)])
def test_words_on_time_are_counted_in_the_prompt(backbone):
    told = {"prompt_calendar": True, "dated_notes": "2016-12-26 Boxing Day sales in all the large shops of the city"}
    lengths = []
    for settings in ({}, told):
        config = config_for(backbone, layers=1, **settings)
        counted = sum(prompt_tokens(config, backbone_shape(backbone)))
        assert counted == pytest.approx(network_for(config).reader.longest, rel=0.2)
        lengths.append(counted)
    assert lengths[1] > lengths[0] + 20


def test_accumulation_and_checkpointing_lower_the_activations_alone(backbones):
    shape, table = backbone_shape(str(backbones["llama"])), TableSize(2000, 3)

    def need(**settings):
        config = config_for(backbones["llama"], batch_size=2048, context=960, **settings)
        return memory_need(config, shape, table, process_mib=400, dtype="float32")

    whole = need()
    for changed in (need(accumulation=4), need(gradient_checkpointing=True)):
        assert changed.activations + changed.prompt < 0.65 * (whole.activations + whole.prompt)
        assert changed.layers == whole.layers
        assert changed.adapters == whole.adapters


@pytest.mark.parametrize(("quantization", "share"), [("8bit", 0.5), ("4bit", 0.26)])
def test_quantization_lowers_the_layers_alone(quantization, share):
    shape, table = backbone_shape("huggyllama/llama-7b"), TableSize(2000, 3)
    plain, stored = (
        memory_need(config_for("huggyllama/llama-7b", quantization=one), shape, table, process_mib=0, dtype="bfloat16")
        for one in ("none", quantization)
    )
    assert stored.layers / plain.layers == pytest.approx(share, abs=0.01)
    assert stored.embeddings == plain.embeddings


def test_test_windows_are_those_of_the_test_part():
    config = config_for("x", split="100/50/60")
    assert count_test_windows(config, TableSize(210, 3)) == 3 * (60 - 24 + 1)
    assert count_test_windows(config.updated(channels=["a"]), TableSize(210, 3)) == 60 - 24 + 1
    assert count_test_windows(config, TableSize(0, 0)) == 0


_SCORING = """
import ctypes, gc, sys, tempfile
from pathlib import Path
import numpy as np, pandas as pd
from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.table import Table
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.quick import QuickForecasters
from timellm.forecasting.scoring import ScoredModels, score_test_part
from timellm.training.allocator import keep_freed_memory

class Ones:
    name = "Time-LLM"

    def predict(self, prepared, index, *, on_batch):
        return np.ones((len(index), prepared.horizon))

def resident(what):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))

def scored(rows):
    values = np.random.default_rng(0).normal(size=(rows, channels))
    index = pd.date_range("2000", periods=rows, freq="h", name="ds")
    names = [f"c{number}" for number in range(channels)]
    table = Table(pd.DataFrame(values, index=index, columns=names), "h", "ds", "wide", ())
    prepared = PreparedData.of(table, RunConfig.create("x.csv", context=48, horizon=96))
    folder = RunFolder(Path(tempfile.mkdtemp(dir=sys.argv[1])))
    quick = QuickForecasters.fit(prepared, folder.path)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # otherwise what was freed before is used again, now more, now less
    before = resident("VmRSS")
    open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
    score_test_part(ScoredModels(Ones(), quick.rows), prepared, folder)
    return len(prepared.windows("test")), resident("VmHWM") - before

channels = int(sys.argv[2])
keep_freed_memory()
import statsmodels.tsa.stattools  # loaded for the first test of significance, which so few rows do not reach
scored(1500)  # what the libraries take for themselves
print(*scored(int(sys.argv[3])))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak from /proc")
@pytest.mark.parametrize(("rows", "channels"), [(20_475, 10), (200_475, 1)])
def test_scoring_takes_about_the_memory_that_is_counted(rows, channels, tmp_path):
    program = [sys.executable, "-c", _SCORING, str(tmp_path), str(channels), str(rows)]
    said = subprocess.run(program, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split()
    windows, measured = int(said[0]), float(said[1])
    config = config_for("x", context=48, horizon=96, prototypes=40)
    table = TableSize(rows, channels)
    assert windows == count_test_windows(config, table) >= 20_000
    counted = scoring_bytes(config, table) / 2**20
    assert counted == pytest.approx(measured, rel=0.25)
