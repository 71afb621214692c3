"""A finished run of a kind without a language model goes to another workspace and forecasts the same there."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from timellm.config import RunConfig
from timellm.errors import CheckpointError
from timellm.forecasters.registry import kind_of
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.fitted import FittedRun
from timellm.jobs.archive.importing import import_run
from timellm.jobs.archive.writing import FILES, MANIFEST, write_archive
from timellm.jobs.store.run import Run
from timellm.jobs.store.run_store import Store
from timellm.jobs.worker import work
from timellm.pipeline import evaluate, fit
from timellm.training.checkpoint import START_ADAPTER
from timellm.workspace import Workspace

KINDS = {
    "naive": {},
    "ridge": {},
    "dlinear": {"moving_average": 5, "steps": 6, "batch_size": 8, "validations": 2, "validation_windows": 20},
}


@dataclass(frozen=True)
class Exported:
    """A finished run in a workspace of its own, and its archive."""

    store: Store
    run: Run
    archive: bytes


@pytest.fixture(scope="module", params=KINDS)
def exported(request, tmp_path_factory, hourly_csv) -> Exported:
    store = Store.open(Workspace(tmp_path_factory.mktemp("there")))
    config = RunConfig.create(hourly_csv, kind=request.param, context=48, horizon=12, **KINDS[request.param])
    run = store.create_run(config, name=f"A {request.param}")
    assert work(run.id, store=store, fit=fit) == "finished"
    out = io.BytesIO()
    write_archive(store, run.id, out, with_table=True)
    return Exported(store, store.get(run.id), out.getvalue())


def test_imported_run_has_the_outcome_and_the_curve(exported, store):
    here = import_run(store, io.BytesIO(exported.archive))
    assert (here.notes, here.run.state, here.run.name) == ((), "finished", exported.run.name)
    assert here.run.config.kind == exported.run.config.kind
    assert here.run.summary == exported.run.summary | {"imported": True}
    pd.testing.assert_frame_equal(store.curve(here.run.id), exported.store.curve(exported.run.id))
    ours, theirs = RunFolder(here.run.run_dir), RunFolder(exported.run.run_dir)
    assert ours.scores().overall.equals(theirs.scores().overall)
    assert ours.verdict("mae") == theirs.verdict("mae")
    assert ours.future().equals(theirs.future())


def test_imported_run_forecasts_its_own_and_newer_data_to_the_same_bit(exported, store, hourly_csv, tmp_path):
    here = import_run(store, io.BytesIO(exported.archive)).run
    assert Path(here.config.data.path).is_relative_to(store.place.uploads)
    pd.read_csv(hourly_csv).iloc[100:300].to_csv(tmp_path / "newer.csv", index=False)
    ours, theirs = FittedRun.load(here.run_dir), FittedRun.load(exported.run.run_dir)
    assert ours.forecast().equals(theirs.forecast())
    newer = ours.forecast(tmp_path / "newer.csv")
    assert newer.equals(theirs.forecast(tmp_path / "newer.csv")) and not newer.equals(ours.forecast())


def test_imported_run_is_evaluated_and_started_anew(exported, store):
    here = import_run(store, io.BytesIO(exported.archive)).run
    before = RunFolder(here.run_dir).scores()
    after = evaluate(here.run_dir)
    assert after.error(after.own, "mse") == pytest.approx(before.error(before.own, "mse"), rel=1e-6)
    again = store.create_run(here.config)
    assert work(again.id, store=store, fit=fit) == "finished"
    assert store.get(again.id).summary["test"] == pytest.approx(here.summary["test"], rel=1e-6)


@pytest.mark.parametrize("content", [b"\x80\x04\x95" + bytes(99), b"{}", b""])
def test_archive_in_which_a_forecaster_is_spoilt_is_refused(exported, store, content):
    """The manifest follows, so that only the content can tell."""
    changed = [kind_of(exported.run.config.kind).file, "naive.json", "ridge.safetensors", "window_errors.parquet"]
    for name in dict.fromkeys(changed):
        with pytest.raises(CheckpointError, match=name.partition(".")[0]):
            import_run(store, with_content(exported.archive, FILES + name, content))
    assert store.runs() == ()
    assert not any(store.place.checkpoints.glob("*/")), "nothing is left"


def with_content(archive: bytes, name: str, content: bytes) -> io.BytesIO:
    """The archive with another content of one file."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w") as new:
        files = {one: old.read(one) for one in old.namelist()} | {name: content}
        told = json.loads(files.pop(MANIFEST))
        told["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for one, data in files.items():
            new.writestr(one, data)
        new.writestr(MANIFEST, json.dumps(told))
    return io.BytesIO(out.getvalue())


def test_run_that_began_at_trained_adapters_brings_what_it_took(hourly_csv, store, tmp_path):
    small = {"kind": "dlinear", "context": 48, "horizon": 12, **KINDS["dlinear"]}
    fit(RunConfig.create(hourly_csv, **small), run_dir=tmp_path / "start")
    there = Store.open(Workspace(tmp_path / "there"))
    run = there.create_run(RunConfig.create(hourly_csv, **small, start_from=str(tmp_path / "start")), name="Begun")
    assert work(run.id, store=there, fit=fit) == "finished"
    out = io.BytesIO()
    write_archive(there, run.id, out, with_table=True)
    shutil.rmtree(tmp_path / "start")
    here = import_run(store, io.BytesIO(out.getvalue()))
    assert [note for note in here.notes if "began at the adapters in" in note and "came with it" in note]
    before, after = (one / START_ADAPTER for one in (there.get(run.id).run_dir, here.run.run_dir))
    assert before.read_bytes() == after.read_bytes()
    pd.testing.assert_frame_equal(FittedRun.load(here.run.run_dir).forecast(), RunFolder(here.run.run_dir).future())
