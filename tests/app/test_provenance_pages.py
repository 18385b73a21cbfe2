"""The origin of labels on the pages: restored decisions, histories, the pace, the sources."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from red_core.data.tables import limits
from red_core.records import Project
from red_core.results.exports import export
from red_core.review.decisions import Provenance, decide
from red_core.store import desk
from red_core.store.database import connection
from red_core.store.decisions import decided
from red_core.store.desk import Compared
from red_core.store.labels import list_labels
from red_core.store.texts import pool
from tests.helpers.app_projects import HOSTILE, WHO, decision_rows, label_ids
from tests.helpers.rendered import markdown_of, words_on
from tests.helpers.small_projects import seed_rows, small_project, text_ids
from widgets.review.desk.review import ReviewSitting
from widgets.review.queues import Queue
from widgets.review.verdict_card import verdict_in_words

InState = Callable[..., Project]
OpenApp = Callable[..., AppTest]


def decide_some(project: Project, *, who: str = "Zoë", reason: str = "") -> None:
    """Accept three texts, in two queues, in 1, 3 and 7 seconds."""
    for index, (queue, seconds) in enumerate((("to decide", 1.0), ("to decide", 3.0), ("stale", 7.0))):
        text = int(pool(project)[index])
        decide(
            project,
            text,
            "accept",
            label=1,
            who=who,
            provenance=Provenance(reason=reason, queue=queue, seconds=seconds),
        )


# --- Data: restore decisions


@pytest.fixture
def exported(tmp_path: Path) -> bytes:
    """The export of another project of the same files, with three decisions."""
    other = small_project(tmp_path / "elsewhere")
    decide_some(other)
    export(other, tmp_path / "out.jsonl")
    return (tmp_path / "out.jsonl").read_bytes()


def restore(app: AppTest, content: bytes, name: str = "out.jsonl") -> AppTest:
    (uploader,) = [each for each in app.file_uploader if str(each.key).startswith("restore_upload")]
    uploader.upload(name, content)
    app.run()
    app.button(key="restore_now").click().run()
    assert not app.exception
    return app


def test_decisions_are_restored_and_counted(in_state: InState, open_app: OpenApp, exported: bytes) -> None:
    project = in_state("prepared")
    app = restore(open_app("data"), exported)
    assert "Decisions restored: 3." in words_on(app)
    assert len(decided(project)) == 3
    assert {row[5] for row in decision_rows(project)} == {"Zoë"}
    app = restore(app, exported)
    assert "Decisions restored: 0; 3 already there." in words_on(app)
    assert len(decision_rows(project)) == 3
    assert "Decisions restored" not in words_on(app.run())


def test_a_file_that_is_no_export_is_one_line(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("prepared")
    app = restore(open_app("data"), b'{"text": "x"}\n', "![x](http://beacon.invalid).jsonl")
    assert len(app.error) == 1
    assert "row 1: text_id: Field required" in words_on(app)
    assert "![x](" not in app.error[0].value
    assert decision_rows(project) == []


def test_nothing_is_restored_while_a_job_runs(in_state: InState, open_app: OpenApp, exported: bytes) -> None:
    project = in_state("preparing")
    app = restore(open_app("data"), exported)
    assert "a job is running" in words_on(app)
    assert decision_rows(project) == []


def test_hostile_names_of_labels_are_shown_as_plain_text(in_state: InState, open_app: OpenApp, exported: bytes) -> None:
    in_state("prepared")
    rows = [json.loads(line) for line in exported.decode().splitlines()]
    changed = [row for row in rows if row["decisions"]]
    for row, name in zip(changed, HOSTILE, strict=False):
        row["decisions"][0]["label"] = name
    app = restore(open_app("data"), "\n".join(json.dumps(row) for row in changed).encode())
    (message,) = [success.value for success in app.success]
    assert "<script>" not in message
    assert "![x](" not in message
    assert "script" in message


# --- Data and Label map: edited files


@pytest.mark.parametrize(("page", "key"), [("data", "edited_upload_0"), ("label_map", "label_set_file")])
def test_an_uploaded_file_is_read_in_a_process_that_is_stopped_in_time(
    page: str, key: str, in_state: InState, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_state("to review")
    app = open_app(page)
    if page == "label_map":
        app.radio(key="edit_kind").set_value("From a file").run()
    monkeypatch.setattr(limits, "PREVIEW_SECONDS", 0.0)
    app.file_uploader(key=key).upload("a.csv", b"text_id,name,label\nx,refund,refund\n").run()
    assert not app.exception
    assert "reading takes longer than 0 seconds" in words_on(app)


# --- Review: contradictions


def test_a_contradiction_with_a_rejected_label_is_shown_as_it_is_counted(workspace: Path) -> None:
    torn = ("refund or repair", "refund"), ("refund or repair", "repair")
    project = small_project(workspace, seeds=[*seed_rows(), *torn])
    text = text_ids(project)["refund or repair"]
    decide(project, text, "reject", label=label_ids(project)["refund"], who="ann")
    items = desk.queue(project, 0, "contradictions")
    assert desk.queue_counts(project, 0)["contradictions"] == len(items) == 1
    labels = {label.id: label for label in list_labels(project)}
    waiting = Queue("key", "contradictions", items, "")
    sitting = ReviewSitting(project, waiting, labels, lambda some: desk.cards(project, some, lambda *_: ()))
    shown, gone, _ = sitting.next_cards([], 10)
    assert ([card["id"] for card in shown], gone) == ([text], [])
    decide(project, text, "accept", label=label_ids(project)["repair"], who="bob")
    assert sitting.next_cards([text], 10)[:2] == ([], [text])


# --- The history of a label


def of_label(app: AppTest, name: str) -> AppTest:
    app.selectbox(key="label").set_value(name).run()
    return app


def history(app: AppTest) -> list[str] | None:
    """Return what the open history says, None where it is folded."""
    tables = [frame.value for frame in app.dataframe if "What" in frame.value]
    return tables[0]["What"].tolist() if tables else None


def test_a_labels_history_is_read_when_it_is_opened(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("fed back")
    app = of_label(open_app("label_map"), "refund")
    assert history(app) is None
    app.session_state[f"label_history_{label_ids(project)['refund']}"] = True
    app.run()
    assert not app.exception
    events = history(app)
    assert events is not None
    assert any(what.startswith("4 seed rows imported from") for what in events)
    assert any("subsets formed" in what for what in events)
    assert any(what.startswith("round 1: ") and "proposed" in what for what in events)
    assert any("accepted" in what for what in events)
    assert any("fed back" in what for what in events)


def test_a_hostile_labels_history_is_harmless(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("hostile", trial=False)
    app = open_app("label_map")
    name = app.selectbox(key="label").options[0]
    of_label(app, name)
    for label in label_ids(project).values():
        app.session_state[f"label_history_{label}"] = True
    app.run()
    assert not app.exception
    assert history(app)
    assert not any("beacon" in text and "![x](" in text for _, text in markdown_of(app))


# --- Results: the pace, the sources


def test_the_pace_teaches_until_something_was_timed(in_state: InState, open_app: OpenApp) -> None:
    in_state("decided")
    assert "seconds per decision" in words_on(open_app("results", results_tab="Pace"))


def test_the_pace_of_each_person_and_queue_is_shown(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    decide_some(project)
    app = open_app("results", results_tab="Pace")
    assert "3 decisions made one by one" in words_on(app)
    (table,) = [frame.value for frame in app.dataframe if "p95" in frame.value]
    assert table[["who", "queue", "decisions", "p50"]].to_numpy().tolist() == [
        ["Zoë", "outdated", 1, 7.0],
        ["Zoë", "to decide", 2, 2.0],
    ]
    assert table["p95"].tolist() == [7.0, pytest.approx(2.9)]


def test_labels_of_batches_and_of_audits_have_their_own_sources(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    first, second = (int(text) for text in pool(project)[:2])
    decide(project, first, "accept", label=1, who=WHO)
    with connection(project) as db:
        db.execute("UPDATE decision SET belief = .9")
        db.execute(
            "INSERT INTO audit (text, purpose, round, options, who, at) VALUES (?, 'label', 1, '[]', 'eve', 'then')",
            [second],
        )
        db.execute("INSERT INTO audit_answer (audit, kind, who, at) VALUES (1, 'none', 'eve', 'then')")
        db.conn.commit()
    app = open_app("results", results_least="false")
    (sources,) = [frame.value for frame in app.dataframe if "Source" in frame.value and "Rows" in frame.value]
    counts = dict(zip(sources["Source"], sources["Rows"], strict=True))
    assert (counts["bulk"], counts["audit: none of these"]) == (1, 1)
    app.selectbox(key="results_source").set_value("bulk").run()
    (rows,) = [frame.value for frame in app.dataframe if "Based on" in frame.value]
    assert rows[["Confidence", "Based on"]].to_numpy().tolist() == [[0.9, "a sample of the whole list"]]


def test_the_download_says_which_format_is_lossless(in_state: InState, open_app: OpenApp) -> None:
    in_state("decided")
    words = words_on(open_app("results", results_tab="Download"))
    assert "keeps everything" not in words
    assert "It adds label, belief (the confidence)," in words  # as the column is named
    app = open_app("results", results_tab="Download", results_format="JSONL")
    assert "JSONL keeps everything" in words_on(app)


@pytest.mark.parametrize(
    ("outcome", "chance", "words"),
    [
        ("valid", 0.9, "between this label and refund: this label, with a probability of 90%"),
        ("invalid", 0.1, "between this label and refund: refund, with a probability of 90%"),
        ("unparseable", None, "between this label and refund: unparseable"),
    ],
)
def test_a_card_says_which_of_two_labels_the_judge_chose(outcome: str, chance: float | None, words: str) -> None:
    compared = Compared("refund", outcome, chance, "chat/model at host, parameters abc", stale=False)
    card: Any = SimpleNamespace(judge="", p_valid=None, stale=False, compared=compared)
    assert verdict_in_words(card).endswith(words)
