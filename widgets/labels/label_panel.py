"""The panel beside the label map: tables of labels to choose from, and the details of the chosen label or subset."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from red_core.access.who import who_acts
from red_core.labels.meaning import Mean, Show, edit_meaning, undo_examples
from red_core.records import Floats, Project
from red_core.rounds import start_job
from red_core.settings import RECOMMENDED
from red_core.store import views
from red_core.store.guidelines import guideline_examples
from red_core.store.views import Confusion
from red_core.text import LONGEST_MEANING
from widgets.labels.label_tables import show_confused_pairs, show_labels, show_pickable, take_row
from widgets.labels.map_choice import NEAREST, Row, choose, choose_group, nearest
from widgets.labels.map_figure import STATES
from widgets.labels.similarity_figure import similarity_figure
from widgets.rounds.judge_panel import connected_server, show_failure
from widgets.shell.facts_line import FEW_AUDITS
from widgets.shell.history import show_label_history
from widgets.shell.marks import mark
from widgets.shell.reads import labels, round_number
from widgets.shell.selections import chosen_rows
from widgets.shell.shell import NO_FILTERS, errors_in_one_line, go
from widgets.shell.sign_in import may_write
from widgets.shell.untrusted import plain, show_text
from widgets.shell.words import counted

MATRIX_UP_TO = 15


def show_write_meanings(project: Project, rows: Sequence[Row]) -> None:
    """Offer to let the LLM judge write the missing meanings, if a judge is connected."""
    missing = sum(not row["meaning"].strip() for row in rows)
    server = connected_server()
    if not missing or server is None or not may_write():
        return
    show_failure(project, "meanings", "Writing the meanings")
    text = f"Let {plain(server.model)} write {counted(missing, 'missing meaning')}"
    explanation = "It writes a meaning from the labelled examples. You can edit every meaning."
    if st.button(text, key="write_meanings", icon=":material/edit_note:", help=explanation):
        with errors_in_one_line():
            start_job(project, "meanings", RECOMMENDED, who_acts())
            st.rerun()


def show_overview(rows: Sequence[Row], ids: Sequence[int], alike: Floats | None, pairs: Sequence[Confusion]) -> None:
    """Show all subsets, as the legend of the map, and the pairs of labels that are confused."""
    subsets = sorted({row["subset"] for row in rows})
    st.header(f"{len(rows):,} labels in {len(subsets):,} subset{'s' if len(subsets) > 1 else ''}")
    st.caption(
        "Each subset has one small classifier. Usually, the labels of a subset differ much, so that the classifier "
        "makes fewer errors."
    )
    left, right = st.columns([4, 5], gap="medium")
    members = [[row for row in rows if row["subset"] == n] for n in subsets]
    frame = pd.DataFrame({"subset": subsets, "labels": [len(part) for part in members]})
    if alike is not None:
        frame[["average", "most"]] = [pair[:2] for pair in (within(part, ids, alike) for part in members)]
    with left:
        show_pickable(frame, "subsets_table", partial(take_subset, subsets))
        if alike is not None:
            st.caption(
                "Similarity of two labels in the subset: the average and the highest. At 1, they have the same "
                "examples."
            )
    with right:
        show_confused_pairs(pairs, rows)


def take_subset(subsets: Sequence[int]) -> None:
    """Choose the subset in the row that was clicked."""
    chosen = chosen_rows(st.session_state["subsets_table"], len(subsets))
    choose(subset=subsets[chosen[0]] if chosen else None)


def within(members: Sequence[Row], ids: Sequence[int], alike: Floats) -> tuple[float, float, Floats]:
    """Return the mean and the highest similarity between two of these labels, and their similarity matrix."""
    positions = [ids.index(row["id"]) for row in members]
    matrix = alike[np.ix_(positions, positions)]
    pairs = matrix[np.triu_indices(len(positions), k=1)]
    return (float(pairs.mean()), float(pairs.max()), matrix) if len(pairs) else (1.0, 1.0, matrix)


def show_group(members: Sequence[Row], heading: str, ids: Sequence[int], alike: Floats | None) -> None:
    """Show the labels of a subset, or the labels in the lasso."""
    st.button("All labels", on_click=choose, icon=":material/arrow_back:", type="tertiary", key="all_subsets")
    st.header(heading)
    if members:
        show_labels(members, "members_table", keep_inside=True)
    if alike is None or len(members) < 2:
        return
    mean, highest, matrix = within(members, ids, alike)
    st.caption(f"Similarity between two of these labels: {mean:.2f} on average, {highest:.2f} at most.")
    if len(members) <= MATRIX_UP_TO:
        drawn = similarity_figure([row["name"] for row in members], matrix, mark(members[0]["subset"])[0])
        st.plotly_chart(
            drawn,
            key="matrix",
            config={"displayModeBar": False},
            alt="Table: the similarity of every two labels",
        )


def show_label(
    project: Project,
    row: Row,
    rows: Sequence[Row],
    ids: Sequence[int],
    alike: Floats | None,
    pairs: Sequence[Confusion],
) -> None:
    """Show one label: its meaning, its counts and rates, similar and confused labels, its texts, its history."""
    inside = tuple(st.session_state.get("inside") or ())
    with st.container(horizontal=True):
        st.button("All labels", on_click=choose, icon=":material/arrow_back:", type="tertiary", key="all_subsets")
        if row["group"]:
            st.button(plain(row["group"]), on_click=choose_group, args=(row["group"],), type="tertiary", key="to_group")
        st.button(f"Subset {row['subset'] + 1}", on_click=choose, args=(None, row["subset"]), type="tertiary")
        if inside:
            st.button(
                f"Labels in the lasso ({len(inside)})", on_click=choose, args=(None, None, inside), type="tertiary"
            )
    st.header(plain(row["name"]))
    show_meaning(project, row)
    last = round_number(project)
    of_round = f" · {row['fed_back']:,} fed back · {row['labelled']:,} labelled in round {last}" if last else ""
    confidence = f", average confidence {row['belief']:.0%}" if row["labelled"] else ""
    st.text(f"{counted(row['seeds'], 'labelled example')}{of_round}{confidence}")
    if rates := "; ".join(_rates(row)):
        st.text(rates)
    with st.container(horizontal=True):
        show_way_to_queue("Decide its texts", review_labels=[row["id"]])
        if row["labelled"]:
            show_way_to_grid("Decide many of its texts at once", (row["id"],))
    if not st.session_state.get("map_drawn"):
        st.button(
            "Show it on the map", on_click=choose, args=(row["name"], None, inside), key="fly",
            icon=":material/my_location:", type="tertiary",
            help="Zooms to this label and marks its most similar and its confused labels.",
        )  # fmt: skip
    texts = views.label_texts(project, row["id"], last)
    tabs = st.tabs(["Similar", "Confused with", f"Examples ({row['seeds']:,})", "Labelled"])
    with tabs[0]:
        show_alike(row, rows, ids, alike)
    with tabs[1]:
        show_confused_with(row, rows, pairs)
    unlabelled = "No text has this label yet." if last else "Run the first round."
    for tab, kind, nothing in zip(tabs[2:], ("seeds", "pool"), ("No labelled example.", unlabelled), strict=True):
        with tab.container(height=320, border=False):
            for text in texts[kind]:
                with st.container(border=True):
                    show_text(text)
            if not texts[kind]:
                st.caption(nothing)
    show_label_history(project, row["id"])


def _rates(row: Row) -> list[str]:
    """Return the label's accuracy in audits, the judge's accuracy on it, and its state, as far as they are known."""
    rates = []
    if 0 < row["audits"] < FEW_AUDITS:
        rates.append(f"{row['audits_right']:,} of {counted(row['audits'], 'audited text')} right")
    elif row["audits"]:
        rates.append(f"measured accuracy (audit) {row['audited']:.0%} of {counted(row['audits'], 'text')}")
    if row["judged"]:
        rates.append(f"judge right in {row['judge']:.0%} of {counted(row['judged'], 'verdict')}")
    if row["state"]:
        rates.append(STATES[row["state"]])
    return rates


def show_confused_with(row: Row, rows: Sequence[Row], pairs: Sequence[Confusion]) -> None:
    """Show the labels that this label is confused with."""
    by_id = {other["id"]: other for other in rows}
    own_pairs = [pair for pair in pairs if row["id"] in pair.labels and pair.other(row["id"]) in by_id][:NEAREST]
    if not own_pairs:
        st.caption("None: so far, no text is uncertain between this label and another.")
        return
    others = [by_id[pair.other(row["id"])] for pair in own_pairs]
    frame = pd.DataFrame(
        {
            "label": [other["name"] for other in others],
            "texts": [round(pair.expected, 1) for pair in own_pairs],
            "corrected": [pair.overturned for pair in own_pairs],
            "subset": [other["subset"] for other in others],
        }
    )
    key = f"confused_{row['id']}"
    show_pickable(frame, key, partial(take_row, [other["name"] for other in others], key, True))
    st.caption(
        "Texts: an estimate of how many texts have one of the two labels and need the other. Corrected: verdicts that "
        "a person corrected."
    )
    for pair, other in zip(own_pairs, others, strict=True):
        show_way_to_grid(f"Decide the texts between it and {other['name']}", pair.labels)


def show_way_to_pair(members: Sequence[Row], pairs: Sequence[Confusion]) -> None:
    """Show the way to the texts between two chosen labels, if they are confused with each other."""
    names = {row["id"]: row["name"] for row in members}
    for pair in pairs:
        if {*pair.labels} == names.keys():
            one, other = (names[label] for label in pair.labels)
            show_way_to_grid(f"Decide the texts between {one} and {other}", pair.labels)


def show_way_to_grid(words: str, grid: tuple[int, ...]) -> None:
    """Show an analyst the button that opens the grid of a pair of labels, or of one label, on Review."""
    key = f"decide_pair_{'_'.join(map(str, grid))}"
    if may_write() and st.button(plain(words), key=key, icon=":material/compare_arrows:"):
        go("review", review_mode="Pairs", review_pair=grid)


def show_way_to_queue(words: str, **filters: int | str | list[int]) -> None:
    """Show an analyst the button that opens the queue of some texts, whether or not they are worth an answer."""
    if may_write() and st.button(words, key="to_queue", icon=":material/rule:"):
        go("review", **NO_FILTERS | {"review_mode": "Review", "review_queue": "random"} | filters)


def show_meaning(project: Project, row: Row) -> None:
    """Show the guideline of a label and, to an analyst, the form that edits it."""
    if row["meaning"]:
        show_text(row["meaning"])
        st.caption(plain(f"Written by {row['meaning_by']}."))
    else:
        st.caption(
            "No meaning yet. Write one sentence: how does this label differ from similar ones? It helps the judge and "
            "you."
        )
    if row["excludes"]:
        show_text(f"Does not belong: {row['excludes']}")
    show_examples(project, row["id"])
    if not may_write():
        return
    with st.popover("Edit the guideline", icon=":material/edit:", key="guideline_fold"):
        key = f"meaning_{project.name}_{row['id']}"
        now = labels(project)[row["id"]].meaning_id
        seen = st.session_state.setdefault(f"seen_{key}", now)  # the form keeps its words when somebody edits them
        with st.form(key=f"form_{key}", border=False):  # in a form, the first press of Save takes the typed text
            typed = st.text_area("Meaning: what belongs", row["meaning"], max_chars=LONGEST_MEANING, key=key)
            excludes = st.text_area(
                "What does not belong", row["excludes"], max_chars=LONGEST_MEANING, key=f"excludes_{key}"
            )
            saved = st.form_submit_button("Save", type="primary", key="save_meaning")
        if saved and (typed.strip(), excludes.strip()) != (row["meaning"], row["excludes"]):
            st.session_state[f"seen_{key}"] = now  # if this press is refused, the next one replaces the new words
            with errors_in_one_line():
                edit_meaning(project, Mean(row["id"], typed, seen=seen, excludes=excludes), who_acts())
                del st.session_state[f"seen_{key}"]
                st.rerun()


def show_examples(project: Project, label: int) -> None:
    """Show the examples of the guideline of a label, folded, each with the button that takes it out."""
    examples = guideline_examples(project, [label]).get(label, [])
    if not examples:
        return
    with st.expander(
        counted(len(examples), "example in the guideline", "examples in the guideline"), key="guideline_examples_fold"
    ):
        for each in examples:
            why = f" Why: {each.why}" if each.why else ""
            show_text(f"{'Belongs' if each.kind == 'good' else 'Does not belong'}: {each.content}{why}")
            st.caption(plain(each.source))
            key = f"remove_example_{each.label}_{each.text}"
            if may_write() and st.button("Remove", key=key, type="tertiary", icon=":material/delete:"):
                with errors_in_one_line():
                    undo_examples(project, Show((each,)), who_acts())
                    st.rerun()


def show_alike(row: Row, rows: Sequence[Row], ids: Sequence[int], alike: Floats | None) -> None:
    """Show the labels most similar to this one, among all labels and in its subset."""
    if alike is None:
        st.caption("Similarities appear when all texts are prepared.")
        return
    by_id = {other["id"]: other for other in rows}
    ranked = [
        (by_id[ids[position]], similarity)
        for position, similarity in nearest(ids.index(row["id"]), alike)
        if ids[position] in by_id
    ]
    same_subset = [(other, similarity) for other, similarity in ranked if other["subset"] == row["subset"]]
    for heading, others, kind in (("All labels", ranked, "all"), ("In its subset", same_subset, "own")):
        st.caption(f"{heading}, the most similar first")
        listed = others[:NEAREST]
        table = [{"label": other["name"], "similarity": value, "subset": other["subset"]} for other, value in listed]
        frame = pd.DataFrame(table, columns=["label", "similarity", *(["subset"] if kind == "all" else [])])
        key = f"alike_{kind}_{row['id']}"
        show_pickable(frame, key, partial(take_row, [other["name"] for other, _ in listed], key, True))
