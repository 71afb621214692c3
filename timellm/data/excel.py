"""A frame as an Excel workbook. It needs XlsxWriter, an optional part.

Inputs: a frame, in which names may be a stranger's. Outputs: the bytes of an .xlsx file, in which no text is a formula
or a link.
"""

from __future__ import annotations

import io

import pandas as pd

from timellm.installation import install_command
from timellm.optional import import_optional

_OPTIONS = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
MOST_ROWS = 1_000_000  # of a sheet, with its header


def to_excel(frame: pd.DataFrame, *, sheet: str = "forecast") -> bytes:
    """A frame as one sheet.

    Raises:
        ConfigError: XlsxWriter is not installed; the message has the command that installs it.
    """
    import_optional("xlsxwriter", title="Excel", install=install_command("excel"))
    out = io.BytesIO()
    daily = all((one == one.dt.normalize()).all() for _, one in frame.select_dtypes("datetime").items())
    written = {"datetime_format": "yyyy-mm-dd" if daily else "yyyy-mm-dd hh:mm"}
    with pd.ExcelWriter(out, engine="xlsxwriter", engine_kwargs={"options": _OPTIONS}, **written) as writer:
        frame.iloc[: MOST_ROWS - 1].to_excel(writer, sheet_name=sheet, index=False, freeze_panes=(1, 0))
        writer.sheets[sheet].autofit()
    return out.getvalue()
