"""Results: what is certain and what is not, every text with its label and where that comes from, the download."""

from __future__ import annotations

import json
import tempfile
from math import ceil
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

import red_core  # noqa: F401  whole and first: two sessions of a cold server import at the same time
from red_core.records import NONE_OF_THESE, Project, Round
from red_core.results import export
from red_core.settings import Settings
from red_core.store.attempts import spent
from red_core.store.final_labels import ROWS_PER_PAGE
from red_core.store.texts import name_key
from red_core.store.views import pace
from widgets.shell.reads import facts, finished_round, label_table, labels, queue_counts, results_page, source_counts
from widgets.shell.shell import PAGES, current_project, errors_in_one_line, inside_the_shell
from widgets.shell.sign_in import as_now
from widgets.shell.untrusted import visible
from widgets.shell.words import counted, made_of

inside_the_shell()

NONE = "(none of these)"
TRUTH = "known in this trial project; only scoring reads it"
SOURCES = {
    "seed": "label given in a file",
    "decision": "a person chose the label",
    "decision: none of these": "a person found none fits",
    "bulk": "decided with its batch, after a sample of it",
    "audit": "a person chose the label blind",
    "audit: none of these": "a person found none fits, blind",
    "verdict": "proposed and judged valid",
    "classifiers": "proposed, not judged valid",
    "none of these": "no label seems to fit",
    "no round yet": "waits for the next round",
    "left out": "not used; see Data",
}
FORMATS = {"CSV": "text/csv", "JSONL": "application/jsonl", "Parquet": "application/vnd.apache.parquet"}
column = st.column_config


def show_next(project: Project, last: Round | None, counts: dict[str, int]) -> None:
    """Say what there is, and link to the one thing to do next."""
    sentence, page, link = what_is_next(project, last, counts)
    with st.container(border=True, key="results_next"):
        left, right = st.columns([7, 2], vertical_alignment="center")
        left.text(sentence)
        with right.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
            if page:
                st.page_link(PAGES[page], label=link, icon=":material/arrow_forward:")
            turn = {"on_click": st.session_state.update, "kwargs": {"results_tab": "Download"}}
            st.button("Download", type="tertiary", icon=":material/download:", **turn)


def what_is_next(project: Project, last: Round | None, counts: dict[str, int]) -> tuple[str, str, str]:
    """Return a sentence, and the page and words of its link."""
    if last is None:
        seeds, waiting = counts.get("seed", 0), counts.get("no round yet", 0)
        told = f"{seeds:,} rows have the label of their file. {waiting:,} wait for the first round, which shows here "
        return f"{told}what label each gets, how certain it is, and where it comes from.", "rounds", "Rounds"
    pool, uncertain = last.metrics["pool"], last.metrics["uncertain"]
    if new := counts.get("no round yet", 0):
        told = f"{counted(new, 'row has', 'rows have')} come in since round {last.id}: the next round labels them."
        return told, "rounds", "Rounds"
    if not uncertain:
        return f"Round {last.id} left none of {pool:,} texts uncertain: download the labels.", "", ""
    certain = Settings.model_validate_json(last.settings).certain_belief
    told = f"Round {last.id} left {uncertain:,} of {pool:,} texts uncertain (belief under {certain:.2f})"
    worth = queue_counts(project)["to decide"] if last.state == "to review" else 0
    if worth:
        told += f"; {counted(worth, 'of them is', 'of them are')} worth your decision: review, "
        return f"{told}or download what there is.", "review", "Review"
    return f"{told}: see if another round is worth it, or download what there is.", "rounds", "Rounds"


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
    show_cost(project, last)
    if true is None:
        st.caption(f"{told}Deciding texts in Review is how it is checked.")
        return
    right.metric("True agreement", f"{true:.1%}", f"of {facts(project)['truths']:,} texts", **quiet)
    gap = 100 * (true - expected)
    verdict = f"{abs(gap):.1f} points too {'low' if gap > 0 else 'high'}" if abs(gap) >= 1 else "about right"
    st.caption(f"{told}True is the share that equals the truth, {TRUTH}. Here the forecast is {verdict}.")


def show_cost(project: Project, last: Round) -> None:
    """Show what the judge cost per 1,000 texts, where it cost anything."""
    cost = spent(project)
    if cost.attempts:
        thousands = last.metrics["pool"] / 1000
        money = "" if cost.money is None else f", {cost.money / thousands:,.2f} at your prices"
        st.caption(f"The judge took {cost.tokens / thousands:,.0f} tokens per 1,000 texts{money}.")


def show_texts(project: Project, last: Round | None, counts: dict[str, int]) -> None:
    """Show one page of rows, searched, filtered and sorted by the database."""
    filters = choose_rows(project, last, counts)
    key = f"results_page_{hash((project.name, *filters.values()))}"  # other filters begin at their first page
    wanted = st.session_state.get(key, 1)
    rows, total = results_page(project, wanted - 1, filters)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        place = st.empty()
        page = st.pagination(max(1, ceil(total / ROWS_PER_PAGE)), key=key)
    if page != wanted:  # there are fewer pages than before
        rows, total = results_page(project, page - 1, filters)
    first = (page - 1) * ROWS_PER_PAGE
    told = f"Rows {first + 1:,} to {first + len(rows):,} of {total:,}"
    place.caption(told if rows else "No row matches. Search for another part of a text, or clear a filter.")
    if rows:
        show_rows(project, rows, round_yet=last is not None)


def choose_rows(project: Project, last: Round | None, counts: dict[str, int]) -> dict[str, Any]:
    """Show the search box and the filters, which stay on reload; return what results_page takes."""
    search, label, source, sort = st.columns([3, 3, 2, 2], vertical_alignment="bottom")
    names = {NONE_OF_THESE: NONE} | {label.id: label.name for label in labels(project).values()}
    given = [name for name in SOURCES if counts.get(name)]
    begin = given.index("seed") if last is None and "seed" in given else None
    kept: dict[str, Any] = {"bind": "query-params"}
    of_label = kept | {"placeholder": "All labels", "format_func": names.get, "key": "results_label"}
    of_source = kept | {"placeholder": "All sources", "key": "results_source"}
    return {
        "search": search.text_input("Search", key="results_search", placeholder="A part of the text", **kept),
        "label": label.selectbox("Label", list(names), index=None, **of_label),
        "source": source.selectbox("Source", given, index=begin, **of_source) or "",
        "lowest_first": last is not None and sort.toggle("Least certain first", True, key="results_least", **kept),
    }


def what_made(row: dict[str, Any]) -> str:
    """Return what a row's belief is made of."""
    if row["belief"] is None:
        return ""
    if row["source"] == "bulk":
        return "lower bound of its batch's sample"
    return made_of(row["prior"], *json.loads(row["verdict"] or '["", 0]'))


def shown_row(row: dict[str, Any], known: set[str]) -> dict[str, Any]:
    """Return a row of the store as it is shown; ``known`` are the keys of the project's labels."""
    none, truth, rival = row["source"].endswith("none of these"), visible(row["truth"] or ""), row["runner_up_belief"]
    if truth and (none or row["label"]):
        key = name_key(row["truth"])
        truth = f"✓ {truth}" if (key not in known if none else key == name_key(row["label"])) else f"✗ {truth}"
    return {
        "Text": visible(row["text"] or ""),
        "Label": visible(NONE if none else row["label"] or ""),
        "Belief": row["belief"],
        "Made of": what_made(row),
        "Truth": truth,
        "Source": row["source"],
        "Runner-up": "" if rival is None else f"{rival:.2f} {visible(row['runner_up'] or NONE)}",
        "File": visible(row["file"]),
        "Row": row["row"],
    }


def show_rows(project: Project, rows: list[dict[str, Any]], *, round_yet: bool) -> None:
    """Show the rows of a page; in a trial, beside their truth."""
    trial = ["Truth"] if facts(project)["truths"] else []
    columns = {
        "Text": column.TextColumn(width=285 if trial and round_yet else 400),
        "Label": column.TextColumn(width=160),
        "Belief": column.ProgressColumn(
            format="%.2f", max_value=1.0, width=100, help="Empty where a file, or a person one by one, gave the label"
        ),
        "Made of": column.TextColumn(
            width=150, help="The classifiers' own belief, and how far a verdict moved its odds"
        ),
        "Truth": column.TextColumn(width=165, help=f"✓ equals the label, ✗ does not; {TRUTH}"),
        "Runner-up": column.TextColumn(width=140, help="The belief in the next label, and its name"),
    }
    known = {name_key(label.name) for label in labels(project).values()}
    table = pd.DataFrame([shown_row(row, known) for row in rows])
    seen = ["Belief", "Made of", *trial, "Source", "Runner-up"] if round_yet else ["Source", "File", "Row"]
    st.dataframe(table, hide_index=True, height=598, column_order=["Text", "Label", *seen], column_config=columns)


def show_labels(project: Project, last: Round | None, _counts: dict[str, int]) -> None:
    """Show a row per label."""
    columns = {
        "name": column.TextColumn("Label", width=240),
        "subset": "Subset",
        "seeds": "Seeds",
        "fed_back": column.NumberColumn("Fed back", help="Pool texts that train this label"),
        "labelled": column.NumberColumn("Labelled", help="Pool texts whose best label this is, before decisions"),
        "belief": column.ProgressColumn("Mean belief", format="%.2f", max_value=1.0, help="Over the texts labelled"),
        "decided": column.NumberColumn("Decided", help="Texts a person gave this label"),
    }
    table = pd.DataFrame(label_table(project))
    table["name"], table["subset"] = table["name"].map(visible), table["subset"] + 1
    st.caption(f"{len(table):,} labels. A click on a heading sorts; the magnifier in the table's corner finds a name.")
    order = [name for name in columns if last is not None or name not in {"fed_back", "labelled", "belief"}]
    st.dataframe(table, hide_index=True, height=620, column_order=order, column_config=columns)


def show_download(project: Project, _last: Round | None, counts: dict[str, int]) -> None:
    """Offer every row as a file, which is written when it is asked for."""
    chosen = st.radio("Format", list(FORMATS), horizontal=True, key="results_format", bind="query-params")
    name = f"{project.name}-labels.{chosen.lower()}"

    def written() -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            export(project, path := Path(folder) / name)
            return path.read_bytes()

    told = "each with its file, row and other columns, its label, belief and source, the verdict, its judge and cost, "
    st.text(f"All {sum(counts.values()):,} rows of your files, {told}the decision and who made it, and the round.")
    if chosen == "JSONL":
        st.caption("JSONL is lossless: it holds every decision about a text, and Data restores them from it.")
    truth = f"The column truth is {TRUTH}. " if facts(project)["truths"] else ""
    st.caption(f"{truth}In CSV, a cell that a spreadsheet would run as a formula gets an apostrophe before it.")
    st.download_button(f"Download {chosen}", as_now(written), name, FORMATS[chosen], on_click="ignore", type="primary")


def show_pace(project: Project, _last: Round | None, _counts: dict[str, int]) -> None:
    """Show how long each person takes to decide, queue by queue."""
    rows = pace(project)
    if not rows:
        st.caption("Nothing to show yet: each person's seconds per decision, of what is decided one by one in Review.")
        return
    told = f"{counted(sum(row['decisions'] for row in rows), 'decision')} made one by one, also those undone since. "
    st.caption(f"{told}Batches, skips and blind audits are not in it. Half take no longer than p50, 95% than p95.")
    columns = {
        "who": column.TextColumn("Person", width=240),
        "queue": column.TextColumn("Queue", width=240),
        "decisions": column.NumberColumn("Decisions", format="localized"),
        "p50": column.NumberColumn("p50, seconds", format="%.1f"),
        "p95": column.NumberColumn("p95, seconds", format="%.1f"),
    }
    table = pd.DataFrame(rows)
    table["who"], table["queue"] = table["who"].map(visible), table["queue"].replace("", "no queue").map(visible)
    st.dataframe(table, hide_index=True, column_order=list(columns), column_config=columns, key="pace")


project = current_project()
with errors_in_one_line():
    last, counts = finished_round(project), source_counts(project)
    show_next(project, last, counts)
    left, right = st.columns([5, 3], gap="large")
    with left:
        show_sources(counts)
    if last is not None:
        with right:
            show_agreement(project, last)
    tabs = st.tabs(["Texts", "Labels", "Pace", "Download"], key="results_tab", bind="query-params")
    for tab, show in zip(tabs, (show_texts, show_labels, show_pace, show_download), strict=True):
        if tab.open:  # the others are not computed
            with tab:
                show(project, last, counts)
