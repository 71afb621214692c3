"""The time left of a training: it follows the steps and validations as they are measured, and what comes after them."""

from __future__ import annotations

import pytest

from timellm.config import TrainingConfig
from timellm.training.clock import Clock
from timellm.training.state import TrainingPosition

WINDOWS, BATCH = 128, 32  # of a validation, two batches of 64, and of a step


class Hands:
    """Time that passes only when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hands() -> Hands:
    return Hands()


def clock_of(hands: Hands, **settings) -> Clock:
    asked = {"steps": 100, "validations": 5, "validation_windows": WINDOWS, "batch_size": BATCH} | settings
    return Clock(TrainingConfig(**asked), 0.0, seconds=hands)


def step(clock: Clock, hands: Hands, seconds: float, times: int = 1) -> None:
    for _ in range(times):
        clock.begin()
        hands.now += seconds
        clock.stepped()


def test_nothing_is_said_before_a_step_was_measured(hands):
    assert clock_of(hands).left_s(TrainingPosition()) is None
    assert clock_of(hands).window_s() is None


def test_before_the_first_validation_a_window_takes_as_long_as_in_a_step(hands):
    clock = clock_of(hands)
    step(clock, hands, 2.0, times=3)
    assert clock.window_s() == pytest.approx(2.0 / BATCH)
    assert clock.left_s(TrainingPosition(step=3)) == pytest.approx(97 * 2.0 + 5 * WINDOWS * 2.0 / BATCH)


def test_a_measured_validation_decides_about_those_to_come(hands):
    clock = clock_of(hands)
    step(clock, hands, 2.0, times=20)
    clock.begin()
    hands.now += 32.0
    clock.validated(WINDOWS)
    assert clock.window_s() == pytest.approx(0.25)
    assert clock.left_s(TrainingPosition(step=20, validated=1)) == pytest.approx(80 * 2.0 + 4 * 32.0)


def test_windows_of_a_batch_that_is_not_full_cost_a_full_one(hands):
    clock = clock_of(hands, validation_windows=70)
    clock.begin()
    hands.now += 12.8
    clock.validated(70)
    assert clock.window_s() == pytest.approx(0.1), "70 windows are calculated as 128"


def test_the_first_step_is_forgotten_when_there_is_another(hands):
    clock = clock_of(hands, validations=1, validation_windows=1)
    step(clock, hands, 30.0)
    step(clock, hands, 1.0, times=2)
    clock.begin()
    clock.validated(1)
    assert clock.left_s(TrainingPosition(step=3, validated=1)) == pytest.approx(97.0)


def test_the_time_left_follows_a_machine_that_gets_slower(hands):
    clock = clock_of(hands, steps=1000, validations=1)
    step(clock, hands, 1.0, times=100)
    clock.begin()
    clock.validated(WINDOWS)
    step(clock, hands, 5.0, times=40)
    assert clock.left_s(TrainingPosition(step=140, validated=1)) == pytest.approx(860 * 5.0)


def test_a_time_budget_ends_it_if_it_is_over_first(hands):
    clock = clock_of(hands, steps=10**6, minutes=2.0)
    assert clock.left_s(TrainingPosition()) == pytest.approx(120.0)
    step(clock, hands, 1.0, times=30)
    assert clock.left_s(TrainingPosition(step=30)) == pytest.approx(90.0)
    assert clock.share(30) == pytest.approx(0.25)


def test_a_report_tells_how_long_a_window_takes(hands):
    clock = clock_of(hands)
    step(clock, hands, 1.6, times=2)
    report = clock.report(TrainingPosition(step=2))
    assert report.window_s == pytest.approx(0.05)
    assert report.eta_s == clock.left_s(TrainingPosition(step=2))
