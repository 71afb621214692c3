"""The set-up page's comparison of quantizations: measured in the background, then kept.

It reads the receipts of the workspace. It refreshes only while one is measured.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from timellm.config import RunConfig
from timellm.errors import TimeLLMError
from timellm.jobs.local import receipts
from timellm.jobs.local.receipts import UnderWay
from timellm.sizing.load import BUSY_SHARE
from timellm.sizing.receipt import Receipt, ReceiptRow, verdict
from timellm.sizing.receipt.measure import this_machine
from timellm.sizing.receipt.verdict import NAMES
from timellm.ui import keys
from timellm.ui.errors import show_error
from timellm.ui.loaders import backbone_ready, store
from timellm.ui.settings import Form
from timellm.ui.words import ago, memory, number, plain

_TICK_S = 2.0
_REFUSED = keys.view("finetune", "receipt-refused")
_COLUMNS = ("Precision", "Weights", "Peak", "Seconds a step", "Hidden error", "Gradient error")
_HELP = (
    "**Weights**: memory of the backbone's weights. **Peak**: memory of the whole process while it loads, trains and "
    "validates. **Errors**: how far hidden states and gradients at the patches are from those of float32. "
    "The best of a column is bold."
)


def compare_quantizations(form: Form, chosen: dict[str, Any]) -> None:
    """An expander with the receipt of the backbone as the form has it, or a button that measures one."""
    with st.expander("Compare quantizations"):
        try:
            config = form.gathered(**chosen)
        except TimeLLMError as error:
            st.caption(plain(f"{error}."))
            return
        if not config.model.backbone:
            st.caption("Name a backbone first.")
            return
        ticking = receipts.under_way() is not None

        @st.fragment(run_every=_TICK_S if ticking else None)
        def live() -> None:
            busy = receipts.under_way()
            if (busy is not None) != ticking:
                st.rerun()  # only the whole page can make the fragment tick, or stop it
            _content(config, busy)

        live()


def _content(config: RunConfig, busy: UnderWay | None) -> None:
    key = receipts.receipt_key(config)
    found, cause = receipts.kept_receipt(config), receipts.failure(config)
    if refused := st.session_state.pop(_REFUSED, None):
        show_error("The measurement was not started", refused)
    if found is not None:
        _show(found)
    elif busy is None and cause is None:
        st.markdown(
            "Measures the backbone on this machine in float32, bfloat16, 8 and 4 bits, on windows of this table: "
            "memory, seconds a step, and how far hidden states and gradients move."
        )
    if busy is not None:
        whose = "" if busy.key == key else f"{plain(busy.backbone)}, other settings · "
        st.progress(min(max(busy.share, 0.0), 1.0), text=f"{whose}{plain(busy.doing)}")
        st.button("Cancel", icon=":material/close:", key=keys.view("finetune", "receipt-cancel"), on_click=_cancel)
        return
    if cause is not None:
        show_error("The last measurement failed", cause)
    if working := store().active_runs():
        st.caption(
            f":material/warning: {'A run is' if working == 1 else 'Runs are'} at work. A measurement now would show "
            "too many seconds and slow the run down."
        )
    if not backbone_ready(config.model.backbone):
        st.caption("The backbone is fetched first.")
    again = found is not None or cause is not None
    st.button(
        "Measure again" if again else "Measure",
        icon=":material/replay:" if again else ":material/speed:",
        key=keys.view("finetune", "receipt-measure"),
        on_click=_start,
        args=(config,),
        help="Runs four short trainings, one after the other, each in its own process.",
    )


def _start(config: RunConfig) -> None:
    try:
        receipts.start_receipt(config)
    except TimeLLMError as error:
        st.session_state[_REFUSED] = str(error)
    st.rerun()


def _cancel() -> None:
    receipts.cancel_receipt()
    st.rerun()


def _show(receipt: Receipt) -> None:
    st.markdown(plain(verdict(receipt, memory)))
    st.table(table_rows(receipt), hide_index=True, border="horizontal", alt="Quantizations side by side")
    for row in receipt.rows:
        if row.cause:
            st.caption(f":material/error: {NAMES[row.precision]}: {plain(row.cause)}")
    machine = receipt.machine
    where = "on this machine" if machine == this_machine(machine.gpu) else "on another machine or with another torch"
    st.caption(
        f"Measured {ago(receipt.measured)} {where} ({plain(machine.gpu or machine.processor)}, {machine.cores} cores, "
        f"{memory(machine.memory_mib)}), batch {receipt.batch_size:,}, horizon {receipt.horizon:,}; errors over "
        f"{receipt.windows} windows of {plain(receipt.table)}.",
        help=_HELP,
    )
    if receipt.others_share > BUSY_SHARE:
        st.caption(
            f":material/warning: Other work took up to {receipt.others_share:.0%} of the processor during the "
            "measurement, so the seconds are too long to compare."
        )


def table_rows(receipt: Receipt) -> list[dict[str, str]]:
    """The table: readable units, the best of each column in bold, the reference's errors named as such."""
    fields = ("weights_mib", "peak_mib", "step_s", "hidden_error", "gradient_error")
    best = {name: _best(receipt, name) for name in fields}
    return [
        dict(
            zip(
                _COLUMNS,
                [NAMES[row.precision], *(_bold(_cell(row, name), row is best[name]) for name in fields)],
                strict=True,
            )
        )
        for row in receipt.rows
    ]


def _best(receipt: Receipt, name: str) -> ReceiptRow | None:
    """The row with the least of a measure; of the errors, float32 is left out, because it is the reference.

    None for seconds that were measured while other work took much of the processor.
    """
    if name == "step_s" and receipt.others_share > BUSY_SHARE:
        return None
    rows = [row for row in receipt.rows if getattr(row, name) is not None]
    if name.endswith("error"):
        rows = [row for row in rows if row.precision != "float32"]
    return min(rows, key=lambda row: getattr(row, name), default=None)


def _cell(row: ReceiptRow, name: str) -> str:
    value = getattr(row, name)
    if value is None:
        return "–"
    if name.endswith("mib"):
        return memory(value).replace(" ", "\N{NO-BREAK SPACE}")
    if name == "step_s":
        return f"{number(value, 2)}\N{NO-BREAK SPACE}s"
    return "reference" if row.precision == "float32" else f"{number(100 * value, 2)}%"


def _bold(text: str, best: bool) -> str:
    return f"**{text}**" if best else text
