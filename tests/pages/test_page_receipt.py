"""The comparison of quantizations on the set-up screen: empty, measuring, ready and failed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from timellm.config import RunConfig
from timellm.jobs.local import receipts
from timellm.jobs.local.receipts import UnderWay, receipt_key
from timellm.jobs.store.process import this_process
from timellm.sizing.receipt import Receipt, ReceiptRow
from timellm.sizing.receipt.measure import this_machine
from timellm.workspace import workspace

ROWS = (
    ReceiptRow("float32", "float32", 189.0, 1232.0, 1.4, 8, 0.0, 1.0, 0.0, 1.0, 0.01),
    ReceiptRow("bfloat16", "bfloat16", 94.5, 901.0, 0.7, 8, 0.0127, 0.9999, 0.0364, 0.9993, 0.02),
    ReceiptRow("8bit", "bfloat16", 74.4, 950.0, 0.72, 8, 0.0238, 0.9997, 0.0572, 0.9983, 0.0),
    ReceiptRow("4bit", cause="memory ran out"),
)


def config_on_page(app, table_id) -> RunConfig:
    """The configuration that the untouched form of the table has."""
    context = app.number_input(key=f"setting/{table_id}/context").value
    horizon = app.number_input(key=f"setting/{table_id}/horizon").value
    return RunConfig.create(workspace().uploads / table_id, context=context, horizon=horizon)


def keep(config: RunConfig, *rows: ReceiptRow) -> None:
    model, training = config.model, config.trained
    receipt = Receipt(
        model.backbone, model.layers, model.context, model.horizon, training.batch_size, "load_2.csv", 16,
        rows, this_machine(), datetime.now(UTC),
    )  # fmt: skip
    write(f"{receipt_key(config)}.json", receipt.to_json())


def write(name: str, text: str) -> None:
    workspace().receipts.mkdir(parents=True, exist_ok=True)
    (workspace().receipts / name).write_text(text)


def button(app, label):
    return next((button for button in app.button if button.label == label), None)


def captions(app) -> str:
    return "\n".join(caption.value for caption in app.caption)


@pytest.fixture
def started(monkeypatch) -> list[RunConfig]:
    """Configurations whose measurement the page has asked for; none is made."""
    asked: list[RunConfig] = []
    monkeypatch.setattr(receipts, "start_receipt", asked.append)
    return asked


def test_nothing_measured_yet_says_what_would_be(open_page, table_id, started):
    app = open_page("finetune", table=table_id)
    assert not app.exception
    assert any(
        "Measures the backbone on this machine in float32, bfloat16, 8 and 4 bits" in m.value for m in app.markdown
    )
    assert started == []
    app.number_input(key=f"setting/{table_id}/layers").set_value(4).run()
    button(app, "Measure").click().run()
    (config,) = started
    assert (config.model.backbone, config.model.layers) == ("smollm2-135m", 4)
    assert config.data.path == str(workspace().uploads / table_id)


def test_measuring_shows_how_far_it_is_and_can_be_cancelled(open_page, table_id, monkeypatch):
    app = open_page("finetune", table=table_id)
    key = receipt_key(config_on_page(app, table_id))
    busy = [UnderWay(key, "smollm2-135m", 0.4, "bfloat16: step 3 of 10", this_process())]
    monkeypatch.setattr(receipts, "under_way", lambda: busy[0] if busy else None)
    monkeypatch.setattr(receipts, "cancel_receipt", busy.clear)
    app.run()
    assert not app.exception
    assert (40, "bfloat16\\: step 3 of 10") in [(bar.value, bar.text) for bar in progress(app)]
    assert button(app, "Measure") is None
    button(app, "Cancel").click().run()
    assert not app.exception
    assert busy == []
    assert button(app, "Measure") is not None


def progress(app):
    return [element.proto for element in app.get("progress")]


def test_measuring_something_else_says_what(open_page, table_id, monkeypatch):
    busy = UnderWay("another", "some/model", 0.4, "4bit: loading", this_process())
    monkeypatch.setattr(receipts, "under_way", lambda: busy)
    app = open_page("finetune", table=table_id)
    assert any(bar.text.startswith("some/model, other settings") for bar in progress(app))


def test_kept_receipt_is_shown_with_units_sentence_and_place(open_page, table_id, started):
    app = open_page("finetune", table=table_id)
    config = config_on_page(app, table_id)
    keep(config, *ROWS)
    app.run()
    assert not app.exception
    table = app.table[0].value.map(lambda text: text.replace("\N{NO-BREAK SPACE}", " "))
    assert table.columns.tolist() == [
        "Precision",
        "Weights",
        "Peak",
        "Seconds a step",
        "Hidden error",
        "Gradient error",
    ]
    assert table["Precision"].tolist() == ["float32", "bfloat16", "8-bit", "4-bit"]
    assert table["Seconds a step"].tolist() == ["1.4 s", "**0.70 s**", "0.72 s", "–"]
    assert table["Peak"].tolist() == ["1.3 GB", "**945 MB**", "996 MB", "–"]
    assert table["Weights"].tolist()[2] == "**78 MB**"
    assert table["Gradient error"].tolist() == ["reference", "**3.6%**", "5.7%", "–"]
    said = "\n".join(markdown.value for markdown in app.markdown)
    assert "bfloat16 is 2.0 times as fast as float32 and needs 347 MB less memory" in said
    assert "4-bit: memory ran out" in captions(app)
    assert "Measured just now on this machine" in captions(app)
    assert "Other work" not in captions(app)
    button(app, "Measure again").click().run()
    assert len(started) == 1
    app.number_input(key=f"setting/{table_id}/layers").set_value(2).run()
    assert len(app.table) == 0, "other layers have no receipt yet"


def test_receipt_from_a_busy_or_another_machine_says_so(open_page, table_id, monkeypatch):
    app = open_page("finetune", table=table_id)
    keep(config_on_page(app, table_id), ReceiptRow("float32", "float32", 1.0, 900.0, 1.0, 8, 0, 1, 0, 1, 0.6))
    monkeypatch.setattr("psutil.cpu_count", lambda logical=True: 2)
    monkeypatch.setattr("timellm.ui.receipt.this_machine", lambda gpu: None)
    app.run()
    assert "Other work took up to 60% of the processor" in captions(app)
    assert app.table[0].value["Seconds a step"].tolist() == ["1.0\N{NO-BREAK SPACE}s"], "no best of spoilt seconds"
    assert "on another machine or with another torch" in captions(app)


def test_failed_measurement_shows_its_cause_and_offers_another(open_page, table_id, started):
    app = open_page("finetune", table=table_id)
    write(f"{receipt_key(config_on_page(app, table_id))}.failed.txt", "the training part is too short; lower 'context'")
    app.run()
    assert not app.exception
    assert "**The last measurement failed**" in app.error[0].value
    assert "The training part is too short; lower 'context'" in app.error[0].value
    assert button(app, "Measure again") is not None


def test_measurement_beside_a_run_is_warned_of(open_page, table_id, queued, started):
    app = open_page("finetune", table=table_id)
    assert "A run is at work. A measurement now would show too many seconds" in captions(app)


def test_refused_start_is_said_once(open_page, table_id, monkeypatch):
    from timellm.errors import JobError

    def refuse(config):
        raise JobError("the disk is full; make room")

    monkeypatch.setattr(receipts, "start_receipt", refuse)
    app = open_page("finetune", table=table_id)
    button(app, "Measure").click().run()
    assert "The disk is full; make room" in app.error[0].value
    app.run()
    assert not app.error


def test_nameless_backbone_has_nothing_to_measure(open_page, table_id):
    app = open_page("finetune", table=table_id)
    app.selectbox(key=f"setting/{table_id}/catalogue").select("another model").run()
    assert not app.exception
    assert button(app, "Measure") is None
