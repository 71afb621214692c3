"""Every kind of backbone through a whole run: trained, saved, loaded again; and code that a backbone brings along."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from transformers import AutoTokenizer

import timellm
from tests.conftest import make_backbone
from timellm.cli import main
from timellm.config import ModelConfig
from timellm.errors import BackboneError
from timellm.forecasters.time_llm.backbone import load_backbone
from timellm.forecasting.artifacts import RunFolder
from timellm.training.checkpoint import read_adapter

ARCHITECTURES = ("llama", "qwen2", "gpt2", "bert")
FEW = {"steps": 3, "validations": 1}


def fit_and_load(config: timellm.RunConfig, run_dir: Path) -> timellm.Forecaster:
    """Train, and load what was saved; what it forecasts is what the run has kept."""
    timellm.fit(config, run_dir=run_dir)
    forecaster = timellm.Forecaster.load(run_dir)
    kept = RunFolder(run_dir).future()
    again = forecaster.forecast()
    np.testing.assert_array_equal(again["yhat"].to_numpy(np.float32), kept["yhat"].to_numpy(np.float32))
    assert np.isfinite(again["yhat"]).all()
    return forecaster


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_architecture_is_trained_and_loaded_again(small_config, tmp_path, architecture, tied):
    folder = make_backbone(tmp_path / architecture, architecture, tie_word_embeddings=tied)
    config = small_config.updated(backbone=str(folder), **FEW)
    backbone = fit_and_load(config, tmp_path / "run").forecaster.network.reader.backbone
    assert backbone.model.config.model_type == architecture
    assert backbone.model.config.tie_word_embeddings is tied
    assert backbone.causal == (architecture != "bert")


@pytest.mark.parametrize("name", ["smollm2-135m", "all-minilm-l6-v2"])
def test_real_backbone_is_trained_and_loaded_again(small_config, tmp_path, name):
    config = small_config.updated(backbone=name, batch_size=4, validation_windows=8, channels=["load"], **FEW)
    fit_and_load(config, tmp_path / "run")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_training_moves_the_adapters_of_every_architecture(small_config, backbones, tmp_path, architecture):
    timellm.fit(small_config.updated(backbone=str(backbones[architecture]), **FEW), run_dir=tmp_path / "run")
    trained = read_adapter(tmp_path / "run")
    forecaster = timellm.Forecaster.load(tmp_path / "run")
    torch.manual_seed(forecaster.config.trained.seed)
    fresh = type(forecaster.forecaster.network)(
        forecaster.config.model,
        backbone=forecaster.forecaster.network.reader.backbone,
        description=forecaster.config.data.description,
    )
    for name, tensor in fresh.state_dict().items():
        assert not torch.equal(tensor, trained[name]), f"{name} is as it was before training"


def test_tokenizer_without_pad_token_pads_with_what_is_masked(small_config, backbones, tmp_path):
    folder = backbones["llama"]
    assert AutoTokenizer.from_pretrained(folder).pad_token is None
    network = fit_and_load(small_config.updated(**FEW), tmp_path / "run").forecaster.network
    generator = torch.Generator().manual_seed(1)
    windows = torch.randn(6, 48, generator=generator).cumsum(1) * torch.logspace(-3, 3, 6)[:, None]
    lengths = {len(ids) for ids in network.reader.backbone.token_ids(network.template.texts(windows))}
    assert len(lengths) > 1, "prompts of one length need no padding"
    expected = forecasts_padded_with(network, network.reader.backbone.pad_token_id, windows)
    np.testing.assert_array_equal(forecasts_padded_with(network, 7, windows), expected)


def forecasts_padded_with(network, token: int, windows: torch.Tensor) -> np.ndarray:
    backbone = network.reader.backbone
    object.__setattr__(backbone, "pad_token_id", token)
    with torch.no_grad():
        return network.eval()(windows).numpy()


def test_prompt_beyond_the_positions_is_refused_before_anything_trains(small_config, backbones, tmp_path):
    config = small_config.updated(backbone=str(backbones["bert"]), description="load " * 500)
    reports = []
    with pytest.raises(
        BackboneError, match=r"reads at most 512 tokens, .*: \d+ too many\. Shorten 'description', lower 'context'"
    ):
        timellm.fit(config, run_dir=tmp_path / "run", on_progress=reports.append)
    assert {report.phase for report in reports} <= {"loading"}
    assert not (tmp_path / "run").exists()


def test_command_line_refuses_a_prompt_beyond_the_positions_in_one_line(hourly_csv, backbones, tmp_path, capsys):
    settings = {"backbone": backbones["bert"], "layers": 2, "context": 48, "horizon": 12, "description": "load " * 500}
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    assert main(["fit", str(hourly_csv), "--run-dir", str(tmp_path / "run"), *words]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ") and "too many. Shorten 'description'" in error
    assert not (tmp_path / "run").exists()


def test_patches_count_among_the_positions(tmp_path, backbones):
    backbone = load_backbone(ModelConfig(backbone=str(backbones["bert"]), layers=2), device="cpu")
    backbone.check_length(500, patches=12)
    with pytest.raises(BackboneError, match="a prompt has 500 and the window 14 patches: 2 too many"):
        backbone.check_length(500, patches=14)


@pytest.fixture
def bringing_code(tmp_path, monkeypatch) -> tuple[Path, Path]:
    """A backbone whose folder holds Python code of its own, and the file which that code writes when it runs."""
    monkeypatch.setattr(transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder, marker = make_backbone(tmp_path / "own", "llama"), tmp_path / "it-ran"
    (folder / "own.py").write_text(
        "from pathlib import Path\n"
        "from transformers import LlamaConfig, LlamaModel\n"
        f"Path({str(marker)!r}).write_text('yes')\n"
        "class OwnConfig(LlamaConfig):\n"
        "    model_type = 'own'\n"
        "class OwnModel(LlamaModel):\n"
        "    config_class = OwnConfig\n"
    )
    settings = json.loads((folder / "config.json").read_text())
    settings |= {"model_type": "own", "auto_map": {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}}
    (folder / "config.json").write_text(json.dumps(settings))
    return folder, marker


def test_code_that_ships_with_a_backbone_is_not_run(bringing_code):
    folder, marker = bringing_code
    with pytest.raises(
        BackboneError, match=r"brings Python code of its own: set 'trust_remote_code' .* only if you trust"
    ):
        load_backbone(ModelConfig(backbone=str(folder), layers=2), device="cpu")
    assert not marker.exists()


def test_code_runs_for_a_run_that_trusts_it_and_not_for_who_is_handed_the_run(small_config, bringing_code, tmp_path):
    folder, marker = bringing_code
    timellm.fit(small_config.updated(backbone=str(folder), trust_remote_code=True, **FEW), run_dir=tmp_path / "run")
    assert marker.exists()
    marker.unlink()
    with pytest.raises(BackboneError, match="brings Python code of its own"):
        timellm.Forecaster.load(tmp_path / "run")
    assert not marker.exists()
    kept = RunFolder(tmp_path / "run").future()["yhat"].to_numpy(np.float32)
    trusting = timellm.Forecaster.load(tmp_path / "run", trust_remote_code=True)
    np.testing.assert_array_equal(trusting.forecast()["yhat"].to_numpy(np.float32), kept)
