"""The queue an analyst works on: which one, filtered by what, and its place kept in the address of the page."""

from __future__ import annotations

import streamlit as st

from red_core.access.who import who_acts
from red_core.records import Label, Project, Round
from red_core.store.batches import BatchCounts, batch_counts, sample_of
from red_core.store.desk import Filters, Item, judges, queue
from red_core.store.labels import current_layout
from widgets.shell.reads import queue_counts
from widgets.shell.words import judge_name

SAMPLE_QUEUE = "sample of a list"
"""The queue of what was drawn from a list that is to be decided at once."""
QUEUE_MEANS = {
    "to decide": "worth your answer, the most informative first",
    "judge against classifiers": "the judge said invalid",
    "judge unsure": "the judge did not say valid or invalid",
    "judged valid": "the judge said valid",
    "stale": "judged under an older meaning of the label",
    "low belief": "no label is likely, the least likely first",
    "none of these": "likely to belong to no label",
    "contradictions": "labelled texts that stand under two labels; they train nothing until one is chosen",
    "random": "any text without a decision, in random order",
    "decided": "what was decided, the newest first, to look at again",
    SAMPLE_QUEUE: "drawn at random from a list that is to be decided at once; see below the desk",
}


def choose_queue(project: Project, labels: dict[int, Label], rounds: int) -> tuple[str, Filters, bool]:
    """Show the queues with their counts, the filters folded away; return what is chosen, and whether plain buttons."""
    counts = queue_counts(project)
    if (batch := open_batch(project)) is not None:
        counts = counts | {SAMPLE_QUEUE: batch.sampled - batch.decided}
    if (asked := st.query_params.get("review_queue")) in counts:  # the address names a queue, whatever its count
        st.session_state.setdefault("review_queue", asked)
    left, middle, right = st.columns([2, 1, 2], vertical_alignment="bottom")
    name = left.selectbox(
        "Queue",
        list(counts),
        help="\n".join(f"- **{one}** ({count:,}): {QUEUE_MEANS[one]}" for one, count in counts.items()),
        format_func=lambda one: f"{one} ({counts[one]:,})",
        key="review_queue",
        persist_state="session",
    )
    st.query_params["review_queue"] = name
    set_ = sum(st.session_state.get(f"review_{one}") is not None for one in ("label", "subset", "round", "judge"))
    with middle.popover(f"Filters ({set_})" if set_ else "Filters", icon=":material/filter_list:", width="stretch"):
        label = st.selectbox(
            "Label", list(labels), format_func=lambda n: labels[n].name, index=None, key="review_label",
            placeholder="All labels", bind="query-params", persist_state="session",
        )  # fmt: skip
        subsets = sorted(set(current_layout(project)[1].tolist()))
        subset = st.selectbox(
            "Subset", subsets, format_func=lambda n: f"Subset {n + 1}", index=None, key="review_subset",
            placeholder="All subsets", bind="query-params", persist_state="session",
        )  # fmt: skip
        asked_in = st.selectbox(
            "Round", list(range(1, rounds + 1)), format_func=lambda n: f"Round {n}", index=None, key="review_round",
            placeholder="All rounds", bind="query-params", persist_state="session",
        )  # fmt: skip
        judge = st.selectbox(
            "Judge", judges(project), format_func=judge_name, index=None, key="review_judge",
            placeholder="All judges", bind="query-params", persist_state="session",
        )  # fmt: skip
        native = st.toggle(
            "Plain buttons",
            key="native_buttons",
            bind="query-params",
            help="For a browser in which the desk does not show: slower, and the same decisions.",
        )
    search = right.text_input(
        "Search in the texts",
        key="review_search",
        persist_state="session",
        placeholder="A part of the text, word for word; of decided ones also of the reason",
        bind="query-params",
    )
    return name, Filters(label, subset, asked_in, judge or "", search.strip()), native


def queue_key(project: Project, current: Round, name: str, filters: Filters, edited: int) -> str:
    """Return what tells one queue from another, whatever is decided in it."""
    return repr((project.folder.as_posix(), current.id, name, filters, edited))


def items_of(project: Project, current: Round, name: str, filters: Filters) -> list[Item]:
    """Return the items of a queue as they stand now; what this person skipped comes last."""
    if name == SAMPLE_QUEUE:
        batch = open_batch(project)
        return sample_of(project, batch.id) if batch is not None else []
    return queue(project, current.id, name, filters, who=who_acts())


def open_batch(project: Project) -> BatchCounts | None:
    """Return the newest batch where it waits for its sample, or to be applied."""
    batch = batch_counts(project)
    return None if batch is None or batch.was_applied or batch.dropped else batch


def why_empty(filters: Filters) -> str:
    """Return why a queue shows nothing, and what to do."""
    if filters == Filters():
        return "This queue is empty. Choose another, or feed back below."
    return "Nothing in this queue matches the filters: clear them or the search, or choose another queue."


def in_words(name: str, filters: Filters, labels: dict[int, Label]) -> str:
    """Return the queue and its filters in words."""
    parts = {
        "label": labels[filters.label].name if filters.label is not None else "",
        "subset": str(filters.subset + 1) if filters.subset is not None else "",
        "round": str(filters.round or ""),
        "judge": judge_name(filters.judge),
        "search": filters.search,
    }
    return ", ".join([name, *(f"{part} {value}" for part, value in parts.items() if value)])
