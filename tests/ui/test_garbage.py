"""Collecting garbage looks at the objects of sessions, not at those of libraries, and not after every script."""

import gc
import sys
import tomllib
import types
import weakref

import pytest

from timellm.ui.garbage import Libraries
from timellm.workspace import PROJECT


class Circle:
    """Refers to itself, so that only the collector can free it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def thawed():
    """Leave the collector as it was."""
    yield
    gc.unfreeze()


@pytest.fixture
def new_modules(monkeypatch):
    """Pretends that so many modules have been imported."""

    def imported(count: int) -> None:
        for number in range(count):
            name = f"imported{len(sys.modules)}x{number}"
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))

    return imported


def test_objects_of_libraries_are_not_looked_at_again():
    library = [Circle()]
    assert Libraries().set_aside()
    assert gc.get_freeze_count() > 10_000
    assert not any(one is library for one in gc.get_objects())


def test_garbage_is_collected_before_and_after(new_modules):
    libraries = Libraries()
    before = weakref.ref(Circle())
    libraries.set_aside()
    assert before() is None
    after = weakref.ref(Circle())
    gc.collect()
    assert after() is None


def test_what_was_set_aside_is_looked_at_again_when_much_is_new(new_modules):
    libraries = Libraries()
    session = Circle()
    libraries.set_aside()
    ended, session = weakref.ref(session), None
    gc.collect()
    assert ended() is not None, "frozen, so the collector does not see it"
    assert not libraries.set_aside(), "nothing is new"
    new_modules(500)
    assert libraries.set_aside()
    assert ended() is None


def test_streamlit_forces_no_collection_after_each_script():
    settings = tomllib.loads((PROJECT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert settings["runner"]["postScriptGC"] is False
