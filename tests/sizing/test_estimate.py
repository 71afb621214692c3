"""Estimates: what they count, are corrected by and rest on; and offers that fit and say their price."""

from dataclasses import replace

import pytest

from timellm.config import RunConfig
from timellm.sizing.estimate import Observation, Surroundings, dtype_in_use, estimate
from timellm.sizing.machine import MachineFacts
from timellm.sizing.offers import fits, largest_that_fits
from timellm.sizing.table import TableSize, joined

FACTS = MachineFacts(
    processor="one", gpu=None, fast_dtype="bfloat16", gflops={"float32": 170.0, "bfloat16": 900.0},
    gib_per_s=15.0, process_mib=420.0, quantization_mib=40.0,
)  # fmt: skip
AROUND = Surroundings(TableSize(8783, 3), FACTS)


def config_for(**settings) -> RunConfig:
    return RunConfig.create("table.csv", **settings)


def large(**settings) -> RunConfig:
    return config_for(**{"backbone": "huggyllama/llama-7b", "layers": 32, "context": 512} | settings)


def seen(config, kind="run", *, memory=1.0, time=1.0, around=AROUND) -> Observation:
    """A measurement of `config` that lies by these factors above what is counted."""
    found = estimate(config, around)
    process = found.memory.process
    return Observation(
        config, kind, process + memory * (found.memory_mib - process), time * found.step_s, time * found.step_s / 50
    )


def test_whole_run_is_loading_training_and_evaluation():
    found = estimate(config_for(), AROUND)
    assert found.training_s > 100 * found.step_s  # and validations
    assert found.seconds > found.training_s + found.evaluation_s
    assert found.memory_mib == pytest.approx(found.memory.total)
    assert found.rests_on == "arithmetic"


def test_time_budget_ends_training():
    assert estimate(config_for(steps=10**6, minutes=2), AROUND).training_s == 120


@pytest.mark.parametrize("kind", ["time_llm", "dlinear"])
def test_pre_training_adds_its_steps_and_holds_the_other_tables_meanwhile(kind):
    alone = estimate(config_for(kind=kind), AROUND)
    around = replace(AROUND, joined=joined([TableSize(20_000, 2), TableSize(5_000, 7)], gap=96))
    assert around.joined == TableSize(25_096, 7)
    config = config_for(kind=kind, pretrain=("a.csv", "b.csv"))
    found = estimate(config, around)
    assert alone.pretraining_s == 0
    assert found.pretraining_s > config.trained.steps * found.step_s
    assert found.seconds == pytest.approx(alone.seconds + found.pretraining_s)
    twice = estimate(config.updated(pretrain_steps=2 * config.trained.steps), around)
    more_s = twice.pretraining_s - found.pretraining_s
    assert more_s == pytest.approx(config.trained.steps * found.step_s, rel=0.02), "its prompt has other words"
    wide = replace(AROUND, joined=TableSize(400_000, 40))
    assert estimate(config, wide).memory_mib > alone.memory_mib + 400_000 * 40 * 8 / 2**20
    assert found.training_s == alone.training_s


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({}, {"layers": 12}),
        ({}, {"batch_size": 512}),
        ({"batch_size": 512}, {"batch_size": 512, "context": 720}),
        ({}, {"prototype_source": "map"}),
        ({"batch_size": 512, "accumulation": 8}, {"batch_size": 512}),
        ({"batch_size": 512, "gradient_checkpointing": True}, {"batch_size": 512}),
        ({"backbone_dtype": "bfloat16", "batch_size": 512}, {"backbone_dtype": "float32", "batch_size": 512}),
    ],
)
def test_larger_settings_need_more_memory(less, more):
    assert estimate(config_for(**less), AROUND).memory_mib < estimate(config_for(**more), AROUND).memory_mib


@pytest.mark.parametrize("price", [{"accumulation": 8}, {"gradient_checkpointing": True}, {"quantization": "4bit"}])
def test_saving_memory_costs_time(price):
    assert estimate(config_for(**price), AROUND).step_s > estimate(config_for(), AROUND).step_s


def test_past_runs_correct_the_count_by_their_median():
    past = [seen(config_for(layers=layers), memory=1.2, time=time) for layers, time in ((2, 1.8), (4, 2.0), (8, 2.5))]
    plain, found = estimate(config_for(), AROUND), estimate(config_for(), replace(AROUND, past=past))
    assert found.step_s == pytest.approx(2.0 * plain.step_s)
    assert found.memory_mib - 420 == pytest.approx(1.2 * (plain.memory_mib - 420))
    assert found.rests_on == "3 past runs"


def test_runs_of_another_backbone_or_quantization_correct_nothing():
    past = [
        seen(config_for(backbone="all-minilm-l6-v2", context=96), time=2),
        seen(config_for(quantization="8bit"), time=2),
    ]
    assert estimate(config_for(), replace(AROUND, past=past)) == estimate(config_for(), AROUND)


def test_trial_of_these_settings_outweighs_past_runs():
    past = [seen(config_for(), time=2.0), seen(config_for(steps=7), "trial", time=1.5)]
    found = estimate(config_for(), replace(AROUND, past=past))
    assert found.step_s == pytest.approx(1.5 * estimate(config_for(), AROUND).step_s)
    assert found.rests_on == "a trial of these settings"


def test_measurement_that_was_of_something_else_is_left_out():
    past = [seen(config_for(), time=20.0)]
    assert estimate(config_for(), replace(AROUND, past=past)).step_s == estimate(config_for(), AROUND).step_s


def test_gpu_holds_neither_program_nor_table():
    found = estimate(config_for(), replace(AROUND, facts=replace(FACTS, gpu="a card")))
    assert (found.memory.process, found.memory.table) == (0, 0)


@pytest.mark.parametrize("free_mib", [700, 2_000, 8_000, 20_000])
@pytest.mark.parametrize("settings", [{}, {"prototype_source": "map"}, {"quantization": "8bit"}, {"batch_size": 512}])
def test_every_offer_fits_and_says_what_it_costs(free_mib, settings):
    offers = largest_that_fits(large(**settings), free_mib, AROUND)
    for offer in offers:
        assert fits(offer.memory_mib, free_mib)
        found = estimate(large(**settings).updated(**offer.settings), AROUND)
        assert (found.memory_mib, found.seconds) == (offer.memory_mib, offer.seconds)
        assert offer.price.endswith(".")
    assert offers or free_mib < 1_000, "a smaller backbone, at least, fits"


def test_accumulation_comes_first_because_it_changes_no_result():
    config = config_for(batch_size=1024)
    need = estimate(config, AROUND).memory_mib
    first = largest_that_fits(config, 0.9 * need, AROUND)[0]
    assert first.settings == {"accumulation": 2}
    assert first.as_options == "--set accumulation=2"


def test_offer_is_the_largest_of_its_kind():
    config = large(quantization="4bit")
    free_mib = 0.8 * estimate(config, AROUND).memory_mib
    (fewer,) = (offer for offer in largest_that_fits(config, free_mib, AROUND) if list(offer.settings) == ["layers"])
    one_more = estimate(config.updated(layers=fewer.settings["layers"] + 1), AROUND)
    assert not fits(one_more.memory_mib, free_mib)


def test_ways_are_taken_together_where_none_is_enough_alone():
    config = large(batch_size=512, backbone_dtype="float32", layers=8)
    offers = largest_that_fits(config, 4_000, AROUND)
    assert offers
    for offer in offers:
        assert "accumulation" in offer.settings
        assert len(offer.settings) > 1
        assert "The same result" in offer.price
        fewer_parts = {**offer.settings, "accumulation": offer.settings["accumulation"] // 2}
        assert not fits(estimate(config.updated(**fewer_parts), AROUND).memory_mib, 4_000), "as few parts as will do"


def test_nothing_is_offered_where_the_program_alone_is_too_large():
    assert largest_that_fits(large(), 300, AROUND) == []


def test_arithmetic_of_quantised_layers_may_be_another():
    facts = replace(FACTS, fast_dtype="float32", quantized_dtype="bfloat16")
    arithmetic = {
        (quantization, dtype): dtype_in_use(
            RunConfig.create("x.csv", quantization=quantization, backbone_dtype=dtype), facts
        )
        for quantization in ("none", "4bit")
        for dtype in ("auto", "float16")
    }
    assert arithmetic == {
        ("none", "auto"): "float32", ("4bit", "auto"): "bfloat16", ("none", "float16"): "float16",
        ("4bit", "float16"): "float16",
    }  # fmt: skip
