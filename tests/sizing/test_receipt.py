"""The quantization receipt: real numbers from fresh processes, causes instead of crashes, a sentence that follows."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import psutil
import pytest
import torch

from tests.conftest import SMALL
from timellm.config import RunConfig
from timellm.errors import BackboneError, DataError
from timellm.forecasters.time_llm.backbone import load_backbone
from timellm.forecasters.time_llm.network import TimeLLM
from timellm.sizing.receipt import Machine, Receipt, ReceiptRow, measure_receipt, verdict
from timellm.sizing.receipt import measure as measuring
from timellm.sizing.receipt.worker import compare, deviation, weights_mib

ORDER = ["float32", "bfloat16", "8bit", "4bit"]


def small(hourly_csv, backbone, **changes) -> RunConfig:
    return RunConfig.create(hourly_csv, backbone=str(backbone), **SMALL | changes)


@pytest.fixture(scope="module")
def measured(hourly_csv, tiny_backbone) -> tuple[Receipt, list[tuple[float, str]]]:
    """A receipt of the tiny backbone, and what was heard while it was made."""
    heard: list[tuple[float, str]] = []
    receipt = measure_receipt(small(hourly_csv, tiny_backbone), on_progress=lambda *said: heard.append(said))
    assert receipt is not None
    return receipt, heard


def test_every_precision_is_measured(measured):
    rows = measured[0].rows
    assert [row.precision for row in rows] == ORDER
    assert [row.cause for row in rows] == [""] * 4
    assert [row.arithmetic for row in rows[:2]] == ["float32", "bfloat16"]
    assert all(row.timed_steps >= 3 and row.step_s > 0 for row in rows)


def test_errors_are_those_of_the_precision(measured):
    dense, half, eight, four = measured[0].rows
    assert (dense.hidden_error, dense.gradient_error) == (0, 0)
    for low, high in ((half, four), (eight, four)):
        assert 0 < low.hidden_error < high.hidden_error
        assert 0 < low.gradient_error < high.gradient_error
        assert 1 > low.gradient_cosine > high.gradient_cosine > 0
    assert half.gradient_cosine > 0.99


def test_weights_are_counted_to_the_byte(measured, hourly_csv, tiny_backbone):
    dense, half, *_ = measured[0].rows
    model = load_backbone(small(hourly_csv, tiny_backbone, backbone_dtype="float32").model, device="cpu").model
    numbers = sum(parameter.numel() for parameter in model.parameters())
    buffers = sum(buffer.nbytes for buffer in model.buffers())
    assert dense.weights_mib * 2**20 == 4 * numbers + buffers
    # Rotary frequencies are kept in float32 whatever the weights are.
    assert half.weights_mib * 2**20 == 2 * numbers + buffers


def test_quantised_weights_count_their_scales(hourly_csv, tiny_backbone):
    def bytes_in(quantization: str, of: torch.nn.Module | None = None) -> float:
        config = small(hourly_csv, tiny_backbone, backbone_dtype="float32", quantization=quantization)
        layers = load_backbone(config.model, device="cpu").model.layers
        return weights_mib(layers[0].mlp.down_proj) * 2**20

    outputs, inputs = 32, 64
    assert bytes_in("none") == 4 * outputs * inputs
    assert bytes_in("8bit") == outputs * inputs + 4 * outputs
    packed = outputs * inputs / 2
    blocks = outputs * inputs // 64  # a scale in 8 bits, with a scale in 32 bits for up to 256 of them
    tables = 4 * 16 + 4 * 256  # what the 4-bit and 8-bit values stand for
    assert bytes_in("4bit") == packed + blocks + 4 + tables + 4


def test_tensors_that_share_memory_are_counted_once():
    one, other = torch.nn.Linear(8, 8, bias=False), torch.nn.Linear(8, 8, bias=False)
    other.weight = one.weight
    assert weights_mib(torch.nn.Sequential(one, other)) * 2**20 == 8 * 8 * 4


def test_memory_is_that_of_a_process_with_torch_and_little_else(measured):
    assert all(150 < row.peak_mib < 1000 for row in measured[0].rows)


def test_progress_goes_forward_to_the_end(measured):
    shares = [share for share, _ in measured[1]]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert {said.partition(":")[0] for _, said in measured[1][:-1]} == set(ORDER)


def test_receipt_says_where_and_of_what(measured, hourly_csv, tiny_backbone):
    receipt, _ = measured
    assert (receipt.backbone, receipt.layers, receipt.batch_size) == (str(tiny_backbone), 2, 8)
    assert (receipt.table, receipt.windows) == (hourly_csv.name, 8)
    assert receipt.machine.cores == os.cpu_count()
    assert receipt.machine.torch == torch.__version__.partition("+")[0] or receipt.machine.torch == torch.__version__
    assert receipt.measured <= datetime.now(UTC)


def test_receipt_survives_json(measured):
    assert Receipt.from_json(measured[0].to_json()) == measured[0]


def test_precision_that_cannot_be_loaded_is_a_row_with_its_cause(hourly_csv, tiny_backbone, monkeypatch):
    varied = {"float32": {"backbone_dtype": "float32"}, "4bit": {"layers": 99}}
    monkeypatch.setattr(measuring, "_varied", lambda config: varied)
    receipt = measure_receipt(small(hourly_csv, tiny_backbone))
    assert receipt.rows[0].cause == ""
    assert "has 3 layers, but 'layers' asks for 99" in receipt.rows[1].cause
    assert receipt.rows[1].step_s is None


def test_killed_process_is_a_row_and_not_the_end(hourly_csv, tiny_backbone, monkeypatch):
    monkeypatch.setattr(measuring, "_varied", lambda config: {"float32": {}, "bfloat16": {}})

    def kill_the_first(share: float, doing: str) -> None:
        if doing.startswith("float32: step"):
            for child in psutil.Process().children():
                child.kill()

    receipt = measure_receipt(small(hourly_csv, tiny_backbone), on_progress=kill_the_first)
    assert "was killed, most likely because memory ran out" in receipt.rows[0].cause
    assert receipt.rows[1].step_s > 0
    assert receipt.row("float32", "bfloat16").precision == "bfloat16"


def test_what_no_precision_can_mend_ends_it_at_once(hourly_csv, tiny_backbone):
    with pytest.raises(BackboneError, match="has 3 layers, but 'layers' asks for 99"):
        measure_receipt(small(hourly_csv, tiny_backbone, layers=99))
    with pytest.raises(DataError, match="lower them, change 'split', or bring more rows"):
        measure_receipt(small(hourly_csv, tiny_backbone, context=390))


def test_cancelled_measurement_gives_nothing_and_leaves_no_process(hourly_csv, tiny_backbone):
    heard, before = [], set(psutil.Process().children())
    receipt = measure_receipt(
        small(hourly_csv, tiny_backbone), on_progress=lambda *said: heard.append(said), should_stop=lambda: bool(heard)
    )
    assert receipt is None
    assert heard
    assert set(psutil.Process().children()) <= before


def test_comparison_is_the_same_network_but_for_the_backbone(small_config, tmp_path):
    network, context, target = network_and_windows(small_config, "float32")
    reader = network.reader
    first = compare(network, context, target, reference=tmp_path / "r.safetensors")
    again = compare(network, context, target, reference=tmp_path / "r.safetensors")
    assert network.reader is reader
    for found in (first, again):
        assert (found["hidden_error"], found["gradient_error"]) == (0, 0)
    network.head.linear.weight.data.mul_(-1)  # another head sends back another gradient, from the same hidden states
    turned = compare(network, context, target, reference=tmp_path / "r.safetensors")
    assert turned["hidden_error"] == 0
    assert turned["gradient_error"] > 0.1


def network_and_windows(config: RunConfig, dtype: str) -> tuple[TimeLLM, torch.Tensor, torch.Tensor]:
    config = config.updated(backbone_dtype=dtype)
    torch.manual_seed(0)
    network = TimeLLM(config.model, backbone=load_backbone(config.model, device="cpu"), description="Load.")
    return network, torch.randn(4, config.model.context).cumsum(1), torch.randn(4, config.model.horizon)


def test_deviation_is_that_of_plain_numpy():
    found, exact = np.random.default_rng(0).normal(size=(2, 5, 7))
    distance = np.linalg.norm(found - exact, axis=1) / np.linalg.norm(exact, axis=1)
    cosine = (found * exact).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(exact, axis=1)
    mine = deviation(torch.tensor(found), torch.tensor(exact))
    assert mine == pytest.approx((distance.mean(), cosine.mean()))


def made(*rows: ReceiptRow, others: float = 0.0) -> Receipt:
    """A receipt with these rows, the first of which had others beside it."""
    rows = (replace(rows[0], others_share=others), *rows[1:]) if rows else ()
    machine = Machine("Some processor", 2, 8192.0, None, "2.13.0")
    return Receipt("b", 6, 336, 96, 32, "t.csv", 16, rows, machine, datetime.now(UTC))


def row(precision: str, peak: float, step: float, error: float, weights: float = 100.0) -> ReceiptRow:
    return ReceiptRow(
        precision, weights_mib=weights, peak_mib=peak, step_s=step, gradient_error=error, hidden_error=error
    )


DENSE, HALF = row("float32", 1000, 2.0, 0.0), row("bfloat16", 800, 1.0, 0.02)


@pytest.mark.parametrize(
    ("receipt", "sentence"),
    [
        (
            made(DENSE, HALF, row("8bit", 760, 1.04, 0.1), row("4bit", 740, 1.3, 0.4)),
            "bfloat16 is 2.0 times as fast as float32 and needs 200 MiB less memory, with a gradient 2.0% off; "
            "8-bit is as fast as bfloat16 and needs 40 MiB less memory, with 5.0 times its gradient error; "
            "4-bit takes 1.3 times as long as bfloat16 and needs 60 MiB less memory, "
            "with 20 times its gradient error.",
        ),
        (
            made(DENSE, row("bfloat16", 1004, 2.5, 0.02), row("4bit", 1050, 1.0, 0.021, weights=60)),
            "bfloat16 takes 1.2 times as long as float32 and needs as much memory, with a gradient 2.0% off; "
            "4-bit is 2.5 times as fast as bfloat16 and needs 46 MiB more memory (its weights 40 MiB "
            "less), with about the same gradient error.",
        ),
        (
            made(DENSE, replace(HALF, cause="memory ran out"), row("8bit", 700, 2.0, 0.03)),
            "8-bit is as fast as float32 and needs 300 MiB less memory, with a gradient 3.0% off; "
            "bfloat16 could not be measured.",
        ),
        (
            made(DENSE, HALF, others=0.4),
            "bfloat16 needs 200 MiB less memory than float32, with a gradient 2.0% off.",
        ),
        (made(DENSE), "Only float32 could be measured."),
        (made(replace(DENSE, cause="memory ran out")), "Nothing could be measured."),
    ],
)  # fmt: skip
def test_sentence_follows_the_numbers(receipt, sentence):
    assert verdict(receipt) == sentence


def test_sentence_takes_the_words_for_memory_that_it_is_given():
    assert "needs 209.7 MB less" in verdict(made(DENSE, HALF), lambda mib: f"{mib * 1.048576:.1f} MB")
