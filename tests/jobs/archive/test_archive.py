"""A run goes from one workspace to another as one file, is the same there, and a spoilt archive leaves nothing."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import stat
import struct
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import timellm
from tests.conftest import SMALL
from timellm.cli import main
from timellm.config import RunConfig
from timellm.errors import CheckpointError, JobError
from timellm.files.sealed import KEY, SLOT, sealed
from timellm.forecasting.artifacts import RunFolder
from timellm.jobs.archive import importing, unpacking
from timellm.jobs.archive.importing import import_run
from timellm.jobs.archive.writing import MANIFEST, ROW, Row, contents, write_archive
from timellm.jobs.local.actions import go_on, label
from timellm.jobs.store.history import of_run
from timellm.jobs.store.run_store import Store
from timellm.jobs.worker import work
from timellm.pipeline import fit
from timellm.training.progress import Progress
from timellm.workspace import Workspace


class Stopping:
    """A fit that ends after its first validation, so that it forecasts and can go on."""

    def __call__(self, config, *, run_dir, on_progress, should_stop):
        seen = []

        def report(progress):
            seen.append(progress.validation_loss)
            on_progress(progress)

        return fit(config, run_dir=run_dir, on_progress=report, should_stop=lambda: any(x is not None for x in seen))


@pytest.fixture(scope="module")
def left(tmp_path_factory, hourly_csv, tiny_backbone):
    """A store elsewhere with a stopped run, and the run."""
    store = Store.open(Workspace(tmp_path_factory.mktemp("left")))
    config = RunConfig.create(hourly_csv, backbone=str(tiny_backbone), **SMALL)
    run = store.create_run(config, name="From *elsewhere*")
    label(store, run.id, tags=["paper", "wide table"], note="Line one\nLine two")
    (store.place.checkpoints / run.id).mkdir(parents=True)
    run.log_file.write_text("a line of the log\n")
    assert work(run.id, store=store, fit=Stopping()) == "stopped"
    return store, store.get(run.id)


@pytest.fixture(scope="module")
def archive(left) -> bytes:
    out = io.BytesIO()
    write_archive(left[0], left[1].id, out, with_table=True)
    return out.getvalue()


def rewritten(archive: bytes, *, but=None, more=(), manifest=None, row=None, compress=None) -> io.BytesIO:
    """The archive with some entries changed; its manifest follows unless it is given."""
    out, files = io.BytesIO(), {}
    with zipfile.ZipFile(io.BytesIO(archive)) as old:
        told = json.loads(old.read(MANIFEST))
        contents = {info.filename: old.read(info) for info in old.infolist() if info.filename != MANIFEST}
    if row is not None:
        contents[ROW] = json.dumps(json.loads(contents[ROW]) | row).encode()
    contents |= but or {}
    with zipfile.ZipFile(out, "w", compress or zipfile.ZIP_STORED) as new:
        for name, content in [*contents.items(), *more]:
            if content is None:
                continue
            new.writestr(name, content)
            plain = name.filename if isinstance(name, zipfile.ZipInfo) else name
            files[plain] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        new.writestr(MANIFEST, json.dumps(told | {"files": files} | (manifest or {})))
    return io.BytesIO(out.getvalue())


def everything_in(store) -> list[str]:
    """Every file and folder of a workspace, but for the database's."""
    return sorted(
        str(path.relative_to(store.place.root))
        for path in store.place.root.rglob("*")
        if not path.name.startswith("runs.sqlite")
    )


@pytest.fixture
def assert_refused(store):
    def check(file, match):
        before = everything_in(store)
        with pytest.raises(CheckpointError, match=match):
            import_run(store, file)
        assert store.runs() == ()
        assert everything_in(store) == before

    return check


def test_run_is_the_same_elsewhere(left, archive, store):
    there, run = left
    found = import_run(store, io.BytesIO(archive))
    here = found.run
    assert (here.id, found.notes) == (run.id, ())
    for name in (
        "name",
        "state",
        "created",
        "started",
        "updated",
        "ended",
        "tags",
        "note",
        "best_validation_loss",
        "seconds",
    ):
        assert getattr(here, name) == getattr(run, name), name
    assert here.summary == run.summary | {"imported": True}
    np.testing.assert_array_equal(store.curve(here.id).to_numpy(), there.curve(run.id).to_numpy())
    assert store.events(here.id)[:-1] == there.events(run.id)
    assert store.events(here.id)[-1].kind == "imported"
    names = [[file.path for file in one.artefacts(run.id)] for one in (store, there)]
    assert names[0] == names[1]
    assert here.log_file.read_bytes() == run.log_file.read_bytes()
    assert here.run_dir.stat().st_mode & 0o777 == run.run_dir.stat().st_mode & 0o777


def test_forecasts_are_the_same_to_the_bit_elsewhere(left, archive, store):
    here = import_run(store, io.BytesIO(archive)).run
    assert RunFolder(here.run_dir).future().equals(RunFolder(left[1].run_dir).future())
    anew = [timellm.Forecaster.load(run.run_dir).forecast() for run in (here, left[1])]
    assert anew[0].equals(anew[1])


def test_imported_run_goes_on_to_the_same_weights(left, archive, store, tmp_path):
    here = import_run(store, io.BytesIO(archive)).run
    assert Path(here.config.data.path).parent == store.place.uploads
    assert Path(here.config.data.path).read_bytes() == Path(left[1].config.data.path).read_bytes()
    assert here.can_go_on
    go_on(store, here.id)
    assert work(here.id, store=store, fit=fit) == "finished"
    copy = shutil.copytree(left[1].run_dir, tmp_path / "copy")
    timellm.fit(left[1].config, run_dir=copy)
    assert (here.run_dir / "adapter.safetensors").stat().st_size > 0
    ours, theirs = (timellm.Forecaster.load(folder).forecast() for folder in (here.run_dir, copy))
    assert ours.equals(theirs)


def test_imported_run_is_duplicated_on_its_table(archive, store):
    here = import_run(store, io.BytesIO(archive)).run
    other = store.create_run(here.config.updated(steps=2))
    assert work(other.id, store=store, fit=fit) == "finished"
    assert of_run(store.get(other.id)) is not None
    assert of_run(here) is None, "another machine's time says nothing about this one"


def test_run_whose_id_is_taken_comes_in_under_another(archive, store):
    first, second = (import_run(store, io.BytesIO(archive)) for _ in range(2))
    assert first.run.id != second.run.id
    assert second.notes == (f"There is a run {first.run.id} here already, so this one is {second.run.id}.",)
    assert (second.run.run_dir / "adapter.safetensors").is_file()
    assert second.run.config == first.run.config
    assert len(list(store.place.uploads.iterdir())) == 1, "the same table is kept once"


def test_table_may_stay_behind(left, store, monkeypatch):
    out = io.BytesIO()
    held = write_archive(left[0], left[1].id, out, with_table=False)
    assert held.table_bytes == Path(left[1].config.data.path).stat().st_size
    assert not any("table/" in name for name in zipfile.ZipFile(out).namelist())
    elsewhere = rewritten(out.getvalue(), row={"config_text": left[1].config.updated(path="/not/there.csv").to_json()})
    found = import_run(store, elsewhere)
    assert "The archive does not contain its table" in found.notes[0]
    assert len(timellm.Forecaster.load(found.run.run_dir).forecast()) == 24


def test_only_what_a_run_writes_travels(left, tmp_path, store):
    run = left[1]
    copy = store.create_run(run.config)
    shutil.copytree(run.run_dir, copy.run_dir)
    (copy.run_dir / "events.out.tfevents.1").write_bytes(b"a tracker's")
    (copy.run_dir / "model.pt").write_bytes(b"a pickle")
    (copy.run_dir / "secret.txt").symlink_to("/etc/passwd")
    with pytest.raises(JobError, match="is queued; it can be exported when it has ended"):
        contents(copy)
    held = contents(store.request_stop(copy.id))
    assert set(held.left_out) == {"events.out.tfevents.1", "model.pt", "secret.txt"}
    assert "adapter.safetensors" in held.files


def named(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


@pytest.mark.parametrize(
    "name",
    ["../evil.txt", "files/../../evil.txt", "/etc/evil.txt", "files//evil.txt", "files/evil.pt", "files/evil.py",
     "evil.txt", "files/.hidden.txt", "files\\..\\evil.txt", "files/a/b/c/d/e.txt", "table/evil.sh",
     "files/", "files/n\nl.txt"],
)  # fmt: skip
def test_archive_with_a_name_that_no_run_has_is_refused(archive, assert_refused, name):
    assert_refused(rewritten(archive, more=[(named(name), b"x")]), "which no run's does; it is not imported")


def test_archive_with_a_link_or_a_name_twice_is_refused(archive, assert_refused):
    link = (named("files/link.txt", stat.S_IFLNK | 0o777), b"/etc/passwd")
    assert_refused(rewritten(archive, more=[link]), "which no run's does")
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = rewritten(archive, more=[("files/a.txt", b"1"), (named("files/a.txt"), b"2")])
    assert_refused(twice, "'files/a.txt' twice")


def test_archive_that_would_fill_the_disk_is_refused(archive, assert_refused, monkeypatch):
    bomb = rewritten(archive, more=[("files/log2.txt", bytes(80 * 2**20))], compress=zipfile.ZIP_DEFLATED)
    assert len(bomb.getvalue()) < 2**20
    assert_refused(bomb, "declares .* bytes of content, more than a run's would")
    monkeypatch.setattr(
        importing.shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(10**9, 10**9, 2**26 + 10)
    )
    assert_refused(io.BytesIO(archive), r"needs 0 MB and there is room for 0 MB; make room")


def test_archive_that_lies_about_a_size_is_refused(archive, assert_refused):
    with zipfile.ZipFile(io.BytesIO(archive)) as old:
        told = json.loads(old.read(MANIFEST))["files"]
    told["files/adapter.safetensors"]["bytes"] -= 1
    assert_refused(rewritten(archive, manifest={"files": told}), "does not have the size that its manifest says")
    data = bytearray(archive)  # the directory at the end declares less than there is
    at = data.rfind(b"files/adapter.safetensors") - 46
    data[at + 20 : at + 28] = struct.pack("<II", 10, 10)
    assert_refused(io.BytesIO(data), "damaged|does not have the size")


def test_archive_that_lost_bytes_at_its_begin_is_refused(archive, assert_refused):
    assert_refused(io.BytesIO(archive[:40] + archive[51:]), "the archive is damaged .*; export the run again")


def test_archive_of_too_many_files_is_refused_before_they_are_read(archive, assert_refused, monkeypatch):
    monkeypatch.setattr(unpacking, "MOST_FILES", 5)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    assert_refused(io.BytesIO(archive), "declares more than the 5 files")


@pytest.mark.parametrize(
    ("file", "match"),
    [
        (b"", "it is no zip archive"),
        (b"PK\x03\x04" + bytes(100), "it is no zip archive"),
        (b"\x80\x04\x95" + bytes(100), "it is no zip archive"),
    ],
)
def test_file_that_is_no_archive_is_refused(assert_refused, file, match):
    assert_refused(io.BytesIO(file), match)


@pytest.mark.parametrize("keep", [0.2, 0.9, 0.999])
def test_archive_that_is_cut_short_is_refused(archive, assert_refused, keep):
    assert_refused(io.BytesIO(archive[: int(len(archive) * keep)]), "no archive of a run|damaged")


def test_archive_with_a_flipped_bit_is_refused(archive, assert_refused):
    for at in range(40, len(archive), len(archive) // 25):
        data = bytearray(archive)
        data[at] ^= 4
        assert_refused(io.BytesIO(data), ".")


@pytest.mark.parametrize(
    ("manifest", "match"),
    [
        ({"version": 2}, "has version 2 and this workbench reads 1"),
        ({"format": "other"}, "describes something else"),
        ({"run": "../../etc"}, "describes something else"),
        ({"files": {}}, "and its manifest disagree about 'files/"),
        ({"extra": 1}, "manifest.json in the archive is damaged or from another version"),
    ],
)
def test_archive_with_another_manifest_is_refused(archive, assert_refused, manifest, match):
    assert_refused(rewritten(archive, manifest=manifest), match)


@pytest.mark.parametrize(
    "row",
    [
        {"state": "running"}, {"name": ""}, {"name": "a\0b"}, {"more": 1}, {"curve": [[1, 1, 1, 1], [1, 2, 2, 2]]},
        {"summary": {"skill": "high"}}, {"events": [["yesterday", "queued", ""]]}, {"done": -1},
        {"created": "2024-01-01"},
        {"fraction": float("nan")}, {"fraction": 1.5}, {"worked_s": -1.0}, {"train_loss": float("inf")},
        {"learning_rate": -0.1}, {"summary": {"seconds": -5}}, {"summary": {"more": float("nan")}},
        {"created": "0001-01-01T00:00:00+14:00"}, {"curve": [[2**31, 1, 1, 1]]}, {"name": "a\u202egpj.exe"},
        {"tags": ["one"] * 101}, {"note": "n" * 100_001}, {"summary": {"more": "m" * 2**20}},
        {"summary": json.loads("[" * 900 + "]" * 900)},
        {"config_text": "{"},
        {"config_text": "[" * 50_000},
        {"config_text": '{"data": {"path": "x"}, "model": {"layers": 0}}'},
    ],
)  # fmt: skip
def test_archive_with_a_row_that_no_run_has_is_refused(archive, assert_refused, row):
    with pytest.raises(timellm.errors.TimeLLMError):
        import_run(Store.open(), rewritten(archive, row=row))
    if "config_text" not in row:
        assert_refused(rewritten(archive, row=row), r"run\.json in the archive is damaged or from another version")


def test_archive_with_a_loss_beyond_the_runs_steps_is_refused(archive, assert_refused):
    row = {"curve": [[1, 1, 1, 1], [9, 1, 1, 1]]}
    assert_refused(rewritten(archive, row=row), "a loss at step 9, and the run had at most 8 steps")


def test_member_of_an_archive_that_is_nested_without_end_is_refused(archive, assert_refused):
    deep = b"[" * 10**6
    assert_refused(rewritten(archive, but={ROW: deep}), "nested more than 64 levels")
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, deep if name == MANIFEST else old.read(name))
    assert_refused(out, "nested more than 64 levels")
    for name in ("words.json", "summary.json"):
        assert_refused(rewritten(archive, but={f"files/{name}": deep}), f"{name} is damaged .*nested more than 64")


def test_curve_of_very_many_points_is_thinned_on_its_way_in(archive, left, store):
    steps = 250_000
    config = left[1].config.updated(steps=steps).to_json()
    files = {"files/config.json": None, "files/adapter.safetensors": None, "files/training_state.safetensors": None}
    row = {"curve": [[i, 0.5, 0.25, 1e-3] for i in range(1, steps + 1)], "config_text": config}
    found = import_run(store, rewritten(archive, row=row, but=files))
    assert "Of the 250,000 points of its curve, about 100,000 are kept." in found.notes
    kept = store.curve(found.run.id)
    assert len(kept) < 100_001
    assert kept["step"].iloc[0] == 1
    shown = store.curve(found.run.id, most=1500)
    assert len(shown) < 3100, "every point is a validation, and all were drawn"


def test_run_that_diverged_can_be_exported(left, tmp_path):
    here = Store.open(Workspace(tmp_path))
    run = here.create_run(left[1].config, name="a\tb\u202ec")
    assert run.name == "a b c"
    assert here.claim(run.id)
    here.record(run.id, Progress("training", done=1, total=8, train_loss=float("inf"), validation_loss=float("inf")))
    here.finish(run.id, "failed", error="diverged", summary={"best_validation_loss": float("inf")})
    out = io.BytesIO()
    write_archive(here, run.id, out, with_table=False)
    there = Store.open(Workspace(tmp_path / "there"))
    assert import_run(there, out).run.train_loss is None


def test_archive_whose_weights_do_not_fit_its_table_is_refused(archive, left, assert_refused):
    changed = left[1].config.updated(horizon=13).to_json().encode()
    assert_refused(rewritten(archive, but={"files/config.json": changed}), "config.json says")
    assert_refused(rewritten(archive, but={"files/scaler.json": b'{"mean": [1], "scale": [1]}'}), "was changed after")
    assert_refused(rewritten(archive, but={"files/adapter.safetensors": b"\x80\x04\x95" + bytes(99)}), "is a pickle")


def test_imported_run_executes_nobodys_code(archive, left, store):
    config = left[1].config.updated(trust_remote_code=True)
    found = import_run(store, rewritten(archive, row={"config_text": config.to_json()}))
    assert not found.run.config.model.trust_remote_code
    assert "that is switched off here" in found.notes[0]


def test_import_that_fails_at_the_end_leaves_nothing(archive, store, monkeypatch):
    before = everything_in(store)

    def fails(*_):
        raise JobError("the store is full")

    monkeypatch.setattr(importing, "replace_artefacts", fails)
    with pytest.raises(JobError, match="the store is full"):
        import_run(store, io.BytesIO(archive))
    assert store.runs() == ()
    assert everything_in(store) in (before, sorted({*before, "data", "data/uploads"}))


def test_what_a_killed_import_left_is_swept_by_the_next(archive, store):
    left = store.place.checkpoints / ".import-99999999-abc"
    (left / "files").mkdir(parents=True)
    own = store.place.checkpoints / f".import-{os.getpid()}-abc"
    own.mkdir()
    import_run(store, io.BytesIO(archive))
    assert not left.exists()
    assert own.exists(), "another import that is under way"


@pytest.fixture
def unread(monkeypatch):
    """Fails when the rows of the run's table are read."""

    def read(folder):
        raise AssertionError(f"{folder} was read")

    monkeypatch.setattr(RunFolder, "table", read)


def forty_million_rows(columns: dict[str, pa.Array]) -> bytes:
    """A Parquet file of 40 row groups of a million rows, with its digest."""
    out, rows = io.BytesIO(), pa.table(columns)
    with pq.ParquetWriter(out, rows.schema, compression="zstd") as writer:
        for _ in range(40):
            writer.write_table(rows)
        writer.add_key_value_metadata({KEY: SLOT})
    return sealed(out.getvalue(), at_end=True)


@pytest.mark.usefixtures("unread")
def test_files_of_forty_million_rows_are_refused_before_they_are_read(assert_refused, archive):
    numbers = np.random.default_rng(0).integers(0, 200, 8_000).repeat(125)
    load, moments = pa.array(numbers.astype(np.float64)), pa.array(np.zeros(10**6, np.int64)).cast(pa.timestamp("s"))
    names = pa.array(["load"]).take(pa.array(np.zeros(10**6, np.int32)))
    for name, columns in (
        ("table", {"load": load, "date": moments}),
        ("future", {"unique_id": names, "ds": moments, "yhat": load}),
        ("window_errors", {"model": names, "unique_id": names, "origin": pa.array(numbers)}),
    ):
        data = forty_million_rows(columns)
        assert len(data) < 4e6
        assert_refused(
            rewritten(archive, but={f"files/{name}.parquet": data}),
            rf"^in the archive, {name}\.parquet declares 40,000,000 rows that would take \d+ MiB, and the limit for "
            "this file is 512 MiB; nothing was imported.* copy the run's folder instead$",
        )


@pytest.mark.usefixtures("unread")
def test_table_that_does_not_shrink_is_refused_by_what_it_declares(assert_refused, archive, monkeypatch):
    # Random numbers do not shrink, so no limit on how far a file shrinks helps here.
    out, numbers = io.BytesIO(), np.random.default_rng(0).normal(size=5_000)
    pq.write_table(pa.table(dict.fromkeys("abc", numbers)), out)
    large = rewritten(archive, but={"files/table.parquet": out.getvalue()})
    monkeypatch.setattr(importing, "MOST_IN_MEMORY", 3 * 5_000 * 8 - 1)
    assert_refused(large, r"table\.parquet declares 5,000 rows that would take")


def test_damaged_file_of_an_archive_asks_for_another_export(assert_refused, archive):
    assert_refused(
        rewritten(archive, but={"files/summary.json": b"{"}),
        r"^in the archive, summary\.json is damaged .*; export the run again$",
    )


def test_row_says_nothing_of_where_it_was(archive):
    with zipfile.ZipFile(io.BytesIO(archive)) as old:
        row = json.loads(old.read(ROW))
    assert set(row) == set(Row.model_fields)
    assert not {"machine", "pid", "position"} & set(row)


def test_verbs_carry_a_run_from_one_workspace_to_another(left, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("TIMELLM_STORE", raising=False)
    monkeypatch.setenv("TIMELLM_HOME", str(left[0].place.root))
    file = tmp_path / "run.zip"
    assert main(["export", left[1].id, str(file), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["bytes"], said["table"]) == (file.stat().st_size, True)
    assert main(["export", left[1].id, str(file)]) == 2
    assert "is there already; name another file" in capsys.readouterr().err
    monkeypatch.setenv("TIMELLM_HOME", str(tmp_path / "home"))
    assert main(["import", str(file)]) == 0
    assert capsys.readouterr().out.startswith(f"{left[1].id}: From *elsewhere*, stopped, in ")
    assert main(["import", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run"] != left[1].id
    file.write_bytes(b"no archive")
    assert main(["import", str(file)]) == 2
    assert "this is no archive of a run" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "nothing.zip")]) == 2
    assert main(["export", "20200101-0000-aaaaa"]) == 2
