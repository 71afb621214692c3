"""Ours against the published model's golden numbers on three architectures, with prompts that we wrote ourselves."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.forecasters.time_llm.golden import ARCHITECTURES, Golden
from timellm.forecasters.time_llm.patching import instance_norm

needs_mkl = pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="the golden lags are those of MKL's FFT")
TENSORS = ("prototypes", "patch_embedding", "attention", "reprogrammed", "backbone_last_hidden_at_patches")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def golden(request) -> Golden:
    return Golden(request.param)


@pytest.fixture(scope="module")
def computed(tmp_path_factory) -> Path:
    """Ours, from a process whose FFT rounds as that of the golden numbers did."""
    folder = tmp_path_factory.mktemp("ours")
    subprocess.run(
        [sys.executable, "-m", "tests.forecasters.time_llm.golden", str(folder)],
        env=os.environ | {"MKL_CBWR": "COMPATIBLE"},
        cwd=Path(__file__).parents[3],
        check=True,
    )
    return folder


@pytest.fixture
def facts(golden, computed) -> dict:
    return json.loads((computed / f"{golden.folder.name}.json").read_text())


@pytest.fixture
def tensors(golden, computed) -> dict[str, torch.Tensor]:
    return load_file(computed / f"{golden.folder.name}.safetensors")


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


@needs_mkl
def test_prompts_and_their_tokens_are_the_golden_ones(golden, facts):
    assert facts["prompts"] == golden.prompts
    assert facts["token_ids"] == golden.token_ids


@needs_mkl
@pytest.mark.parametrize("name", TENSORS)
def test_intermediate_matches(golden, tensors, name):
    theirs = golden.tensors[name]
    assert relative(tensors[name], theirs if name == "prototypes" else theirs.flatten(0, 1)) < 1e-4


@needs_mkl
def test_forecast_and_loss_match(golden, tensors, facts):
    assert relative(tensors["output.y"], golden.by_channel("output.y")) < 1e-4
    assert facts["loss"] == pytest.approx(golden.facts["mean_loss"], rel=1e-4)


@needs_mkl
def test_every_gradient_matches(golden, tensors):
    names = {name for name in golden.tensors if name.startswith("grad.")}
    assert names == {name for name in tensors if name.startswith("grad.")}
    for name in names:
        mine, theirs = tensors[name], golden.tensors[name]
        if name == "grad.reprogramming_layer.key_projection.bias":
            # Softmax does not notice it: its true gradient is zero, and both sides hold rounding noise.
            assert mine.abs().max() < 1e-4 and theirs.abs().max() < 1e-4
        else:
            assert relative(mine, theirs) < 1e-4, name


def test_on_any_processor_only_the_leader_of_a_mirror_pair_may_differ(golden):
    normed, _, _ = instance_norm(golden.by_channel("input.x"), as_published=True)
    for text, expected in zip(golden.network().template.texts(normed), golden.prompts, strict=True):
        (start, lags, end), (golden_start, golden_lags, golden_end) = map(_split_at_lags, (text, expected))
        assert (start, end) == (golden_start, golden_end)
        assert sorted(lags) == sorted(golden_lags)
        assert [min(lag, 96 - lag) for lag in lags] == [min(lag, 96 - lag) for lag in golden_lags]


def _split_at_lags(prompt: str) -> tuple[str, list[int], str]:
    start, lags, end = re.fullmatch(r"(.*lags are : )\[(.*)\](.*)", prompt).groups()
    return start, [int(lag) for lag in lags.split(", ")], end
