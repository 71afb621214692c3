"""What a reader must know before any view of the attention: whether it matters, and whether it differs at all."""

from __future__ import annotations

import streamlit as st

from timellm.ui.run_results import Results


def say(results: Results) -> None:
    """Say above all views that the language model adds nothing, or that attention is practically even."""
    if results.adds_nothing():
        st.info(
            "**The language model adds nothing to this run's forecasts**: no step of training improved on the "
            "linear path enough to be kept. What is shown here explains no forecast.",
            icon=":material/info:",
        )
    profile = results.attention_profile()
    if profile.practically_even:
        st.info(
            f"**Attention is practically even in this run**: a patch spreads it over {profile.effective:,.0f} of "
            f"{profile.prototypes:,} prototypes (the exponential of its entropy, averaged over heads, patches and "
            f"{profile.windows:,} test windows; above 90 % counts as even). The names of the prototypes hardly tell "
            "one patch from another.",
            icon=":material/info:",
        )
