"""Work with a language model on the server: one at a time, results kept, the model let go."""

from __future__ import annotations

import threading

import pytest

from timellm.ui.seeing import working as module
from timellm.ui.seeing.working import Working


def never():
    raise AssertionError("nothing to wait for")


def test_result_is_kept_and_old_ones_are_forgotten():
    working = Working()
    for number in range(60):
        assert working.work(number, lambda number=number: number * 2, waiting=never) == number * 2
    assert working.result(59) == 118 and working.result(0) is None


def test_failure_is_raised_kept_nowhere_and_blocks_nothing():
    working = Working()
    with pytest.raises(ZeroDivisionError):
        working.work("key", lambda: 1 / 0, waiting=never)
    assert working.result("key") is None
    assert working.work("key", lambda: 1, waiting=never) == 1


def test_second_work_waits_for_the_first():
    working, begun, end, waited = Working(), threading.Event(), threading.Event(), []

    def first():
        begun.set()
        end.wait(10)
        return 1

    thread = threading.Thread(target=working.work, args=("first", first), kwargs={"waiting": never})
    thread.start()
    assert begun.wait(10)

    def waiting():
        waited.append(working.result("first"))
        end.set()

    assert working.work("second", lambda: 2, waiting=waiting) == 2
    thread.join()
    assert waited[0] is None and working.result("first") == 1


def test_one_model_is_kept_and_let_go_when_it_is_idle(monkeypatch):
    working, loads = Working(), []

    def load(name):
        assert working._model is None, "two models would be in memory at once"
        loads.append(name)
        return name

    assert working.model("a", lambda: load("a")) == working.model("a", lambda: load("a")) == "a"
    assert working.model("b", lambda: load("b")) == "b" and loads == ["a", "b"]
    monkeypatch.setattr(module, "IDLE_S", 0.01)
    working.model("b", lambda: load("b"))
    working._timer.join(5)
    assert working.model("b", lambda: load("b")) == "b" and loads == ["a", "b", "b"]
    working._timer.cancel()
