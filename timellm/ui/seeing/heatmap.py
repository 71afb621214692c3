"""The window and, linked with it, which prototypes its patches attend to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from timellm.explain.ordering import ORDERS, Order, shown_prototypes
from timellm.explain.profiles import AttentionProfile, Head
from timellm.plots.attention import AttentionPicture, Scale
from timellm.plots.attention_html import attention_html
from timellm.plots.attention_print import attention_figure
from timellm.plots.linked import HEATMAP, ROWS_IN_VIEW, SPAN, Marks, linked_chart, linked_height, picked
from timellm.ui import charts, keys
from timellm.ui.address import ALL_HEADS, LARGEST_HEAD
from timellm.ui.errors import explained
from timellm.ui.seeing import clusters, downloads, reading
from timellm.ui.seeing.chosen import Chosen
from timellm.ui.words import moment, plain

if TYPE_CHECKING:
    from timellm.explain.attention import AttentionMap

_SHARE, _DEVIATION = "Share", "Deviation"
_ORDER_WORDS: dict[Order, str] = {
    "attended": "Most attended first",
    "changed": "Furthest from the average first",
    "attention": "Attended alike side by side",
    "embedding": "Similar embeddings side by side",
}
_COUNTS = (8, 16, 24, 32, 40, 64, 100, 200, 400, 700)
_CHART, _CLICKED = "attention/linked", "attention/clicked"


@dataclass(frozen=True)
class _Shown:
    """What of a window is drawn."""

    found: AttentionMap
    profile: AttentionProfile
    head: Head
    deviation: bool
    prototypes: tuple[int, ...]
    """All that were asked for, in their order."""
    first: int
    """Place among them of the first one in view."""

    @property
    def in_view(self) -> tuple[int, ...]:
        """Those that the chart on the page has room for."""
        return self.prototypes[self.first : self.first + ROWS_IN_VIEW]

    @property
    def weights(self) -> np.ndarray:
        """[P, V] whatever is drawn of them."""
        return self.found.matrix(self.head)

    @property
    def average(self) -> np.ndarray:
        """[V] of the run."""
        return self.profile.average(self.head)

    def picture(self, prototypes: tuple[int, ...]) -> AttentionPicture:
        """Some prototypes, with their colours' scale."""
        values = self.weights - self.average if self.deviation else self.weights
        labels = tuple(self.found.label(one) for one in prototypes)
        scale = Scale.of(self.profile.prototypes, deviation=self.deviation)
        return AttentionPicture(values[:, list(prototypes)], labels, self.found.spans, self.found.context, scale)


def show(chosen: Chosen) -> None:
    """Draw the view."""
    _window(chosen)
    if (groups := chosen.results.patch_clusters()) is not None:
        clusters.show(chosen, groups)


@st.fragment
def _window(chosen: Chosen) -> None:
    """The linked chart; a change of what it shows draws nothing else of the page anew."""
    with explained("The attention of this window cannot be shown"):
        _linked(chosen)


def _linked(chosen: Chosen) -> None:
    shown = _choose_shown(chosen)
    picture = shown.picture(shown.in_view)
    st.caption(
        "A column is a patch, drawn where its middle lies; a row is a prototype; the colour is the share of the "
        f"patch's attention that it gets{', less what this run gives it on average' if shown.deviation else ''}. "
        "Point at the series or at a cell to light the other. Click a cell to choose it. To choose a span of the "
        "series, press the left tool above the names and draw on the series."
    )
    patch, prototype = _choose_cell(shown)
    st.markdown(_cell_sentence(shown, patch, prototype=prototype))
    row = shown.in_view.index(prototype) if prototype in shown.in_view else None
    of = reading.clusters_of_window(chosen.results, chosen.channel, cutoff=chosen.cutoff)
    event = st.echarts_chart(
        linked_chart(picture, Marks(patch, row, of), dark=charts.on_dark()),
        height=linked_height(picture),
        key=_CHART,
        on_select=_take_cell(shown.in_view, len(shown.weights)),
        alt=f"Attention of {len(shown.weights)} patches to {len(shown.in_view)} prototypes, below the series",
    )
    _say_span(shown, event.selection.selected)

    title = f"{chosen.channel}, window to {moment(chosen.cutoff)}, {_head_words(shown.head).lower()}"
    downloads.offer(
        f"attention-{chosen.results.run.id}",
        lambda: attention_figure(shown.picture(shown.prototypes), title=title, patch=patch),
        lambda: shown.found.frame(shown.head, less=shown.average if shown.deviation else None),
        page=lambda: attention_html(shown.picture(shown.prototypes), title=title),
    )


def _choose_shown(chosen: Chosen) -> _Shown:
    found, profile = chosen.attention(), chosen.results.attention_profile()
    heads: list[Head] = [None, "max", *range(len(found.weights))]
    counts = [*(count for count in _COUNTS if count < profile.prototypes), profile.prototypes]
    first, second, third, fourth = st.columns(4)
    head = first.selectbox("Head", heads, format_func=_head_words, **keys.in_address("head", heads))
    kind = second.segmented_control(
        "Weights", [_SHARE, _DEVIATION], default=_SHARE, required=True, **keys.in_address("weights"),
        help="The share of its attention that a patch gives a prototype, or how far that is from the average over "
        f"{profile.windows:,} of {profile.all_windows:,} test windows. The colours mean the same for every window.",
    )  # fmt: skip
    order = third.selectbox(
        "Rows", list(ORDERS), format_func=_ORDER_WORDS.__getitem__, **keys.in_address("order", ORDERS)
    )
    count = counts[0]
    if len(counts) > 1:
        count = fourth.select_slider(
            "Prototypes shown", counts, value=counts[min(1, len(counts) - 1)], **keys.in_address("prototypes", counts)
        )
    rows = shown_prototypes(profile, found.matrix(head), head=head, count=count, order=order)
    return _Shown(found, profile, head, kind == _DEVIATION, tuple(int(one) for one in rows), _choose_first(count))


def _choose_first(count: int) -> int:
    """Which part of so many rows is in view: the place of its first one."""
    if count <= ROWS_IN_VIEW:
        return 0
    places = range(0, count, ROWS_IN_VIEW)
    first: int = st.select_slider(
        "Rows in view", places, **keys.in_address("rows", places),
        format_func=lambda place: f"{place + 1:,} to {min(place + ROWS_IN_VIEW, count):,}",
    )  # fmt: skip
    return first


def _choose_cell(shown: _Shown) -> tuple[int, int]:
    """Patch and prototype, both counted from 0."""
    patches, options = len(shown.weights), [None, *shown.in_view]
    left, right = st.columns(2)
    patch = left.slider("Patch", 1, patches, patches // 2 or 1, **keys.in_address("patch", range(1, patches + 1))) - 1
    prototype = right.selectbox(
        "Prototype", options, **keys.in_address("prototype", options),
        format_func=lambda one: (
            "The one this patch attends most" if one is None else shown.found.label(one)
        ),
    )  # fmt: skip
    weights_V = shown.weights[patch]
    best = max(shown.prototypes, key=lambda one: weights_V[one])
    return patch, best if prototype is None else prototype


def _cell_sentence(shown: _Shown, patch: int, *, prototype: int) -> str:
    weights_P = shown.weights[:, prototype]
    first, last = shown.picture(shown.in_view).span(patch)
    most = int(weights_P.argmax())
    return (
        f"Patch {patch + 1} of {len(weights_P)}, {moment(first)} to {moment(last)}, gives prototype {prototype + 1} "
        f"(**{plain(shown.found.words[prototype])}**) **{weights_P[patch]:.2%}** of its attention. The patches of this "
        f"run give it {shown.average[prototype]:.2%} on average; equal attention would be "
        f"{1 / shown.profile.prototypes:.2%}. In this window patch {most + 1} gives it most, {weights_P[most]:.2%}."
    )


def _take_cell(prototypes: tuple[int, ...], patches: int) -> Callable[[], None]:
    """What happens when a cell is clicked: the widgets for patch and prototype show it.

    A second click on a cell takes the browser's selection off it; only what was clicked last says which cell that was.
    """

    def take() -> None:
        groups: list[dict[str, Any]] = st.session_state[_CHART].selection.selected
        now = next((group["data_indices"][0] for group in groups if group["series_index"] == HEATMAP), None)
        before = st.session_state.get(_CLICKED)
        st.session_state[_CLICKED] = now
        place = before if now is None else now
        if now == before or place is None:  # a span was drawn
            return
        if place >= patches * len(prototypes):  # of more cells than there are now
            return
        patch, row = picked(place, len(prototypes))
        st.session_state["patch"], st.session_state["prototype"] = patch + 1, prototypes[row]

    return take


def _say_span(shown: _Shown, groups: list[dict[str, Any]]) -> None:
    """What the patches that a span touches attend to."""
    touched: list[int] = next((group["data_indices"] for group in groups if group["series_index"] == SPAN), [])
    inside = [patch for patch in touched if patch < len(shown.weights)]
    if not inside:
        return
    mean_V, picture = shown.weights[inside].mean(axis=0), shown.picture(shown.in_view)
    best = sorted(shown.prototypes, key=lambda one: -mean_V[one])[:3]
    words = {one: ", ".join(shown.found.words[one].split(", ")[:3]) for one in best}
    named = ", ".join(f"**{plain(words[one])}** ({mean_V[one]:.2%})" for one in best)
    st.markdown(
        f"The span touches patches {inside[0] + 1} to {inside[-1] + 1}, {moment(picture.span(inside[0])[0])} to "
        f"{moment(picture.span(inside[-1])[1])}. On average they give most attention to {named}."
    )


def _head_words(head: Head) -> str:
    if head is None:
        return ALL_HEADS
    return LARGEST_HEAD if head == "max" else f"Head {head + 1}"
