"""The receipt verb: what it measures when told nothing, what it prints, and what it refuses in one line."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from timellm.cli import main
from timellm.data.samples import samples
from timellm.sizing.receipt import Machine, Receipt, ReceiptRow


@pytest.fixture
def asked(monkeypatch) -> list:
    """Configurations that were to be measured; the answer is made up."""
    seen = []

    def answer(config, *, on_progress):
        seen.append(config)
        on_progress(1.0, "done")
        rows = (
            ReceiptRow("float32", "float32", 189.0, 1232.2, 1.4, 8, 0.0, 1.0, 0.0, 1.0, 0.2),
            ReceiptRow("bfloat16", "bfloat16", 94.5, 901.1, 0.7, 8, 0.0127, 0.99992, 0.0364, 0.99935, 0.0),
            ReceiptRow("8bit", cause="memory ran out"),
        )
        machine = Machine("Some processor", 2, 24105.0, None, "2.13.0")
        return Receipt(
            config.model.backbone, 6, 336, 96, 32, "t.csv", 16, rows, machine, datetime(2026, 11, 22, 18, 5, tzinfo=UTC)
        )

    monkeypatch.setattr("timellm.sizing.receipt.measure_receipt", answer)
    return seen


def test_without_words_the_default_backbone_reads_a_bundled_sample(asked, capsys):
    assert main(["receipt"]) == 0
    assert asked[0].data.path == str(samples()[0].path)
    assert (asked[0].model.backbone, asked[0].model.layers, asked[0].model.context) == ("smollm2-135m", 6, 336)
    said = capsys.readouterr().out
    assert "bfloat16 94.5 901 0.700 0.0127 0.99992 0.0364 0.99935" in " ".join(said.split())
    assert "8bit: memory ran out" not in said
    assert "8-bit: memory ran out" in said
    assert "Some processor, 2 cores, 24 GiB, torch 2.13.0, 2026-11-22 18:05 UTC" in said
    assert "Other work took up to 20% of the processor: the seconds are too long." in said


def test_backbone_table_and_settings_are_taken(asked, hourly_csv, capsys):
    words = ["receipt", "all-minilm-l6-v2", "--data", str(hourly_csv), "--set", "layers=2", "--set", "context=48"]
    assert main([*words, "--json"]) == 0
    (config,) = asked
    assert (config.model.backbone, config.model.layers, config.model.context) == ("all-minilm-l6-v2", 2, 48)
    assert config.data.path == str(hourly_csv)
    said = capsys.readouterr()
    assert f"chosen for this table: horizon={config.model.horizon}" in said.err
    tree = json.loads(said.out)
    assert [row["precision"] for row in tree["rows"]] == ["float32", "bfloat16", "8bit"]
    assert tree["rows"][2]["step_s"] is None
    assert "8-bit could not be measured" in tree["verdict"]


def test_code_that_ships_with_the_backbone_is_warned_of(asked, capsys):
    assert main(["receipt", "some/model", "--set", "trust_remote_code=true"]) == 0
    assert asked[0].model.trust_remote_code
    assert "warning: Python code that ships with some/model will run with all your rights" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "nowhere.csv"], "nowhere.csv"),
        (["--set", "layer=3"], "did you mean 'layers'"),
        (["--set", "batch_size=0"], "batch_size"),
        (["smollm2-135m", "--set", "layers=31"], "has 30 layers, but 'layers' asks for 31"),
    ],
)
def test_wrong_word_is_one_line_and_exit_code_2(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["receipt", *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    errors = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
