"""What a user corrected about a table: column roles, how it is written, repairs, description; kept beside the upload.

Inputs: a table's id and settings of `DataConfig` as plain values. The table itself is never changed. A sample has its
corrections in the upload folder, too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from timellm.data.uploads import sample_settings, table_path
from timellm.errors import DataError
from timellm.json_text import read_json
from timellm.workspace import workspace, write_whole

MOST_BYTES = 20_000


def keep_corrections(table_id: str, settings: Mapping[str, Any]) -> None:
    """Keep corrections in place of earlier ones; none takes them away.

    Raises:
        DataError: there is no such table, or the folder cannot be written.
    """
    file = _file(table_id)
    try:
        if settings:
            text = json.dumps(dict(settings), ensure_ascii=False, indent=1)
            write_whole(file, lambda path: path.write_text(text, encoding="utf-8"))
        else:
            file.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"the corrections of this table cannot be kept in {file.parent} ({error.strerror}); they are in force until"
            " the page is closed. Free some space or set TIMELLM_HOME"
        ) from None


def kept_corrections(table_id: str) -> dict[str, Any]:
    """The corrections of a table; where none were kept, those that a sample comes with, or none.

    Raises:
        DataError: there is no such table, or the file is damaged.
    """
    file = _file(table_id)
    try:
        found = read_json(file, most_bytes=MOST_BYTES)
    except FileNotFoundError:
        return sample_settings(table_id)
    except (OSError, ValueError) as error:
        raise DataError(
            f"what was corrected about this table before cannot be read ({error}); correct it anew"
        ) from None
    if not isinstance(found, dict):
        raise DataError("what was corrected about this table before is no list of settings; correct it anew")
    return found


def _file(table_id: str) -> Path:
    path = table_path(table_id)  # an id from an address never becomes a path by itself
    stem = path.stem if path.parent == workspace().uploads else f"sample-{path.stem}"
    return workspace().uploads / f"{stem}.corrections.json"
