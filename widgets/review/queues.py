"""The queue an analyst works on: its choice, its filters, and both kept in the address of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from red_core.access.who import who_acts
from red_core.labels.groups import checked_path, groups_of
from red_core.records import Label, Project, Round
from red_core.store.batches import BatchCounts, batch_counts, sample_of
from red_core.store.desk import Filters, Item, judges, queue
from red_core.store.labels import current_layout, path_in_words
from red_core.text import listed
from widgets.review.card_facts import choose_columns, chosen_columns
from widgets.shell import caching
from widgets.shell.group_filter import choose_group
from widgets.shell.reads import queue_counts, worth_doing
from widgets.shell.shell import NO_FILTERS
from widgets.shell.words import judge_name

SAMPLE_QUEUE = "sample of a list"
"""The queue of the sample that is decided one by one before its whole list is decided at once."""
TO_GOAL = "towards the goal"
"""The queue of the texts to decide that are worth an answer for the goal: as many as the plan takes."""
NAMES = {"stale": "outdated", "low belief": "low confidence"}
"""What the screen calls a queue, where its stored name is another."""
MEANINGS = {
    TO_GOAL: "the texts to decide to reach your goal, by the plan; the least sure ones come first",
    "to decide": "every text where your answer helps; the least sure ones come first",
    "judge against classifiers": "the judge said invalid",
    "judge unsure": "the judge said neither valid nor invalid",
    "judged valid": "the judge said valid",
    "stale": "the meaning of the label was edited after the verdict",
    "low belief": "the highest confidence is below 50%; the least sure texts come first",
    "not certified": "the certificate does not cover these texts; the least sure texts come first",
    "none of these": "these texts probably belong to no label",
    "contradictions": "texts that came with two different labels; the classifiers do not use them until you choose one",
    "random": "all texts without a decision, in random order",
    "flagged": "texts that somebody flagged for a colleague, the newest flag first",
    "decided": "texts with a decision, the newest first, so that you can check them",
    SAMPLE_QUEUE: "a random sample of a list that you want to decide at once; see the panel below the text",
}


@dataclass(frozen=True)
class Queue:
    """A queue as it was read from the store.

    Attributes
    ----------
    key : str
        See :func:`queue_key`.
    name : str
        As it is stored.
    items : list of Item
    empty : str
        The message where no card is left.
    """

    key: str
    name: str
    items: list[Item]
    empty: str


def queue_name(name: str) -> str:
    """Return what the screen calls a queue."""
    return NAMES.get(name, name)


def choose_queue(project: Project, labels: dict[int, Label], rounds: int) -> tuple[str, Filters]:
    """Show the queues, and the filters folded; return the stored name of the queue and the filters.

    Parameters
    ----------
    rounds : int
        Number of the newest round.
    """
    worth = worth_doing(project)
    counts = ({TO_GOAL: worth} if worth else {}) | queue_counts(project)
    if (batch := open_batch(project)) is not None:
        counts = counts | {SAMPLE_QUEUE: batch.sampled - batch.decided}
    if (asked := st.query_params.get("review_queue")) in counts:  # the address may name an empty queue
        st.session_state.setdefault("review_queue", asked)
    left, middle, right = st.columns([6, 3, 4], vertical_alignment="bottom")
    name = left.selectbox(
        "Queue",
        list(counts),
        # Without its count, which every key changes: it stands in the line below.
        format_func=lambda each: f"{queue_name(each)}: {MEANINGS[each]}",
        label_visibility="collapsed",
        key="review_queue",
        persist_state="session",
    )
    st.query_params["review_queue"] = name
    with middle.popover("Filters", icon=":material/filter_list:", width="stretch", key="filters_fold"):
        chosen = st.multiselect(
            "Labels", list(labels), format_func=lambda n: labels[n].name, key="review_labels",
            placeholder="All labels", bind="query-params", persist_state="session",
        )  # fmt: skip
        groups = [path_in_words(path) for path in groups_of(labels.values())]
        group = choose_group(groups, "review_group", bind="query-params", persist_state="session") if groups else None
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
        choose_columns(project)
    search = right.text_input(
        "Search in the texts",
        label_visibility="collapsed",
        key="review_search",
        persist_state="session",
        placeholder="Search texts, reasons",
        bind="query-params",
    )
    return name, Filters(tuple(chosen), subset, asked_in, judge or "", search.strip(), checked_path(group or ""))


def queue_key(project: Project, current: Round, name: str, filters: Filters, version: Sequence[str | int]) -> str:
    """Return a key that changes with everything a queue depends on, except the decisions made in it.

    Parameters
    ----------
    version : sequence
        See :func:`red_core.store.views.version`: another project under the same name is another queue, and another
        meaning is another question.
    """
    edited = (version[caching.EDITS], version[caching.MEANINGS])
    place = (project.folder.as_posix(), version[caching.PROJECT], current.id)
    return repr((*place, name, filters, *edited, chosen_columns(project)))


def items_of(project: Project, current: Round, name: str, filters: Filters) -> list[Item]:
    """Return the items of a queue as they are now; those that this person skipped come last."""
    if name == SAMPLE_QUEUE:
        batch = open_batch(project)
        return sample_of(project, batch.id) if batch is not None else []
    if name == TO_GOAL:
        return queue(project, current.id, "to decide", filters, who=who_acts())[: worth_doing(project)]
    return queue(project, current.id, name, filters, who=who_acts())


def open_batch(project: Project) -> BatchCounts | None:
    """Return the newest batch if it is neither applied nor dropped; None otherwise."""
    batch = batch_counts(project)
    return None if batch is None or batch.was_applied or batch.dropped else batch


def why_empty(filters: Filters) -> str:
    """Return why a queue shows nothing, and what to do."""
    if filters == Filters():
        return "This queue is empty. Choose another queue, or feed back above."
    return "Nothing in this queue matches the filters. Clear the filters or the search, or choose another queue."


def list_in_words(name: str, filters: Filters, labels: dict[int, Label]) -> str:
    """Return a queue and its filters in words, as they are stored with a batch."""
    return ", ".join([queue_name(name), *(f"{part} {value}" for part, value in _parts(filters, labels).items())])


def show_filters(filters: Filters, labels: dict[int, Label]) -> None:
    """Show what the cards on the desk are limited to, and a button that clears it; nothing without filters."""
    parts = [f"{part.capitalize()}: {value}" for part, value in _parts(filters, labels).items()]
    if not parts:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="filters_shown"):
        st.text("  ·  ".join(parts))
        st.button(
            "Clear the filters", key="clear_filters", type="tertiary", icon=":material/filter_list_off:",
            on_click=st.session_state.update, args=(NO_FILTERS,),
        )  # fmt: skip


def _parts(filters: Filters, labels: dict[int, Label]) -> dict[str, str]:
    """Return the filters that are set, in words."""
    parts = {
        "label" if len(filters.labels) == 1 else "labels": listed([labels[each].name for each in filters.labels], 5),
        "group": path_in_words(filters.group),
        "subset": str(filters.subset + 1) if filters.subset is not None else "",
        "round": str(filters.round or ""),
        "judge": judge_name(filters.judge),
        "search": filters.search,
    }
    return {part: value for part, value in parts.items() if value}
