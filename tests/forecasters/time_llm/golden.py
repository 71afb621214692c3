"""The published model's golden numbers, and ours on the same inputs.

    MKL_CBWR=COMPATIBLE python -m tests.forecasters.time_llm.golden FOLDER

writes ours for each architecture. It is a program, because which of two mirror lags (k, T-k) leads in the published
prompt is the rounding of the FFT: MKL has several, picks one by the processor, and can be told otherwise only before
it is first used. The golden prompts came out of the one that it uses on any processor without AVX2.

Windows are channel after channel, as the golden tensors [B, N, ...] are when their first two axes are one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from timellm.config import ModelConfig
from timellm.forecasters.time_llm.backbone import load_backbone
from timellm.forecasters.time_llm.network import TimeLLM
from timellm.forecasters.time_llm.patching import instance_norm

PARITY = Path(__file__).parent / "parity"
ARCHITECTURES = ("gpt2", "bert", "llama")
PUBLISHED_NAMES = {
    "prototypes.map": "mapping_layer",
    "head.linear": "output_projection.linear",
    "patch_embedding.convolution": "patch_embedding.value_embedding.tokenConv",
    "reprogramming.query": "reprogramming_layer.query_projection",
    "reprogramming.key": "reprogramming_layer.key_projection",
    "reprogramming.value": "reprogramming_layer.value_projection",
    "reprogramming.out": "reprogramming_layer.out_projection",
}


def published_name(name: str) -> str:
    """What the published code calls our adapter tensor `name`."""
    part, leaf = name.rsplit(".", 1)
    return f"{PUBLISHED_NAMES[part]}.{leaf}"


class Golden:
    """One architecture's golden numbers."""

    def __init__(self, architecture: str) -> None:
        self.folder = PARITY / architecture
        self.facts = json.loads((self.folder / "golden.json").read_text())
        self.tensors = load_file(self.folder / "golden.safetensors")
        self.prompts = [prompt for window in self.facts["prompts"] for prompt in window]
        self.token_ids = [ids for window in self.facts["prompt_token_ids"] for ids in window]

    def by_channel(self, name: str) -> torch.Tensor:
        """[B, L, N] -> [B * N, L]."""
        return self.tensors[name].transpose(1, 2).flatten(0, 1)

    def network(self, device: str = "cpu") -> TimeLLM:
        """Ours with the golden weights, in faithful mode."""
        config = ModelConfig(
            backbone=str(self.folder / "backbone"),
            layers=self.facts["backbone_layers_used"],
            backbone_dtype="float32",
            context=self.facts["context_length"],
            horizon=self.facts["horizon"],
            d_model=self.facts["d_model"],
            d_ff=self.facts["d_ff"],
            heads=self.facts["num_heads"],
            prototypes=self.facts["num_prototypes"],
            prototype_source="map",
            attention_scores="dot",
            linear_path="none",
            prompt_style="paper",
            statistic_digits=0,
            lags="circular",
            attention_dropout=self.facts["dropout"],
            round_patches=True,
        )
        backbone = load_backbone(config, device=device)
        network = TimeLLM(config, backbone=backbone, description=self.facts["dataset_description"]).eval()
        names = network.state_dict()
        network.load_state_dict({name: self.tensors[f"adapter.{published_name(name)}"] for name in names})
        return network


def ours(
    golden: Golden, *, device: str = "cpu", prompts: list[str] | None = None
) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    """Every golden tensor as we compute it, and our prompts, their token ids and our loss.

    Nothing golden is fed in, unless `prompts` are given in place of those that we write: their last digits and the lag
    that leads of a mirror pair are the rounding of the processor that summed them.
    """
    network = golden.network(device)
    if prompts is not None:
        network.template = _Told(prompts)
    windows_BT, target_BH = (golden.by_channel(name).to(device) for name in ("input.x", "input.target"))
    normed_BT, _, _ = instance_norm(windows_BT, as_published=True)
    prompts = network.template.texts(normed_BT)
    token_ids = network.reader.backbone.token_ids(prompts)
    tensors = {"prototypes": network.prototypes()}
    patches_BPM = network.patch_embedding(normed_BT)
    tensors["patch_embedding"] = patches_BPM
    tensors["attention"] = network.reprogramming.attention(patches_BPM, prototypes_VD=tensors["prototypes"])
    tensors["reprogrammed"] = network.reprogramming(patches_BPM, prototypes_VD=tensors["prototypes"])
    tensors["backbone_last_hidden_at_patches"] = network.reader(token_ids, patches_BPD=tensors["reprogrammed"])
    tensors["output.y"] = network(windows_BT)
    loss = torch.nn.functional.mse_loss(tensors["output.y"], target_BH)
    loss.backward()
    for name, parameter in network.named_parameters():
        tensors[f"grad.{published_name(name)}"] = parameter.grad
    facts = {"prompts": prompts, "token_ids": token_ids, "loss": loss.item()}
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, facts


class _Told:
    """Stands in for the template: these prompts, whatever the windows."""

    def __init__(self, prompts: list[str]) -> None:
        self._prompts = prompts

    def texts(self, _: torch.Tensor) -> list[str]:
        return self._prompts


if __name__ == "__main__":
    for architecture in ARCHITECTURES:
        tensors, facts = ours(Golden(architecture))
        save_file(tensors, Path(sys.argv[1]) / f"{architecture}.safetensors")
        (Path(sys.argv[1]) / f"{architecture}.json").write_text(json.dumps(facts))
