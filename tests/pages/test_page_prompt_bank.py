"""The prompt bank on the pages: a table that looks like a published set is offered its description."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from timellm.data.uploads import save_upload
from timellm.protocols.sets import find_set

ILI = find_set("ILI")


@pytest.fixture
def illness() -> str:
    """Id of an uploaded table with the columns, step and rows of the illness set."""
    frame = pd.DataFrame({name: np.random.default_rng(0).normal(9, 1, ILI.rows) for name in ILI.names})
    frame.insert(0, "date", pd.date_range("2002-01-01", periods=ILI.rows, freq="7D"))
    return save_upload("flu.csv", content=frame.to_csv(index=False).encode()).name


@pytest.mark.parametrize("page", ["data", "finetune"])
def test_description_of_the_set_that_the_table_looks_like_is_taken(open_page, illness, page):
    app = open_page(page, table=illness)
    bank = app.selectbox(key=f"setting/{illness}/prompt_bank")
    assert bank.value is None and bank.options[0] == "ILI, which this table looks like"
    assert any("looks like ILI" in caption.value for caption in app.caption)
    assert not any(ILI.description[:40] in part.value for part in [*app.markdown, *app.text_area])
    bank.select("ILI").run()
    assert not app.exception and not app.warning
    assert any(ILI.description[:40] in part.value for part in [*app.markdown, *app.text_area])
    again = open_page(page, **app.query_params)
    assert any(ILI.description[:40] in part.value for part in [*again.markdown, *again.text_area])


def test_own_words_stay_and_other_tables_look_like_no_set(open_page, table_id, illness):
    app = open_page("data", table=illness)
    app.text_area[0].set_value("Flu in my town.").run()
    app.switch_page("finetune.py").run()
    assert any("Flu in my town" in part.value for part in app.markdown)
    other = open_page("data", table=table_id)
    assert not any("looks like" in option for option in other.selectbox(key=f"setting/{table_id}/prompt_bank").options)
