"""Estimates of the kinds without a language model: how they grow, what cannot be said, and what a run takes."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from timellm.config import RunConfig
from timellm.data.samples import samples
from timellm.data.table import load_table
from timellm.errors import ConfigError
from timellm.jobs.store.promise import Promise
from timellm.sizing.estimate import Surroundings, estimate
from timellm.sizing.machine import MachineFacts, measured_facts
from timellm.sizing.offers import largest_that_fits
from timellm.sizing.table import TableSize

PROJECT = Path(__file__).resolve().parents[2]
FACTS = MachineFacts(
    processor="one", gpu=None, fast_dtype="bfloat16", gflops={"float32": 170.0, "bfloat16": 900.0},
    gib_per_s=15.0, process_mib=420.0, quantization_mib=40.0,
)  # fmt: skip
AROUND = Surroundings(TableSize(17_420, 7), FACTS)
KINDS = ["naive", "ridge", "dlinear", "patchtst", "autoformer"]


def config_for(kind: str, **settings) -> RunConfig:
    return RunConfig.create("table.csv", kind=kind, **settings)


@pytest.mark.parametrize("kind", KINDS)
def test_more_rows_take_longer(kind):
    more = estimate(config_for(kind), replace(AROUND, table=TableSize(70_000, 7)))
    less = estimate(config_for(kind), AROUND)
    assert more.evaluation_s > less.evaluation_s
    assert more.memory_mib > less.memory_mib
    assert more.training_s > less.training_s


@pytest.mark.parametrize("kind", ["dlinear", "patchtst", "autoformer"])
def test_a_step_grows_with_its_batch_and_training_with_its_steps(kind):
    small, large = (estimate(config_for(kind, batch_size=size, steps=100), AROUND) for size in (16, 64))
    assert small.step_s < large.step_s and small.memory_mib <= large.memory_mib
    longer = estimate(config_for(kind, batch_size=16, steps=200), AROUND)
    assert longer.training_s > small.training_s


@pytest.mark.parametrize("kind", ["dlinear", "patchtst"])
def test_quantiles_take_time_and_memory(kind):
    plain, more = (estimate(config_for(kind, quantiles=levels), AROUND) for levels in ((), (0.1, 0.5, 0.9)))
    assert plain.step_s < more.step_s and plain.memory.adapters < more.memory.adapters


def test_a_kind_that_is_solved_at_once_has_no_step():
    found = estimate(config_for("ridge"), AROUND)
    assert found.step_s == 0 and found.training_s > 0
    assert found.memory.embeddings == found.memory.layers == found.memory.prompt == 0


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_told_is_read_again(kind):
    config = config_for(kind)
    promise = Promise.of(config, estimate(config, AROUND))
    assert Promise.from_text(promise.to_text()) == promise
    assert (promise.training_windows_per_s is None) == (config.training is None)


def test_offers_for_a_network_without_language_model_change_what_it_has():
    config = config_for("patchtst", batch_size=512, context=512, patch_length=16, stride=8)
    needed = estimate(config, AROUND).memory_mib
    offers = largest_that_fits(config, needed - 100, AROUND)
    assert offers and all(offer.memory_mib < needed and set(offer.settings) <= {"accumulation"} for offer in offers)


@pytest.mark.parametrize("kind", ["chronos", "fracast"])
def test_zero_shot_kinds_say_why_they_are_not_estimated(kind):
    with pytest.raises(ConfigError, match="is not estimated, because its memory is that of its own package"):
        estimate(config_for(kind), AROUND)


def test_speed_of_a_graphics_card_says_nothing_of_small_kinds():
    with pytest.raises(ConfigError, match="machine with a graphics card"):
        estimate(config_for("ridge"), replace(AROUND, facts=replace(FACTS, gpu="a card")))


_RUN = """
import json, sys
import timellm
from timellm.config import RunConfig
from timellm.training.peak_memory import peak_memory_mib

timellm.fit(RunConfig.from_dict(json.loads(sys.argv[1])), run_dir=sys.argv[2])
print(peak_memory_mib())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak from /proc")
@pytest.mark.parametrize("kind", ["ridge", "dlinear"])
def test_a_run_takes_about_the_memory_that_is_counted(kind, tmp_path):
    config = RunConfig.create(samples()[0].path, kind=kind)
    program = [sys.executable, "-c", _RUN, json.dumps(config.to_dict()), str(tmp_path / "run")]
    said = subprocess.run(program, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    table = load_table(config.data)
    around = Surroundings(TableSize(len(table.values), len(table.channels)), measured_facts())
    assert estimate(config, around).memory_mib == pytest.approx(float(said.split()[-1]), rel=0.2)
