"""How attention changed while a run trained: one sentence, and the numbers by validation.

Inputs: what the run kept of its attention at every validation. Nothing here is worked out anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from timellm.forecasters.time_llm.attention_history import AttentionHistory


def history_sentence(found: AttentionHistory, *, prototypes: int, kept: int) -> str:
    """How narrow attention was at the first and at the last validation; `kept` is the step whose weights remain."""
    where = f"pinned windows: {found.windows:,}. The run keeps step {kept:,}."
    if len(found.step_K) == 1:
        return (
            f"At step {found.step_K[0]:,}, the only one that was looked at, a patch attends to "
            f"{found.effective_Kh.mean():,.0f} of {prototypes:,} prototypes, mean of heads; {where}"
        )
    begin, end = found.effective_Kh.mean(axis=1)[[0, -1]]
    first, final = found.top_share_Kh.mean(axis=1)[[0, -1]]
    return (
        f"From step {found.step_K[0]:,} to step {found.step_K[-1]:,}, a patch's attention went from {begin:,.0f} to "
        f"{end:,.0f} of {prototypes:,} prototypes, mean of heads, and the ten most attended from {first:.1%} to "
        f"{final:.1%} of it. Validations: {len(found.step_K):,}, on the same {where}"
    )


def history_frame(found: AttentionHistory, labels: Sequence[str], shown: np.ndarray) -> pd.DataFrame:
    """A row for each validation: prototypes that each head attends to, and the attention to those shown.

    `shown` are positions in the history's own list; `labels` name them.
    """
    index = pd.Index(found.step_K, name="step")
    names = [f"prototypes of head {number + 1}" for number in range(found.effective_Kh.shape[1])]
    heads = pd.DataFrame(found.effective_Kh, columns=names, index=index)
    columns = [f"attention to {label}" for label in labels]
    return heads.join(pd.DataFrame(found.attention_KV[:, shown], columns=columns, index=index))
