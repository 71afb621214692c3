"""Choosing a table: upload a file, or choose one that is here; and what is known about the chosen one.

The table's id, its corrected column roles and its edited description are in the URL; corrections are kept beside the
upload, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from timellm.config import DataConfig, RunConfig
from timellm.data import elsewhere
from timellm.data.encodings import LEGACY
from timellm.data.manyvalues import EACH
from timellm.data.samples import Sample, find_sample, samples
from timellm.data.season import suggest_description
from timellm.data.suggested import suggested
from timellm.data.uploads import save_upload, table_path, uploads
from timellm.errors import DataError, TimeLLMError
from timellm.ui import corrections, keys, known_ahead, prompt_bank, raw_preview
from timellm.ui.errors import show_error
from timellm.ui.loaders import columns
from timellm.ui.settings import Form

if TYPE_CHECKING:
    from timellm.data.columns import ColumnRoles
    from timellm.data.table import Table

_UPLOAD, _PICK, _FAILURE = (keys.view("data", name) for name in ("upload", "pick", "failure"))
_SAMPLE = "sample:"
ENDINGS = [ending.removeprefix(".") for ending in elsewhere.ENDINGS]
# How the file is written: setting -> label, and words for its values.
_WRITTEN: dict[str, tuple[str, dict[str, str]]] = {
    "header": ("First line", {"auto": "detected", "yes": "names the columns", "no": "is data"}),
    "decimal": ("Decimal sign", {"auto": "detected", "point": "point: 1234.5", "comma": "comma: 1234,5"}),
    "date_order": (
        "Order of dates",
        {"auto": "detected", "day_first": "day first", "month_first": "month first", "year_first": "year first"},
    ),
    "delimiter": (
        "Delimiter",
        {
            "auto": "detected",
            "comma": "comma",
            "semicolon": "semicolon",
            "tab": "tab",
            "bar": "bar |",
            "spaces": "spaces",
        },
    ),
    "ragged": (
        "Lines with other cells",
        {"auto": "left out if few", "leave_out": "left out", "pad": "filled up", "join": "filled up or joined"},
    ),
    "encoding": ("Encoding", {"auto": "detected", "utf-8": "Unicode (UTF-8)"} | LEGACY),
}


_WRITTEN_OUT = {
    "missing_codes": ("Codes for missing values", "asked; or write -9999 ---"),
    "sheet": ("Sheet, or file in a zip", "the only one"),
}


_EACH = "each column of numbers"


def titles() -> dict[str, str]:
    """Every table that is here: id -> title; own files newest first, then samples."""
    own = {upload.id: upload.name for upload in uploads()}
    return own | {sample_id(sample): f"Sample: {sample.title}" for sample in samples()}


def title(table_id: str) -> str:
    """A table's title, for headings and run names."""
    return titles().get(table_id, table_id).removeprefix("Sample: ")


def sample_id(sample: Sample) -> str:
    """The id of a bundled table."""
    return f"{_SAMPLE}{sample.key}"


def source() -> str | None:
    """The two ways in, side by side; returns the id of the chosen table."""
    known = titles()
    current = keys.chosen("table")
    left, right = st.columns(2)
    left.file_uploader("Your own table (CSV, Excel, Parquet, JSON)", type=ENDINGS, key=_UPLOAD, on_change=_bring)
    st.session_state[_PICK] = current if current in known else None  # the URL decides
    right.selectbox(
        "Or a table that is here",
        list(known),
        format_func=known.__getitem__,
        key=_PICK,
        placeholder="Choose a table",
        on_change=lambda: keys.choose("table", st.session_state[_PICK]),
    )
    right.caption(
        "Wide: one timestamp column and numeric columns. Long: `unique_id, ds, y`. The file stays on this machine."
    )
    if failure := st.session_state.pop(_FAILURE, None):
        show_error("The file was not taken", failure)
    corrections.show_failure()
    return current


def _bring() -> None:
    file = st.session_state[_UPLOAD]
    if file is None:  # taken out of the uploader again; the table stays
        return
    try:
        path = save_upload(file.name, content=file.getvalue())
    except TimeLLMError as error:
        st.session_state[_FAILURE] = str(error)
        return
    keys.choose("table", path.name)


def config(table_id: str) -> DataConfig:
    """The chosen table with its corrected column roles.

    Raises:
        DataError: there is no such table.
        ConfigError: a role in the URL has no meaning.
    """
    roles = keys.roles()
    if second := roles.get("known_file"):  # an address names an upload, never a file of this machine
        roles["known_file"] = str(table_path(str(second)))
    return DataConfig(**roles | {"path": str(table_path(table_id))})


def repaired(data: DataConfig, steps: tuple[str, ...]) -> DataConfig:
    """The same table with these repairs; the last resampling decides the step between rows.

    Raises:
        ConfigError: a step has no meaning, or stands at the wrong place.
    """
    again = {"frequency": None} if any(step.startswith("resample:") for step in steps) else {}
    return DataConfig(**data.model_dump() | {"repair": steps} | again)


def form(table_id: str, data: DataConfig, content: Table) -> Form:
    """The set-up form with the settings and the description suggested for this table.

    Raises:
        DataError: the table is too short for any run.
    """
    described = {"description": data.description or _usual_description(table_id, content)}
    usual = RunConfig(data=data)
    # All at once: a short context with the default patch would not be allowed.
    return Form(table_id, usual.updated(**described, **{one.name: one.value for one in suggested(content, usual)}))


def _usual_description(table_id: str, content: Table) -> str:
    """What a sample's own record says, or what can be read off the table."""
    if table_id.startswith(_SAMPLE):
        return find_sample(table_id.removeprefix(_SAMPLE)).description
    return suggest_description(content, title(table_id))


def description(form: Form, table: Table) -> None:
    """The text that becomes the prompt's first part, to edit; an edited one goes into the URL with the roles."""
    key = keys.setting(form.table_id, "description")
    prompt_bank.offer(form.table_id, table, title=title(form.table_id))
    st.text_area(
        "What the data is, in a sentence or two",
        **({} if key in st.session_state else {"value": form.default("description")}),
        key=key,
        persist_state="session",
        max_chars=4000,
        height=140,
        on_change=lambda: corrections.choose(keys.roles() | {"description": st.session_state[key]}),
    )


def roles_form(table_id: str) -> None:
    """What the columns mean and how the file is written, to correct; applying it reads the table again.

    Where the file cannot be read as a table at all, its columns are unknown, and only how it is written is offered.

    Raises:
        ConfigError: a setting in the URL has no meaning.
    """
    try:
        found = columns(config(table_id))
    except DataError:  # whoever has read the table shows why
        found = None
    raw_preview.show(config(table_id), expanded=found is None)
    with st.form(f"roles/{table_id}", border=False):
        settings = _roles(table_id, found) if found else {}
        settings |= known_ahead.roles(table_id, found) if found else {}
        with st.container(horizontal=True):
            for setting, (label, words) in _WRITTEN.items():
                settings[setting] = _written(table_id, setting, label, words)
        with st.container(horizontal=True):
            for setting, (label, example) in _WRITTEN_OUT.items():
                settings[setting] = st.text_input(
                    label, keys.roles().get(setting) or "", placeholder=example, key=keys.setting(table_id, setting)
                ).strip()
        if st.form_submit_button("Apply", icon=":material/check:"):
            kept = {name: value for name, value in keys.roles().items() if name not in settings}
            corrections.choose(kept | {name: value for name, value in settings.items() if value})
            st.rerun()
    known_ahead.second_file(table_id)


def _roles(table_id: str, found: ColumnRoles) -> dict[str, Any]:
    now = keys.roles()
    none = "detected"

    def pick(role: str, label: str, options: tuple[str, ...], detected: str | None) -> str | None:
        offered = [None, *dict.fromkeys([*options, *found.columns])]
        said = f"{none}: {detected}" if detected else "none detected"
        return st.selectbox(
            label,
            offered,
            index=offered.index(now.get(role)) if now.get(role) in offered else 0,
            format_func=lambda name: said if name is None else _EACH if name == EACH else name,
            key=keys.setting(table_id, role),
        )

    left, right = st.columns(2)
    with left:
        layouts = ["auto", "wide", "long"]
        words = {
            "auto": f"{none}: {found.layout}",
            "wide": "wide: a column each series",
            "long": "long: a row each value",
        }
        layout = st.selectbox(
            "Layout", layouts, index=layouts.index(now.get("layout", "auto")), format_func=words.__getitem__,
            key=keys.setting(table_id, "layout"),
        )  # fmt: skip
        time_column = pick("time_column", "Timestamp column", found.time_candidates, found.time_column)
        time_of_day = pick("time_of_day_column", "Time of day column", (), found.time_of_day_column)
        frequency = st.text_input(
            "Frequency",
            now.get("frequency") or "",
            placeholder="detected; or write h, 15min, D, MS …",
            key=keys.setting(table_id, "frequency"),
        )
    with right:
        id_column = pick("id_column", "Series ID column (long)", found.id_candidates, found.id_column)
        value_column = pick("value_column", "Value column (long)", (*found.value_candidates, EACH), found.value_column)
        channels = st.multiselect(
            "Channels to read",
            found.series,
            [name for name in now.get("channels", []) if name in found.series],
            placeholder="All of them",
            key=keys.setting(table_id, "channels-read"),
        )
    return {
        "layout": None if layout == "auto" else layout, "time_column": time_column, "time_of_day_column": time_of_day,
        "id_column": id_column, "value_column": value_column, "channels": channels, "frequency": frequency.strip(),
    }  # fmt: skip


def _written(table_id: str, setting: str, label: str, words: dict[str, str]) -> str | None:
    """One setting on how the file is written; None where it is detected."""
    options = list(dict.fromkeys([*words, keys.roles().get(setting, "auto")]))
    value = st.selectbox(
        label,
        options,
        index=options.index(keys.roles().get(setting, "auto")),
        format_func=lambda value: words.get(value, value),
        key=keys.setting(table_id, setting),
    )
    return None if value == "auto" else value
