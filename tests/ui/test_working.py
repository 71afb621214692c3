"""Work that runs a language model: one at a time, freed when it fails, and one model in memory."""

from __future__ import annotations

import threading

import pytest

from timellm.errors import BackboneError
from timellm.ui.seeing.working import Working


def test_second_work_waits_for_the_first():
    working, may_end, waits = Working(), threading.Event(), []
    first = threading.Thread(target=working.work, args=("first", may_end.wait), kwargs={"waiting": lambda: None})
    first.start()
    while not working._busy.locked():
        pass

    def waiting() -> None:
        waits.append(working.result("first"))
        may_end.set()

    assert working.work("second", lambda: "done", waiting=waiting) == "done"
    first.join()
    assert waits[0] is None
    assert working.result("first") is True
    assert working.result("second") == "done"


def test_work_that_is_ended_while_it_waits_leaves_the_other_alone():
    working = Working()

    def stopped() -> None:
        raise KeyboardInterrupt

    with working._busy, pytest.raises(KeyboardInterrupt):
        working.work("second", lambda: pytest.fail("it waited"), waiting=stopped)
    assert working.result("second") is None


def test_failed_work_keeps_nothing_and_frees_the_server():
    working = Working()

    def fail() -> None:
        raise BackboneError("the weights are missing; fetch them")

    with pytest.raises(BackboneError, match="weights are missing"):
        working.work("study", fail, waiting=lambda: None)
    assert working.result("study") is None
    assert working.work("study", lambda: 1, waiting=lambda: pytest.fail("nothing is under way")) == 1


def test_only_the_last_model_is_kept():
    working, loads = Working(), []

    def load(name: str) -> str:
        loads.append(name)
        return name

    for name in ("a", "a", "b", "a"):
        assert working.model(name, lambda name=name: load(name)) == name
    assert loads == ["a", "b", "a"]
