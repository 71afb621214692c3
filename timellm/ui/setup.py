"""The set-up page's three steps and its start: what to forecast, with which model, how long, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from timellm.config import RunConfig, TaskConfig, TimeLLMConfig, sections
from timellm.data.season import step_name
from timellm.data.suggested import Suggested, suggested
from timellm.data.told import Told
from timellm.errors import TimeLLMError
from timellm.forecasters.registry import OFFERED, REGISTRY
from timellm.forecasters.time_llm.catalog import CatalogueEntry, catalogue, find
from timellm.forecasters.time_llm.remote_code import CONSENT, needs_consent
from timellm.jobs.local.launcher import start_run
from timellm.jobs.store.promise import Promise
from timellm.plots.series import split_strip
from timellm.ui import charts, keys, prompt_bank, prompt_preview
from timellm.ui.beginning.chosen import DECIDED, as_chosen
from timellm.ui.errors import show_error
from timellm.ui.loaders import backbone_ready
from timellm.ui.place import Place
from timellm.ui.settings import Form, label, shown
from timellm.ui.settings import advanced as advanced_settings
from timellm.ui.words import NO_STEP_LIMIT, QUANTIZATION, memory, plain

if TYPE_CHECKING:
    from timellm.data.table import Table

OTHER = "another model"
_NOT_IN_A_NAME = ("path", "kind", "layout", "time_column", "id_column", "value_column", "frequency", "repair",
                  "description",
                  "dated_notes", "backbone", "quantization", "trust_remote_code", "device", "tracker", "start_from",
                  "pretrain_steps")  # fmt: skip
_MOST_IN_A_NAME = 3
_BLOCKED = (
    "This server can be reached from other machines. Code of a backbone runs here only when its operator allows it with"
    f" {CONSENT}=1 in the server's environment."
)


def what(form: Form, table: Table, *, advanced: bool) -> dict[str, Any]:
    """Step 1: channels, horizon, context, and the split as a strip."""
    channels = st.multiselect(
        "Channels",
        table.channels,
        key=keys.setting(form.table_id, "channels"),
        placeholder=f"All {len(table.channels):,} channels",
        help="Which channels to learn and forecast. Empty means all of them.",
        persist_state="session",
    )
    fitting = {one.name: one for one in suggested(table, RunConfig(data=form.defaults.data).updated(kind=form.kind))}
    left, right = st.columns(2)
    with left:
        horizon = form.widget("horizon")
        why = _why(form, fitting.pop("horizon"))
        st.caption(f"The rows to forecast. One row is one {step_name(table.frequency)}. {why}")
    with right:
        # A shorter one than a patch would contradict a setting that the simple face does not show.
        hidden = not advanced and form.has("patch_length")
        least = min(form.value("patch_length"), form.value("context")) if hidden else 1
        context = form.widget("context", min_value=least)
        st.caption(f"The rows before it that the model sees. {_why(form, fitting.pop('context'))}")
    _also_suggested(form, fitting.values())
    first = channels[0] if channels else table.channels[0]
    if advanced:
        _group(form, "Data")
    try:
        rows = TaskConfig(**{name: form.value(name) for name in TaskConfig.model_fields}).split_rows(len(table.values))
        charts.draw(split_strip, table.values[first], rows, alt="How the table is split")
        st.caption(
            f"Rows of each part in time order, drawn on {plain(first)}. The model learns from the first part only."
        )
    except TimeLLMError as error:
        show_error("The split does not work", str(error))
    return {"channels": channels, "horizon": horizon, "context": context}


def _also_suggested(form: Form, found: Iterable[Suggested]) -> None:
    """Settings that the simple face does not show, where the usual ones do not suit the table."""
    offered = [one for one in found if form.has(one.name)]
    if not offered:
        return
    with st.expander("Also chosen for this table", icon=":material/fit_width:"):
        for one in offered:
            now = form.value(one.name)
            st.caption(f"**{label(one.name, form.kind)}: {plain(str(now))}.** {_why(form, one)}")


def _why(form: Form, one: Suggested) -> str:
    """Why a setting is suggested; what is suggested, where the user chose another."""
    value = f"{one.value:,}" if isinstance(one.value, int) else one.value
    begin = "Suggested" if form.value(one.name) == one.value else f"Suggested are {value}"
    return plain(f"{begin}: {one.reason}.")


def with_what(form: Form, *, advanced: bool) -> dict[str, Any]:
    """Step 2: the forecaster and, of a language model, backbone, how many of its layers, quantization."""
    key = keys.setting(form.table_id, "kind")
    kind = st.selectbox(
        "Forecaster",
        list(OFFERED),
        index=0 if key in st.session_state else list(OFFERED).index(form.defaults.kind),
        format_func=lambda name: REGISTRY[name].title,
        key=key,
        persist_state="session",
    )
    st.caption(REGISTRY[kind].purpose)
    if not REGISTRY[kind].language_model:
        if advanced and advanced_settings("Model", kind):
            _group(form, "Model")
        return {}
    return _language_model(form, advanced=advanced)


def _language_model(form: Form, *, advanced: bool) -> dict[str, Any]:
    names = [entry.name for entry in catalogue()]
    picked = st.selectbox(
        "Backbone",
        [*names, OTHER],
        format_func=lambda name: _backbone_title(find(name)),
        key=keys.setting(form.table_id, "catalogue"),
        help="The frozen language model. Only small adapters around it are trained.",
        persist_state="session",
    )
    entry = find(picked)
    backbone = picked
    if entry is not None:
        st.caption(_facts(entry))
    else:
        backbone = st.text_input(
            "Hugging Face model id or local folder",
            key=keys.setting(form.table_id, "other-backbone"),
            placeholder="organisation/model, or a folder with config.json",
            persist_state="session",
        ).strip()
    _withdraw_trust(form, backbone)
    left, right = st.columns(2)
    with left:
        layers = form.widget("layers", max_value=entry.layers if entry else 256)
    with right:
        quantization = form.widget("quantization", label="Quantization")
    if advanced:
        _group(form, "Model")
    if form.value("trust_remote_code"):
        st.warning(
            f"Python code that ships with **{plain(backbone or 'this backbone')}** will run on this machine, with all"
            " your rights: it can read, change and send your files. Keep 'Run the backbone's code' on only if you trust"
            " its source.",
            icon=":material/warning:",
        )
    return {"backbone": backbone, "layers": layers, "quantization": quantization}


def how_long(form: Form, *, advanced: bool) -> dict[str, Any]:
    """Step 3: a number of steps, or minutes; nothing to choose for a kind that is fitted at once."""
    if not REGISTRY[form.kind].trains:
        st.caption("It is fitted at once, in seconds.")
        return {}
    left, right = st.columns(2)
    limit = keys.setting(form.table_id, "limit")
    by = left.segmented_control(
        "Limit by",
        ["Steps", "Minutes"],
        default=None if limit in st.session_state else "Steps",
        required=True,
        width="stretch",
        key=limit,
        persist_state="session",
    )
    with right:
        if by == "Steps":
            limits = {"steps": form.widget("steps"), "minutes": None}
        else:
            minutes = st.number_input(
                "Time budget, minutes",
                min_value=0.1,
                max_value=10_000.0,
                value=5.0,
                step=1.0,
                format="%g",
                key=keys.setting(form.table_id, "minutes"),
                help="Minutes of training; the learning rate follows the time. Loading and evaluation take more time.",
                persist_state="session",
            )
            limits = {"steps": NO_STEP_LIMIT, "minutes": minutes}
    if advanced:
        _group(form, "Training")
    return limits


def put(form: Form, settings: Mapping[str, Any]) -> None:
    """Set settings as their widgets would. Call it only in a callback, which runs before the widgets are drawn."""
    values = dict(settings)
    if (backbone := values.pop("backbone", None)) is not None:
        values |= {"catalogue": backbone} if find(backbone) else {"catalogue": OTHER, "other-backbone": backbone}
    begins = {name: values.pop(name) for name in DECIDED if name in values}
    values |= as_chosen(begins) if begins else {}
    if values.get("minutes", 0) is None:
        del values["minutes"]
    if "minutes" in values:
        values["limit"] = "Minutes"
    elif "steps" in values:
        values["limit"] = "Steps"
    if "kind" in values:  # it decides where the others are kept
        st.session_state[keys.setting(form.table_id, "kind")] = values.pop("kind")
    own = {name for fields in sections(form.kind).values() for name in fields.model_fields}
    for name, value in values.items():
        value = list(value) if isinstance(value, tuple) else value  # as a widget of several choices has it
        st.session_state[form.key(name) if name in own else keys.setting(form.table_id, name)] = value


def _withdraw_trust(form: Form, backbone: str) -> None:
    """Switch trust off when the backbone changes, or where the operator allows no code of backbones."""
    trusted = keys.setting(form.table_id, "trusted-backbone")
    changed = st.session_state.get(trusted, backbone) != backbone
    if changed or (needs_consent() and form.value("trust_remote_code")):
        st.session_state[keys.setting(form.table_id, "trust_remote_code")] = False
    st.session_state[trusted] = backbone


def _group(form: Form, name: str) -> None:
    with st.expander(f"All settings of this step: {name.lower()}", expanded=False), st.grid(3, min_column_width=190):
        for setting in advanced_settings(name, form.kind):
            blocked = setting == "trust_remote_code" and needs_consent()
            form.widget(setting, **{"disabled": True, "help": _BLOCKED} if blocked else {})


def _backbone_title(entry: CatalogueEntry | None) -> str:
    if entry is None:
        return "Another model (id or folder)"
    return f"{entry.title} · {'ready' if backbone_ready(entry.name) else _fetch(entry)}"


def _fetch(entry: CatalogueEntry) -> str:
    return f"{memory(entry.download_mib)} to fetch" + (", needs a login" if entry.gated else "")


def _facts(entry: CatalogueEntry) -> str:
    return plain(
        f"{entry.architecture} architecture, {entry.parameters_millions:,} million weights, width {entry.width:,}, "
        f"{entry.layers} layers, vocabulary {entry.vocabulary:,}, licence {entry.licence}. {entry.note}"
    )


def missing_for_start(config: RunConfig) -> list[str]:
    """What is missing before this run can start, in words, apart from its windows; empty when nothing is."""
    named = not isinstance(config.forecaster, TimeLLMConfig) or config.forecaster.backbone
    return [] if named else ["Name a backbone first"]


def what_is_told(config: RunConfig, table_id: str, table: Table, *, title: str) -> None:
    """What a language model is told in words, and whether it has to be fetched first."""
    if not isinstance(config.forecaster, TimeLLMConfig):
        return
    with st.expander("What the model is told about the data"):
        st.markdown(plain(config.data.description) or "Nothing.")
        prompt_bank.offer(table_id, table, title=title)
        st.page_link("data.py", label="Edit it on the data page", query_params={"table": table_id})
        if config.forecaster.tells_time:
            _told_of_time(config, table)
        prompt_preview.offer(config, table_id, table)
    if not backbone_ready(config.forecaster.backbone):
        st.caption("The backbone is fetched when the run starts; nothing is fetched before.")


def _told_of_time(config: RunConfig, table: Table) -> None:
    """What the prompt of the forecast after the table's end says of its time."""
    try:
        (words,) = Told(table, config.model).words([len(table.values)])
    except TimeLLMError as error:
        show_error("The holidays cannot be told", str(error))
        return
    st.caption(f"Of the time after the table's end: {plain(words.strip()) or 'nothing'}")


def show_all() -> None:
    """Show every setting. Call it only in a callback."""
    st.session_state[keys.in_address("face")["key"]] = keys.FACES[1]


def run_name(table_title: str, chosen: dict[str, Any], *, config: RunConfig | None, usual: RunConfig) -> str:
    """A name for a run without one: table, backbone, quantization, and settings that differ from the usual ones."""
    parts = [table_title]
    if "backbone" in chosen:
        entry = find(chosen["backbone"])
        parts.append(entry.title if entry else chosen["backbone"])
        if chosen["quantization"] != "none":
            parts.append(QUANTIZATION[chosen["quantization"]])
    elif config is not None:
        parts.append(REGISTRY[config.kind].title)
    changed = config.differences(usual) if config else {}
    told = [name for name in changed if name not in _NOT_IN_A_NAME and not ("minutes" in changed and name == "steps")]
    parts += [f"{label(name)} {shown(name, changed[name][0])}" for name in told[:_MOST_IN_A_NAME]]
    return ", ".join(filter(None, parts))[:120]


def start(config: RunConfig, name: str, where: Place, promise: Promise | None) -> None:
    """Start the run and open the page that shows its progress."""
    try:
        run = start_run(config, name=name, on_cluster=where.on_cluster, workers=where.workers, promise=promise)
    except TimeLLMError as error:
        show_error("The run could not be started", str(error))
        return
    keys.choose("run", run.id)
    st.switch_page("runs.py", query_params={"run": run.id})
