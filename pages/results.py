"""Results: what is certain and what is not, every text with its label and where that comes from, the download."""

from __future__ import annotations

import tempfile
from math import ceil
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from red_core.records import NONE_OF_THESE, Project, Round
from red_core.results import export
from red_core.settings import Settings
from red_core.store.exports import ROWS_PER_PAGE, results_page
from red_core.store.texts import name_key
from red_core.store.views import queue_counts
from widgets.reads import facts, finished_round, label_table, labels, source_counts
from widgets.shell import PAGES, current_project, errors_in_one_line, inside_the_shell
from widgets.untrusted import visible

inside_the_shell()

NONE = "(none of these)"
TRUTH = "known in this trial project; only scoring reads it"
SOURCES = {
    "seed": "label given in a file",
    "decision": "a person chose the label",
    "decision: none of these": "a person found none fits",
    "verdict": "proposed and judged valid",
    "classifiers": "proposed, not judged valid",
    "none of these": "no label seems to fit",
    "no round yet": "waits for the first round",
    "left out": "not used; see Data",
}
FORMATS = {"CSV": "text/csv", "JSONL": "application/jsonl", "Parquet": "application/vnd.apache.parquet"}
SHARE = {"format": "%.2f", "min_value": 0, "max_value": 1}
column = st.column_config


def show_next(project: Project, last: Round | None, counts: dict[str, int]) -> None:
    """Say what there is, and link to the one thing to do next."""
    sentence, page, link = what_is_next(project, last, counts)
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="results_next"):
        st.text(sentence, width="stretch")
        if page:
            st.page_link(PAGES[page], label=link, icon=":material/arrow_forward:")
        to_file = {"results_tab": "Download"}
        st.button("Download", on_click=st.session_state.update, kwargs=to_file, icon=":material/download:")


def what_is_next(project: Project, last: Round | None, counts: dict[str, int]) -> tuple[str, str, str]:
    """Return a sentence, and the page and words of its link."""
    if last is None:
        waiting, seeds = counts.get("no round yet", 0), counts.get("seed", 0)
        told = f"{seeds:,} rows have the label of their file, {waiting:,} wait. A round gives them a label, with its belief."
        return told, "rounds", "Rounds"
    pool, uncertain = last.metrics["pool"], last.metrics["uncertain"]
    if not uncertain:
        return f"Round {last.id} left none of {pool:,} texts uncertain: download the labels.", "", ""
    certain = Settings.model_validate_json(last.settings).feed_back_belief
    told = f"Round {last.id} left {uncertain:,} of {pool:,} texts uncertain (belief under {certain:.2f}): "
    if last.state == "to review" and queue_counts(project, last.id)["to decide"]:
        return f"{told}review them, or download what there is.", "review", "Review"
    return f"{told}see if another round is worth it, or download what there is.", "rounds", "Rounds"


def show_sources(counts: dict[str, int]) -> None:
    """Show how many rows have their label from where."""
    total = sum(counts.values())
    rows = [(s, counts[s], 100 * counts[s] / total, told) for s, told in SOURCES.items() if counts.get(s)]
    columns = {
        "Source": column.TextColumn(width=155),
        "Rows": column.NumberColumn(format="localized", width=65),
        "Share": column.ProgressColumn(f"of {total:,} rows", format="%.1f %%", max_value=100, width=140),
        "Meaning": column.TextColumn(width=180),
    }
    st.dataframe(pd.DataFrame(rows, columns=list(columns)), hide_index=True, height="content", column_config=columns)


def show_agreement(project: Project, last: Round) -> None:
    """Show how sure the labels are beside, in a trial, how often they are right."""
    expected, true = last.metrics["expected_agreement"], last.metrics["true_agreement"]
    left, right = st.columns(2)
    quiet: dict[str, Any] = {"delta_color": "off", "delta_arrow": "off"}
    left.metric("Expected agreement", f"{expected:.1%}", f"of {last.metrics['pool']:,} texts", **quiet)
    told = f"Expected is the mean belief in the labels of round {last.id}: a forecast, not a measurement. "
    if true is None:
        st.caption(f"{told}Deciding texts in Review is how it is checked.")
        return
    right.metric("True agreement", f"{true:.1%}", f"of {facts(project)['truths']:,} texts", **quiet)
    gap = 100 * (true - expected)
    verdict = "about right" if abs(gap) < 1 else f"{abs(gap):.1f} points too {'low' if gap > 0 else 'high'}"
    st.caption(f"{told}True is the share that equals the truth, {TRUTH}. Here the forecast is {verdict}.")


def show_texts(project: Project, last: Round | None, counts: dict[str, int]) -> None:
    """Show one page of rows, searched, filtered and sorted by the database."""
    filters, wanted = choose_rows(project, last, counts), st.session_state.get("results_page", 1)
    round_id = last.id if last else 0
    rows, total = results_page(project, round_id, page=wanted - 1, **filters)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        place = st.empty()
        page = st.pagination(max(1, ceil(total / ROWS_PER_PAGE)), key="results_page", bind="query-params")
    if page != wanted:  # a deep link, or fewer pages than before
        rows, total = results_page(project, round_id, page=page - 1, **filters)
    if not rows:
        place.caption("No row matches. Search for another part of a text, or clear a filter.")
        return
    first = (page - 1) * ROWS_PER_PAGE
    place.caption(f"Rows {first + 1:,} to {first + len(rows):,} of {total:,}")
    known = {name_key(label.name) for label in labels(project).values()}
    trial = bool(facts(project)["truths"]) and last is not None
    show_rows([shown_row(row, known) for row in rows], trial=trial, round_yet=last is not None)


def choose_rows(project: Project, last: Round | None, counts: dict[str, int]) -> dict[str, Any]:
    """Show the search box and the filters, which stay on reload; return what results_page takes."""
    search, label, source, sort = st.columns([3, 3, 2, 2], vertical_alignment="bottom")
    names = {NONE_OF_THESE: NONE} | {label.id: label.name for label in labels(project).values()}
    given = [name for name in SOURCES if counts.get(name)]
    begin = given.index("seed") if last is None and "seed" in given else None
    first_page = {"on_change": st.session_state.update, "kwargs": {"results_page": 1}}
    kept: dict[str, Any] = {"bind": "query-params", **first_page}
    return {
        "search": search.text_input("Search", key="results_search", placeholder="A part of the text", **kept),
        "label": label.selectbox(
            "Label", list(names), None, names.__getitem__, key="results_label", placeholder="All labels", **kept
        ),
        "source": source.selectbox("Source", given, begin, key="results_source", placeholder="All sources", **kept)
        or "",
        "lowest_first": sort.toggle("Least certain first", last is not None, key="results_least_certain", **kept),
    }


def shown_row(row: dict[str, Any], known: set[str]) -> dict[str, Any]:
    """Return a row of the store as it is shown; ``known`` are the keys of the project's labels."""
    none, truth = row["source"].endswith("none of these"), row["truth"]
    agrees = ""
    if truth is not None and (none or row["label"]):
        right = name_key(truth) not in known if none else name_key(truth) == name_key(row["label"])
        agrees = "✓ yes" if right else "✗ no"
    rival = row["runner_up_belief"]
    return {
        "Text": visible(row["text"] or ""),
        "Label": visible(NONE if none else row["label"] or ""),
        "Belief": row["belief"],
        "Truth": visible(truth or ""),
        "Agrees": agrees,
        "Source": row["source"],
        "Runner-up": "" if rival is None else f"{rival:.2f} {visible(row['runner_up'] or NONE)}",
        "File": visible(row["file"]),
        "Row": row["row"],
    }


def show_rows(rows: list[dict[str, Any]], *, trial: bool, round_yet: bool) -> None:
    """Show the rows of a page."""
    columns = {
        "Text": column.TextColumn(width=265 if trial else 390),
        "Label": column.TextColumn(width=150),
        "Belief": column.ProgressColumn(**SHARE, width=100, help="Empty where a file or a person gave the label"),
        "Truth": column.TextColumn(width=150, help=TRUTH.capitalize()),
        "Agrees": column.TextColumn(width=65),
        "Source": column.TextColumn(width=90),
        "Runner-up": column.TextColumn(width=150, help="The belief in the next label, and its name"),
        "File": column.TextColumn(width=200),
    }
    hidden = {"Belief", "Runner-up"} if not round_yet else {"File", "Row"}
    hidden |= set() if trial else {"Truth", "Agrees"}
    shown = [name for name in rows[0] if name not in hidden]
    table = pd.DataFrame(rows)
    st.dataframe(table, hide_index=True, height=580, row_height=54, column_order=shown, column_config=columns)


def show_labels(project: Project, last: Round | None) -> None:
    """Show a row per label."""
    columns = {
        "name": column.TextColumn("Label", width=240),
        "subset": column.NumberColumn("Subset"),
        "seeds": column.NumberColumn("Seeds"),
        "fed_back": column.NumberColumn("Fed back", help="Pool texts that train this label"),
        "labelled": column.NumberColumn("Labelled", help="Pool texts whose best label this is, before decisions"),
        "belief": column.ProgressColumn("Mean belief", **SHARE, help="Over the texts labelled"),
        "decided": column.NumberColumn("Decided", help="Texts a person gave this label"),
    }
    table = pd.DataFrame(label_table(project))
    table["name"] = table["name"].map(visible)
    st.caption(f"{len(table):,} labels. A click on a heading sorts; the magnifier in the table's corner finds a name.")
    order = [name for name in columns if last is not None or name not in {"fed_back", "labelled", "belief"}]
    st.dataframe(table, hide_index=True, height=620, column_order=order, column_config=columns)


def show_download(project: Project, counts: dict[str, int]) -> None:
    """Offer every row as a file, which is written when it is asked for."""
    chosen = st.radio("Format", list(FORMATS), horizontal=True, key="results_format", bind="query-params")
    ending = chosen.lower()
    st.text(
        f"All {sum(counts.values()):,} rows of your files, each with its file and row, its other columns, its label, "
        "belief and source, the verdict and its judge, the decision and who made it, and the round."
    )
    if facts(project)["truths"]:
        st.caption(f"The column truth holds the truth, {TRUTH}.")
    if chosen == "CSV":
        st.caption(
            "A cell that a spreadsheet would run as a formula gets an apostrophe; JSONL and Parquet add nothing."
        )
    st.download_button(
        f"Download {chosen}", lambda: labels_file(project, ending), f"{project.name}-labels.{ending}", FORMATS[chosen],
        on_click="ignore", type="primary", icon=":material/download:", key="results_download",
    )  # fmt: skip


def labels_file(project: Project, ending: str) -> bytes:
    """Return the export of a project as the content of a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"labels.{ending}"
        export(project, path)
        return path.read_bytes()


project = current_project()
with errors_in_one_line():
    last, counts = finished_round(project), source_counts(project)
    show_next(project, last, counts)
    left, right = st.columns([5, 3], gap="large")
    with left:
        show_sources(counts)
    with right:
        if last is not None:
            show_agreement(project, last)
    texts, by_label, download = st.tabs(["Texts", "Labels", "Download"], key="results_tab", bind="query-params")
    with texts if texts.open else by_label if by_label.open else download:  # the others are not computed
        if texts.open:
            show_texts(project, last, counts)
        elif by_label.open:
            show_labels(project, last)
        else:
            show_download(project, counts)
