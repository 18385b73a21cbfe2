"""Results: every text with its final label, its confidence and its source; the accuracy; the download."""

from __future__ import annotations

import json
from math import ceil
from typing import Any

import pandas as pd
import streamlit as st

import red_core.api  # noqa: F401  whole and first: two sessions of a cold server import at the same time
from red_core.labels.groups import checked_path, groups_of
from red_core.records import NONE_OF_THESE, Project, Round
from red_core.results.levels import Level, accuracy_by_level, counts_by_group
from red_core.store.attempts import spent
from red_core.store.final_labels import ROWS_PER_PAGE
from red_core.store.labels import name_key, path_in_words
from red_core.store.rounds import last_finished_round
from red_core.store.texts import shown_file
from red_core.store.views import pace
from widgets.data.download_panel import show_download
from widgets.data.original_text import show_original
from widgets.review.audit_panel import certificate_in_words
from widgets.review.queues import queue_name
from widgets.shell.facts_line import FEW_AUDITS
from widgets.shell.group_filter import choose_group
from widgets.shell.next_step import show_next_step
from widgets.shell.reads import accuracy_now, audit_summary, facts, label_table, labels, results_page, source_counts
from widgets.shell.row_height import LETTER, row_height
from widgets.shell.shell import current_project, errors_in_one_line, inside_the_shell
from widgets.shell.untrusted import visible
from widgets.shell.words import SOURCE_NAMES, counted

inside_the_shell()

NONE = "(none of these)"
TRUTH = "the hidden label of this trial"
column = st.column_config


def show_next(project: Project) -> None:
    """Show the next action, and the button that opens the download."""
    show_next_step(project, "results")
    st.button("Download", type="tertiary", icon=":material/download:", key="results_next", on_click=open_download)


def open_download() -> None:
    st.session_state["results_tab"] = "Download"


def show_sources(counts: dict[str, int]) -> None:
    """Show how many rows get their label from each source."""
    total = sum(counts.values())
    rows = [
        (name, counts[name], 100 * counts[name] / total, SOURCE_NAMES[name])
        for name in SOURCE_NAMES
        if counts.get(name)
    ]
    columns = {
        "Source": column.TextColumn(width=125),
        "Rows": column.NumberColumn(format="localized", width=60),
        "Share": column.ProgressColumn(f"of {counted(total, 'row')}", format="%.1f %%", max_value=100, width=125),
        "Meaning": column.TextColumn(width=170),
    }
    st.dataframe(pd.DataFrame(rows, columns=list(columns)), hide_index=True, height="content", column_config=columns)


def show_agreement(project: Project, last: Round) -> None:
    """Show the estimated accuracy and, in a trial, the true accuracy."""
    estimated, true = accuracy_now(project)
    left, right = st.columns(2)
    quiet: dict[str, Any] = {"delta_color": "off", "delta_arrow": "off"}
    shown = "-" if estimated is None else f"{estimated:.1%}"
    left.metric("Estimated accuracy", shown, f"of {last.metrics['pool']:,} texts", **quiet)
    explanation = (
        f"The estimate is the average confidence in the labels of round {last.id}, with the decisions since. It is not "
        "a measurement. "
    )
    show_cost(project, last)
    if true is None or estimated is None:
        _show_measured(project, explanation)
        return
    right.metric("True accuracy (trial)", f"{true:.1%}", f"of {facts(project)['truths']:,} texts", **quiet)
    gap = 100 * (true - estimated)
    quality = f"{abs(gap):.1f} points too {'low' if gap > 0 else 'high'}" if abs(gap) >= 1 else "about right"
    st.caption(
        f"{explanation}True accuracy: the share of texts whose label is the same as the hidden label. "
        f"The estimate is {quality}."
    )
    audits = audit_summary(project)
    if audits.accuracy.of or audits.certificate:
        st.text(certificate_in_words(audits))


def _show_measured(project: Project, explanation: str) -> None:
    audits = audit_summary(project)
    if not audits.accuracy.of:
        st.caption(f"{explanation}To measure the accuracy, answer a blind audit on Review.")
        return
    st.caption(explanation)
    st.text(certificate_in_words(audits))


def show_cost(project: Project, last: Round) -> None:
    """Show what the judge used per 1,000 texts, if it cost anything."""
    cost = spent(project)
    if cost.attempts:
        thousands = last.metrics["pool"] / 1000
        money = "" if cost.money is None else f" Cost: {cost.money / thousands:,.2f}."
        st.caption(f"The judge used {cost.tokens / thousands:,.0f} tokens per 1,000 texts.{money}")


def show_texts(project: Project, last: Round | None, counts: dict[str, int]) -> None:
    """Show one page of rows, searched, filtered and sorted by the database."""
    filters = choose_rows(project, last, counts)
    key = f"results_page_{hash((project.id, *filters.values()))}"  # with other filters, the first page comes first
    wanted = st.session_state.get(key, 1)
    rows, total = results_page(project, wanted - 1, filters)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        caption = st.empty()
        page = st.pagination(max(1, ceil(total / ROWS_PER_PAGE)), key=key)
    if page != wanted:  # there are fewer pages now
        rows, total = results_page(project, page - 1, filters)
    first = (page - 1) * ROWS_PER_PAGE
    position = f"Rows {first + 1:,} to {first + len(rows):,} of {total:,}"
    caption.caption(position if rows else "No row matches. Search for another part of a text, or clear a filter.")
    if rows:
        show_rows(project, rows, after_round=last is not None)


def choose_rows(project: Project, last: Round | None, counts: dict[str, int]) -> dict[str, Any]:
    """Show the search box and the filters, which are kept in the address; return the filters of ``results_page``."""
    known = labels(project)
    groups = [path_in_words(path) for path in groups_of(known.values())]
    search, label, *between, source, sort = st.columns(
        [3, 3, 2, 2, 2] if groups else [3, 3, 2, 2], vertical_alignment="bottom"
    )
    names = {NONE_OF_THESE: NONE} | {label.id: label.name for label in known.values()}
    given = [name for name in SOURCE_NAMES if counts.get(name)]
    first = given.index("seed") if last is None and "seed" in given else None
    in_address: dict[str, Any] = {"bind": "query-params"}
    of_label = in_address | {"placeholder": "All labels", "format_func": names.get, "key": "results_label"}
    of_source = in_address | {"placeholder": "All sources", "key": "results_source"}
    group = None
    for column_of_group in between:
        with column_of_group:
            group = choose_group(groups, "results_group", **in_address)
    return {
        "group": checked_path(group or ""),
        "search": search.text_input("Search", key="results_search", placeholder="A part of the text", **in_address),
        "label": label.selectbox("Label", list(names), index=None, **of_label),
        "source": source.selectbox("Source", given, index=first, **of_source) or "",
        "lowest_first": last is not None and sort.toggle("Uncertain first", True, key="results_least", **in_address),
    }


def basis_of(row: dict[str, Any]) -> str:
    """Return what the confidence of a row is based on."""
    if row["belief"] is None:
        return ""
    if row["source"] == "bulk":
        return "a sample of the whole list"
    outcome, _ = json.loads(row["verdict"] or '["", 0]')
    return f"classifiers {row['prior']:.0%}" + (f", judge: {outcome}" if outcome else "")


def shown_row(row: dict[str, Any], known: set[str]) -> dict[str, Any]:
    """Return a row of the store as it is shown; ``known`` are the name keys of the labels (``name_key``)."""
    none, truth, rival = row["source"].endswith("none of these"), visible(row["truth"] or ""), row["runner_up_belief"]
    if truth and (none or row["label"]):
        key = name_key(row["truth"])
        truth = f"✓ {truth}" if (key not in known if none else key == name_key(row["label"])) else f"✗ {truth}"
    return {
        "Text": visible(row["text"] or ""),
        "Label": visible(NONE if none else row["label"] or ""),
        "Confidence": row["belief"],
        "Based on": basis_of(row),
        "Truth": truth,
        "Source": row["source"],
        "Runner-up": "" if rival is None else f"{rival:.0%} {visible(row['runner_up'] or NONE)}",
        "File": visible(shown_file(row["file"])),
        "Row": row["row"],
    }


def show_rows(project: Project, rows: list[dict[str, Any]], *, after_round: bool) -> None:
    """Show the rows of a page; in a trial, with the hidden label."""
    trial = ["Truth"] if facts(project)["truths"] else []
    wide = 255 if trial and after_round else 400
    columns = {
        "Text": column.TextColumn(width=wide),
        "Label": column.TextColumn(width=160),
        "Confidence": column.ProgressColumn(
            format="percent", max_value=1.0, width=100, help="Empty where the label is from a file or from a person"
        ),
        "Based on": column.TextColumn(
            width=190, help="The confidence of the classifiers alone, and the judge's answer about this label"
        ),
        "Truth": column.TextColumn(width=165, help=f"{TRUTH.capitalize()}. ✓: the label is right. ✗: it is wrong"),
        "Runner-up": column.TextColumn(width=140, help="The second most likely label, and the confidence in it"),
    }
    known = {name_key(label.name) for label in labels(project).values()}
    table = pd.DataFrame([shown_row(row, known) for row in rows]).round(3)
    further = ["Confidence", "Based on", *trial, "Source", "Runner-up"] if after_round else ["Source", "File", "Row"]
    st.dataframe(
        table, hide_index=True, height=598, column_order=["Text", "Label", *further], column_config=columns,
        row_height=row_height(list(table["Text"]), wide // LETTER),
    )  # fmt: skip
    show_original(project, rows)


def show_labels(project: Project, last: Round | None, _counts: dict[str, int]) -> None:
    """Show a row per label."""
    columns = {
        "name": column.TextColumn("Label", width=240),
        "seeds": column.NumberColumn("Examples", help="Labelled examples from your files"),
        "fed_back": column.NumberColumn("Fed back", help="Texts that were fed back and train this label"),
        "labelled": column.NumberColumn("Labelled", help="Texts that the last round gave this label"),
        "belief": column.ProgressColumn(
            "Average confidence",
            format="percent",
            max_value=1.0,
            help="Average confidence of the texts that the last round gave this label",
        ),
        "decided": column.NumberColumn("Decided", help="Texts that a person gave this label"),
        "subset": column.NumberColumn("Subset"),
        "group": column.TextColumn("Group", width=240),  # the figures come first, so that a small screen has them
    }
    table = pd.DataFrame(label_table(project)).round(3)
    table["name"], table["subset"] = table["name"].map(visible), table["subset"] + 1
    table["group"] = table["path"].map(lambda path: visible(path_in_words(path)))
    if table["group"].any():
        show_groups(project, last)
    st.caption(
        f"{counted(len(table), 'label')}. Click a heading to sort. Use the magnifier of the table to find a name."
    )
    hidden = set() if last is not None else {"fed_back", "labelled", "belief"}
    order = [name for name in columns if name not in hidden | (set() if table["group"].any() else {"group"})]
    st.dataframe(table, hide_index=True, height=620, column_order=order, column_config=columns)


def show_groups(project: Project, last: Round | None) -> None:
    """Show the accuracy at each level of the groups, and a row per group."""
    found = accuracy_by_level(project, last.id, audit_summary(project).accuracy) if last is not None else None
    if found is not None:
        basis = "Measured accuracy (audit) of the machine labels" if found.measured else "True accuracy (trial)"
        parts = [level_in_words(level, measured=found.measured) for level in found.levels]
        st.text(f"{basis}. {'; '.join(parts).capitalize()}.")
        if len({level.of for level in found.levels}) > 1:
            st.caption(
                "Each level counts only the texts whose label has this level. So the figure of an inner level can be "
                "higher than that of an outer one."
            )
        if found.levels[-1].share < 1:
            st.text(f"Right group, wrong label: {found.near:.0%} of the wrong labels.")
    rows = [
        {
            "Group": visible(path_in_words(each.path)),
            "Labels": each.labels,
            "Examples": each.seeds,
            "Labelled": each.labelled,
            "Average confidence": each.belief,
            "Decided": each.decided,
        }
        for each in counts_by_group(label_table(project))
    ]
    share = column.ProgressColumn(format="percent", max_value=1.0)
    st.dataframe(
        pd.DataFrame(rows), hide_index=True, height=min(38 * len(rows) + 40, 320), key="results_groups",
        column_config={"Average confidence": share},
    )  # fmt: skip


def level_in_words(level: Level, *, measured: bool) -> str:
    """Return the accuracy at a level, with its base and, if audits measured it, its range; of few audits, counts."""
    name, texts = f"group, level {level.depth}" if level.depth else "label", counted(level.of, "text")
    if measured and level.of < FEW_AUDITS:
        return f"{name}: {level.right:,} of {texts} right"
    interval = f"range {100 * level.low:.0f} to {level.high:.0%}, " if measured else "of "
    return f"{name}: {level.share:.1%} ({interval}{texts})"


def show_pace(project: Project, _last: Round | None, _counts: dict[str, int]) -> None:
    """Show how long each person takes for a decision, queue by queue."""
    rows = pace(project)
    if not rows:
        st.caption(
            "Nothing to show yet. After decisions on Review, this shows the seconds per decision of each person."
        )
        return
    timed = counted(sum(row["decisions"] for row in rows), "decision")
    st.caption(f"{timed} made one by one, including undone ones. Whole lists, skips and blind audits are not counted.")
    columns = {
        "who": column.TextColumn("Person", width=240),
        "queue": column.TextColumn("Queue", width=240),
        "decisions": column.NumberColumn("Decisions", format="localized"),
        "p50": column.NumberColumn("Median, seconds", format="%.1f", help="Half of the decisions take no longer"),
        "p95": column.NumberColumn(
            "Slowest 5%, seconds", format="%.1f", help="5% of the decisions take longer than this"
        ),
    }
    table = pd.DataFrame(rows)
    queues = table["queue"].replace("", "no queue").map(queue_name)
    table["who"], table["queue"] = table["who"].map(visible), queues.map(visible)
    st.dataframe(table, hide_index=True, column_order=list(columns), column_config=columns, key="pace")


project = current_project()
with errors_in_one_line():
    last, counts = last_finished_round(project), source_counts(project)
    show_next(project)
    left, right = st.columns([5, 3], gap="large")
    with left:
        show_sources(counts)
    if last is not None:
        with right:
            show_agreement(project, last)
    tabs = st.tabs(["Texts", "Labels", "Pace", "Download"], key="results_tab", bind="query-params")
    for tab, show in zip(tabs, (show_texts, show_labels, show_pace, show_download), strict=True):
        if tab.open:  # a closed tab is not computed
            with tab:
                show(project, last, counts)
