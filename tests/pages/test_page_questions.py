"""A table that can be read in several ways: the page asks, and one click answers."""

import json
from urllib.parse import unquote

import pytest

from timellm.config import DataConfig
from timellm.data.table import load_table
from timellm.data.uploads import save_upload, table_path

DAYS = [f"2020-{month:02d}-{day:02d}" for month, last in ((1, 31), (2, 9)) for day in range(1, last + 1)]


def rows(separator: str, cell: str) -> str:
    return "".join(f"{day}{separator}{cell.format(n)}\n" for n, day in enumerate(DAYS, start=1))


TABLES = {
    "decimal": ("ds;y\n" + rows(";", "1.{:03d}")).encode(),
    "header": rows(",", "{}").encode(),
    "encoding": ("ds,нагрузка\n" + rows(",", "{}")).encode("koi8-r"),
}


@pytest.mark.parametrize(
    ("setting", "answer", "channel", "largest"),
    [
        ("decimal", "comma", "y", 1040),
        ("decimal", "point", "y", 1.04),
        ("header", "no", "column 2", 40),
        ("header", "yes", "1", 40),
        ("encoding", "koi8-r", "нагрузка", 40),
        ("encoding", "cp1251", "ОБЗТХЪЛБ", 40),
    ],
)
def test_one_click_answers_and_the_table_is_drawn(open_page, setting, answer, channel, largest):
    app = open_page("data")
    app.file_uploader[0].upload("My table.csv", TABLES[setting]).run()
    assert not app.exception
    assert not app.error
    assert not app.metric
    question = next(part.value for part in app.markdown if "How is this table to be read?" in part.value)
    assert "My table.csv" in question.replace("\\", "")
    table_id = app.query_params["table"]
    choice = app.radio(key=f"data/answer/{table_id}/{setting}")
    assert choice.value is None
    choice.set_value(answer).run()
    assert not app.exception
    assert not app.error
    assert not app.radio
    assert json.loads(unquote(app.query_params["roles"])) == {setting: answer}
    assert {metric.label: metric.value for metric in app.metric}["Rows"] == ("39" if answer == "yes" else "40")
    assert next(box for box in app.selectbox if box.label == "Channel").options == [channel]
    table = load_table(DataConfig(path=str(table_path(table_id)), **{setting: answer}))
    assert table.values[channel].max() == largest
    reloaded = open_page("data", **app.query_params)
    assert not reloaded.radio
    assert reloaded.selectbox(key=f"setting/{table_id}/{setting}").value == answer


def test_answer_can_be_corrected_under_columns(open_page):
    app = open_page("data")
    app.file_uploader[0].upload("My table.csv", TABLES["decimal"]).run()
    app.radio[0].set_value("comma").run()
    table_id = app.query_params["table"]
    app.selectbox(key=f"setting/{table_id}/decimal").set_value("point")
    next(button for button in app.button if button.label == "Apply").click().run()
    assert not app.exception
    assert json.loads(unquote(app.query_params["roles"])) == {"decimal": "point"}


def test_set_up_asks_as_well(open_page):
    app = open_page("data")
    app.file_uploader[0].upload("My table.csv", TABLES["decimal"]).run()
    app.switch_page("finetune.py").run()
    assert not app.exception
    assert not app.error
    app.radio[0].set_value("comma").run()
    assert not app.exception
    assert any("40 rows of 1 channel" in part.value for part in app.markdown)


@pytest.mark.parametrize("roles", ['{"frequency":"999999999999999D"}', '{"encoding":"zlib"}', '{"decimal":"both"}'])
def test_nonsense_in_the_address_is_one_error(open_page, table_id, roles):
    app = open_page("data", table=table_id, roles=roles)
    assert not app.exception
    assert len(app.error) == 1
    assert "etting '" in app.error[0].value


def test_file_that_is_no_table_is_refused_once_and_its_encoding_can_be_corrected(open_page):
    app = open_page("data")
    app.file_uploader[0].upload("My table.csv", TABLES["encoding"]).run()
    table_id = app.query_params["table"]
    wrong = open_page("data", table=table_id, roles='{"encoding":"utf-8","description":"Load."}')
    assert not wrong.exception
    assert [error.value for error in wrong.error] == [
        "**This table cannot be used as it is**  \nMy table.csv, line 1\\: the text is not UTF-8; save it as "
        "CSV in UTF-8, or correct setting 'encoding'"
    ]
    wrong.selectbox(key=f"setting/{table_id}/encoding").set_value("koi8-r")
    next(button for button in wrong.button if button.label == "Apply").click().run()
    assert not wrong.error
    assert json.loads(unquote(wrong.query_params["roles"])) == {"description": "Load.", "encoding": "koi8-r"}


def test_first_lines_of_the_file_stand_beside_the_question_and_a_second_code_can_be_answered(open_page, home):
    rows = [f"2020-01-{n:02d},{'---' if n in (2, 3, 4) else '-999' if n in (6, 7, 8) else n}" for n in range(1, 31)]
    name = save_upload("codes.csv", content=("Office of codes\nday,a\n" + "\n".join(rows)).encode()).name
    app = open_page("data", table=name)
    for code in ("---", "--- -999"):
        assert not app.exception
        assert app.code[0].value.startswith("Office of codes\nday,a\n2020-01-01,1\n")
        (radio,) = app.radio
        radio.set_value(code).run()
    assert not app.exception
    assert not app.radio
    assert any("Line 1 stands above the table" in text.value for text in app.markdown)
