"""An LLM judge in a project, over real HTTP: what it costs, what it is worth, and what a crash leaves."""

from __future__ import annotations

import itertools
import json
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from red_core.errors import JudgeError, StateError
from red_core.judges.meanings import write_meanings
from red_core.judges.project import (
    judge_check,
    judge_of,
    seconds_per_question,
    stored_self_test,
    try_connection,
)
from red_core.judges.self_test import INJECTION
from red_core.judges.server_settings import JudgeServer, judge_server
from red_core.records import PROMPT_VERSION, Project, Round
from red_core.results.exports import export
from red_core.rounds import recommendation
from red_core.rounds.jobs import follow_job, start_job
from red_core.rounds.querying import FOR_ANALYST
from red_core.rounds.run import run_round
from red_core.settings import Settings
from red_core.store.attempts import spent
from red_core.store.database import connection
from red_core.store.desk import queue_counts
from red_core.store.jobs import find_job
from red_core.store.labels import list_labels, meaning_authors, set_meanings
from red_core.store.rounds import close_round, list_rounds
from red_core.store.texts import pool
from red_core.store.verdicts import proposals_of, verdicts
from tests.helpers.fault_server import (
    KEY,
    MODEL,
    TOKENS,
    FaultServer,
    Heard,
    Said,
    always,
    chat,
    closed_address,
    honest,
    in_turn,
    refused,
    word,
)
from tests.helpers.prepared_process import forked_workers, prepared_red
from tests.helpers.small_projects import FAST, count, label_ids, pool_rows, seed_rows, small_project, text_ids
from tests.helpers.workers import kill, no_worker_left_over, verdict_rows, wait_for

__all__ = ["forked_workers", "no_worker_left_over", "prepared_red"]
pytestmark = pytest.mark.usefixtures("forked_workers")

ASKED = 10
JUDGED = FAST.model_copy(
    update={
        "judge": "llm",
        "self_test_seeds": 10,
        "canaries": 2,
        "least_gain": 0.0,
        "least_bits": 0.0,
        "most_questions": ASKED,
    }
)
SELF_TEST = 2 * JUDGED.self_test_seeds + JUDGED.canaries
TRIED = 2
"""Requests of the trial before the self-test."""


def judge_here(project: Project) -> str:
    """Return the identity of the judge that was tested last; '' before the first test."""
    with connection(project) as db:
        row = db.execute("SELECT judge FROM self_test ORDER BY id DESC LIMIT 1").fetchone()
    return "" if row is None else str(row[0])


def changed(**changes: object) -> Settings:
    return JUDGED.model_copy(update=changes)


def next_round(project: Project, **changes: object) -> Round:
    if list_rounds(project):
        close_round(project)
    return run_round(project, changed(**changes))


def about(heard: Heard) -> tuple[str, str]:
    return heard.text, heard.state["proposed"]["label"]


def of_pool(project: Project, heard: list[Heard]) -> list[tuple[str, str]]:
    """Return the pairs of those requests that are no self-test."""
    texts, ids = set(pool(project).tolist()), text_ids(project)
    return [about(h) for h in heard if ids.get(h.text) in texts]


def stored_pairs(project: Project) -> set[tuple[str, str]]:
    texts = {id_: text for text, id_ in text_ids(project).items()}
    names = {id_: name for name, id_ in label_ids(project).items()}
    return {(texts[v.text], names[v.label]) for v in verdicts(project)}


# A round


def test_a_round_tests_the_judge_and_asks_it_and_counts_what_it_cost(project):
    with FaultServer() as server:
        done = run_round(project, JUDGED)
        assert (done.state, done.metrics["questions"], done.metrics["failed"]) == ("to review", ASKED, 0)
        judge = judge_of(project, judge_server())
    assert (done.judge, done.metrics["judge"]) == ("llm", judge)
    assert judge.startswith(f"chat/{MODEL} at 127.0.0.1:")
    assert spent(project).tokens == len(server.answered) * sum(TOKENS)
    assert done.metrics["tokens"] == (SELF_TEST + ASKED) * sum(TOKENS)
    assert done.metrics["judge_rates"]["right"]["valid"] > 0.8
    assert len(server.heard) == TRIED + SELF_TEST + ASKED
    assert set(of_pool(project, server.heard)) == stored_pairs(project)


def test_every_verdict_says_by_which_prompt_and_model_and_on_which_meaning(project):
    set_meanings(project, {1: "About money."}, "tester")
    with FaultServer():
        run_round(project, JUDGED)
        judge = judge_here(project)
    with connection(project) as db:
        found = set(db.execute("SELECT judge, model, prompt_version, cut FROM verdict").fetchall())
        keys = [key for (key,) in db.execute("SELECT question_key FROM verdict")]
        meanings = set(
            db.execute("SELECT label, meaning FROM verdict v JOIN proposal p ON p.id = v.proposal").fetchall()
        )
        raw = {raw for (raw,) in db.execute("SELECT raw FROM verdict")}
    assert found == {(judge, MODEL, PROMPT_VERSION, 0)}
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 64 for key in keys)
    assert meanings == {(label, 1 if label == 1 else 0) for label, _ in meanings}
    assert raw <= {word(kind).sent.decode() for kind in ("valid", "invalid")}


def test_an_attempt_is_stored_before_its_request_arrives(project):
    seen = []

    def looks(heard: Heard) -> Said:
        with connection(project) as db:
            seen.append(db.execute("SELECT count(*), count(tokens_in) FROM attempt").fetchone())
        return honest(heard)

    with FaultServer(looks) as server:
        run_round(project, JUDGED)
    assert [stored for stored, _ in seen] == list(range(1, len(server.heard) + 1))
    assert all(settled < stored for stored, settled in seen)


def test_every_verdict_has_its_attempt_and_every_attempt_is_settled(project):
    with FaultServer(in_turn(chat("prose"), refused(429))):
        run_round(project, JUDGED)
    assert count(project, "SELECT count(*) FROM attempt WHERE tokens_in IS NULL") == 0
    with connection(project) as db:
        attempts = db.execute("SELECT purpose, count(*), count(verdict) FROM attempt GROUP BY purpose").fetchall()
    assert attempts == [("connect", TRIED + 2, 0), ("judge", ASKED, ASKED), ("self-test", SELF_TEST, 0)]


def test_a_question_that_failed_is_no_verdict_and_its_text_is_asked_about_in_the_next_round(project):
    unlucky = []

    def sometimes(heard: Heard) -> Said:
        if "message" in heard.text and len(unlucky) < 3:
            unlucky.append(about(heard))
            return refused(422 + len(unlucky))
        return honest(heard)

    with FaultServer(sometimes) as server:
        first = run_round(project, JUDGED)
        assert (first.metrics["failed"], len(unlucky)) == (3, 3)
        assert not set(unlucky) & stored_pairs(project)
        before = len(server.heard)
        next_round(project, most_questions=60)
        assert {text for text, _ in unlucky} <= {text for text, _ in of_pool(project, server.heard[before:])}


def test_a_run_that_ends_in_an_error_keeps_its_verdicts_and_goes_on(project):
    with FaultServer(in_turn(*[word("valid")] * (TRIED + SELF_TEST + 7), then=always(refused(402)))) as server:
        with pytest.raises(JudgeError, match="Top up the account"):
            run_round(project, JUDGED)
        kept = verdict_rows(project)
        assert len(kept) == 7
        asked = of_pool(project, server.heard[:-1])
        server.behave, before = honest, len(server.heard)
        assert run_round(project, JUDGED).metrics["questions"] == ASKED
    assert kept <= verdict_rows(project)
    assert not set(asked) & set(of_pool(project, server.heard[before:]))


# Caps


@dataclass
class Purse:
    """Bills what it is told, as far as more than that was reserved."""

    tokens: int

    def __call__(self, heard: Heard) -> Said:
        said = honest(heard).body
        return Said(said | {"usage": {"prompt_tokens": self.tokens - 5, "completion_tokens": 5}})


@pytest.mark.parametrize("cap", ["most_tokens", "most_tokens_project"])
def test_a_cap_holds_and_ends_the_round_incomplete_without_a_failure(cap, project):
    with FaultServer(Purse(400)) as server:
        run_round(project, changed(most_questions=0))
        before = spent(project).tokens if cap == "most_tokens_project" else 0
        most = before + 10 * 400
        done = next_round(project, **{cap: most})
    assert (done.state, done.metrics["failed"], done.metrics["complete"]) == ("to review", 0, False)
    asked = len(of_pool(project, server.heard))
    assert 0 < asked < 10
    assert spent(project, round_id=done.id).tokens == 400 * asked <= most - before
    reserves = count(project, "SELECT min(reserved) FROM attempt")
    assert 400 * asked + reserves * 1.2 > most - before
    assert len([p for p in proposals_of(project, done.id) if p.answered]) == asked


def test_the_next_round_asks_what_the_cap_left(project):
    with FaultServer(Purse(400)) as server:
        run_round(project, changed(most_tokens=SELF_TEST * 400 + 6000))
        first = set(of_pool(project, server.heard))
        before = len(server.heard)
        next_round(project)
    again = of_pool(project, server.heard[before:])
    assert again
    assert not first & set(again)


def test_a_cap_holds_at_every_moment_with_many_at_once(project, monkeypatch):
    most = SELF_TEST * 400 + 16_000
    highest = [0]

    def looks(heard: Heard) -> Said:
        highest[0] = max(highest[0], spent(project, round_id=1).tokens)
        return Purse(400)(heard)

    with FaultServer(looks):
        monkeypatch.setenv("RED_JUDGE_AT_ONCE", "8")
        done = run_round(project, changed(most_tokens=most, most_questions=200))
    assert not done.metrics["complete"]
    assert highest[0] <= most
    assert spent(project, round_id=1).tokens <= most


def test_a_judge_whose_test_the_cap_cut_short_is_refused(project):
    with FaultServer() as server:
        with pytest.raises(JudgeError, match=r"answered only \d+ pairs of the self-test.*token limit is too low"):
            run_round(project, changed(most_tokens=2000))
        assert 0 < len(server.heard) < 20
        assert next_round(project).state == "to review"
        assert len(server.heard) == TRIED + SELF_TEST + ASKED


# A judge is who answered


def test_another_address_is_another_judge_with_its_own_test_and_its_own_questions(project):
    with FaultServer():
        run_round(project, JUDGED)
        first = judge_here(project)
    with FaultServer() as server:
        assert judge_of(project, judge_server()) == ""
        next_round(project)
        second = judge_here(project)
    assert first != second
    assert len(server.heard) == TRIED + SELF_TEST + ASKED


def test_another_parameter_is_another_judge(project, monkeypatch):
    with FaultServer() as server:
        run_round(project, JUDGED)
        before = len(server.heard)
        monkeypatch.setenv("RED_JUDGE_EXTRA", '{"seed": 7}')
        next_round(project)
        assert len(server.heard) - before == TRIED + SELF_TEST + ASKED


def test_a_model_that_changes_behind_an_address_is_tested_before_it_is_asked_again(project):
    def then(heard: Heard) -> Said:
        said = honest(heard).body
        return Said(said | {"model": "tiny-2"} if len(server.heard) > TRIED + SELF_TEST + 3 else said)

    with FaultServer(then) as server:
        with pytest.raises(JudgeError, match=r"now answers as tiny-2; tiny-1 was tried and tested"):
            run_round(project, JUDGED)
        kept, before = verdict_rows(project), len(server.heard)
        done = run_round(project, JUDGED)
    assert kept <= verdict_rows(project)
    assert done.metrics["judge"].startswith("chat/tiny-2 at ")
    assert len(server.heard) - before - len(of_pool(project, server.heard[before:])) == TRIED + SELF_TEST


def test_a_server_that_refuses_what_it_took_in_the_trial_is_tried_again_in_the_next_run(project):
    def then(heard: Heard) -> Said:
        if len(server.heard) > TRIED + SELF_TEST + 3 and "temperature" in heard.body:
            return Said({"error": {"message": "temperature is not supported"}}, 400)
        return honest(heard)

    with FaultServer(then) as server:
        with pytest.raises(JudgeError, match=r"refuses every question, status 400: .*temperature is not supported"):
            run_round(project, JUDGED)
        done = run_round(project, JUDGED)
    assert done.metrics["failed"] == 0


def test_a_judge_that_continues_a_round_of_another_one_leaves_its_verdicts(project, monkeypatch):
    """A suggestion has one verdict in a round; another judge is asked about other pairs."""
    answered = in_turn(*[word("invalid")] * 7, then=always(refused(402)))
    with FaultServer(
        lambda heard: honest(heard) if len(server.heard) <= TRIED + SELF_TEST else answered(heard)
    ) as server:
        with pytest.raises(JudgeError, match="Top up the account"):
            run_round(project, changed(least_bits=0.0, most_questions=200))
        kept = stored_pairs(project)
        server.behave = honest
        monkeypatch.setenv("RED_JUDGE_EXTRA", '{"seed": 7}')
        run_round(project, changed(most_questions=200))
    assert kept < stored_pairs(project)


def test_an_address_that_serves_a_web_page_is_not_asked_the_self_test(project):
    with FaultServer(always(Said("<!doctype html><p>Hello"))) as server:
        with pytest.raises(JudgeError, match=r"cannot be used\. .*sends a web page\. Check OPENAI_BASE_URL"):
            judge_check(project, JUDGED)
        assert len(server.heard) <= 4


def test_the_time_of_a_question_is_that_of_one_request_divided_by_those_in_flight(project, monkeypatch):
    assert seconds_per_question(project, JudgeServer(model="m")) == 0.0
    with FaultServer(lambda heard: replace(honest(heard), delay=0.3)):
        monkeypatch.setenv("RED_JUDGE_AT_ONCE", "4")
        try_connection(project, judge_server())
        assert 0.3 / 4 <= seconds_per_question(project, judge_server()) < 0.5 / 4


def test_a_batch_is_asked_pair_by_pair_and_the_order_changes_no_result(project, make_project):
    """With a cap, which could end the batch, the questions come in the order of their values."""

    def pairs_asked(server: FaultServer, of: Project) -> list[tuple[str, str]]:
        heard = [h for h in server.heard if (h.text, h.state["proposed"]["label"]) in set(of_pool(of, server.heard))]
        return [(h.state["proposed"]["label"], h.state["rival"]["label"]) for h in heard]

    other = make_project(name="other")
    once = {"questions_at_once": 30, "most_questions": 30}
    with FaultServer() as server:
        done = run_round(project, changed(**once))
        asked = pairs_asked(server, project)
    with FaultServer() as server:
        capped = run_round(other, changed(**once, most_tokens=10_000_000))
        by_value = pairs_asked(server, other)
    assert len(list(itertools.groupby(asked))) == len(set(asked)) < len(list(itertools.groupby(by_value)))
    assert Counter(asked) == Counter(by_value)
    assert asked[0] == by_value[0]
    assert stored_pairs(project) == stored_pairs(other)
    assert [p.text for p in proposals_of(project, done.id)] == [p.text for p in proposals_of(other, capped.id)]
    assert {k: v for k, v in done.metrics.items() if k != "judge"} == {
        k: v for k, v in capped.metrics.items() if k != "judge"
    }


# The analyst's value and the judge's


def test_a_judge_that_cannot_tell_labels_apart_is_not_asked_and_the_queue_is_the_analysts(project):
    with FaultServer(always(word("valid"))) as server:
        done = run_round(project, changed(least_bits=0.05, least_gain=0.005, most_questions=5000))
        assert of_pool(project, server.heard) == []
    worth = done.metrics["worth_asking"]
    assert (done.metrics["questions"], done.metrics["worth_judging"], done.metrics["complete"]) == (0, 0, True)
    assert worth > 3
    assert queue_counts(project, done.id)["to decide"] >= 0.95 * worth
    told = f"This model cannot tell these labels apart (it says valid to 100% of wrong ones). {worth} texts are worth"
    assert recommendation(project).reason == f"{told} your answer."
    assert done.metrics["true_agreement"] == done.metrics["true_alone"]


def test_after_a_good_judge_the_queue_holds_what_is_still_worth_the_analysts_answer(project):
    with FaultServer():
        done = run_round(project, changed(most_questions=3, least_gain=0.005))
    unasked = [p for p in proposals_of(project, done.id) if p.reason == FOR_ANALYST]
    assert len(unasked) > 0
    assert not any(p.answered for p in unasked)
    assert done.metrics["questions"] == 3
    assert min(p.gain for p in unasked) >= 0.005


# Meanings


def test_a_verdict_on_an_earlier_meaning_is_no_evidence_and_is_asked_again(project):
    with FaultServer() as server:
        run_round(project, JUDGED)
        ids = label_ids(project)
        edited = next(v.label for v in verdicts(project))
        set_meanings(project, {edited: "Something else."}, "tester")
        assert {v.label for v in verdicts(project) if v.stale} == {edited}
        name = next(name for name, id_ in ids.items() if id_ == edited)
        stale = {pair for pair in stored_pairs(project) if pair[1] == name}
        before = len(server.heard)
        next_round(project, most_questions=60)
    asked = Counter(of_pool(project, server.heard[before:]))
    assert stale <= set(asked)
    assert max(asked.values()) == 1
    told = {h.state["proposed"].get("meaning") for h in server.heard[before:] if about(h)[1] == name}
    assert told == {"Something else."}
    assert not [v for v in verdicts(project) if v.stale]


def test_stale_verdicts_leave_the_beliefs_to_the_classifiers(project):
    with FaultServer():
        run_round(project, JUDGED)
        believed = next_round(project, most_questions=0).metrics
        set_meanings(project, dict.fromkeys(label_ids(project).values(), "Something else."), "tester")
        alone = next_round(project, most_questions=0).metrics
    assert believed["expected_agreement"] != pytest.approx(believed["expected_alone"], abs=1e-6)
    assert alone["expected_agreement"] == pytest.approx(alone["expected_alone"], abs=1e-6)


def test_verdicts_of_a_judge_that_reads_no_meanings_never_become_stale(project):
    run_round(project, FAST)
    set_meanings(project, dict.fromkeys(label_ids(project).values(), "Something else."), "tester")
    assert verdicts(project)
    assert not [v for v in verdicts(project) if v.stale]


# The self-test


def test_the_self_test_is_not_asked_again_in_the_next_round(project):
    with FaultServer() as server:
        run_round(project, JUDGED)
        first = stored_self_test(project, judge_here(project))
        before = len(server.heard)
        next_round(project)
        again = server.heard[before:]
    assert len(of_pool(project, again)) == len(again) > 0
    assert stored_self_test(project, judge_here(project)) == first


def test_a_check_asks_every_pair_anew(project):
    with FaultServer() as server:
        run_round(project, JUDGED)
        before, reports = len(server.heard), []
        server.behave = always(word("valid"))
        found = judge_check(project, JUDGED, lambda *step: reports.append(step))
    assert len(server.heard) - before == TRIED + SELF_TEST
    assert (dict(found.right), dict(found.wrong), dict(found.canaries)) == ({"valid": 10}, {"valid": 10}, {"valid": 2})
    assert found == stored_self_test(project, judge_here(project))
    assert reports[0] == (0, SELF_TEST)
    assert reports[-1] == (SELF_TEST, SELF_TEST)
    assert "accepts most wrong labels" in found.warning


def test_canaries_are_asked_with_the_injection_and_their_own_place(project):
    with FaultServer() as server:
        run_round(project, JUDGED)
    told = [h for h in server.heard if INJECTION in h.text]
    assert len(told) == JUDGED.canaries
    assert not any(h.text.startswith(h.state["proposed"]["label"]) for h in told)
    found = stored_self_test(project, judge_here(project))
    assert found is not None
    assert (found.pairs, dict(found.canaries)) == (20, {"invalid": 2})


def test_with_fewer_than_twenty_answers_the_judge_is_refused_until_the_rest_came(project):
    with FaultServer(in_turn(*[word("valid")] * TRIED, refused(400))) as server:
        with pytest.raises(JudgeError, match=r"answered only 19 pairs of the self-test: too few to trust it"):
            run_round(project, JUDGED)
        before = len(server.heard)
        assert run_round(project, JUDGED).state == "to review"
        assert len(server.heard) - before - len(of_pool(project, server.heard)) == 1


def test_a_project_of_few_seeds_is_tested_on_all_it_has(make_project):
    project = make_project(seeds=seed_rows(each=2))
    with FaultServer():
        run_round(project, JUDGED)
    found = stored_self_test(project, judge_here(project))
    assert found is not None
    assert found.pairs == 16


def test_before_the_first_test_there_is_none(project):
    assert stored_self_test(project, judge_here(project)) is None


# The connection


def forms(heard: list[Heard]) -> list[str]:
    return [h.body.get("response_format", {"type": "plain"})["type"] for h in heard]


def test_what_a_server_obeys_is_found_once_and_remembered(project, monkeypatch):
    with FaultServer(lambda h: honest(h) if forms([h]) == ["json_object"] else refused(400)) as server:
        monkeypatch.setenv("RED_JUDGE_FORMAT", "auto")
        run_round(project, JUDGED)
        assert forms(server.heard)[:4] == ["json_schema"] * 2 + ["json_object"] * 2
        assert set(forms(server.heard)[2:]) == {"json_object"}
        before = len(server.heard)
        next_round(project)
        assert set(forms(server.heard[before:])) == {"json_object"}
    assert count(project, "SELECT count(*) FROM attempt WHERE purpose = 'connect'") == 4
    assert count(project, "SELECT count(*) FROM attempt WHERE purpose = 'connect' AND tokens_in IS NULL") == 0


def test_trying_again_on_purpose_replaces_what_was_remembered(project, monkeypatch):
    with FaultServer() as server:
        monkeypatch.setenv("RED_JUDGE_FORMAT", "auto")
        assert try_connection(project, judge_server()).form == "json_schema"
        server.behave = lambda h: honest(h) if forms([h]) == ["plain"] else chat("prose")
        assert try_connection(project, judge_server()).form == "plain"
        before = len(server.heard)
        judge_check(project, JUDGED)
        assert set(forms(server.heard[before:][-SELF_TEST:])) == {"plain"}


def test_another_model_is_tried_for_itself(project, monkeypatch):
    with FaultServer() as server:
        monkeypatch.setenv("RED_JUDGE_FORMAT", "auto")
        judge_check(project, JUDGED)
        monkeypatch.setenv("RED_JUDGE_MODEL", "another")
        before = len(server.heard)
        judge_check(project, JUDGED)
    assert len(server.heard) - before == 2 + SELF_TEST


def test_a_server_that_obeys_nothing_ends_the_round_with_what_was_tried(project, monkeypatch):
    with FaultServer(always(chat("Valid, I think."))):
        monkeypatch.setenv("RED_JUDGE_FORMAT", "auto")
        with pytest.raises(JudgeError, match=r"cannot be used\. Asking for JSON with a schema: the server replied"):
            run_round(project, JUDGED)
    assert list_rounds(project)[-1].state == "open"
    assert spent(project).tokens == 12 * sum(TOKENS)


def test_a_project_without_vectors_is_told_to_run_a_round_first(workspace):
    project = small_project(workspace)
    with connection(project) as db, db.conn:
        db.execute("DELETE FROM vector")
    with FaultServer(), pytest.raises(StateError, match="Run a round first"):
        try_connection(project, judge_server())


def test_a_connection_that_cannot_be_had_is_told_in_the_round(project):
    with FaultServer(), pytest.MonkeyPatch.context() as patch:  # undone before the server's own
        patch.setenv("OPENAI_BASE_URL", closed_address())
        with pytest.raises(JudgeError, match="nothing listens at 127"):
            run_round(project, JUDGED)


# The key


def workspace_bytes(project: Project) -> bytes:
    with connection(project) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return b"".join(path.read_bytes() for path in project.workspace.rglob("*") if path.is_file())


class Teller:
    """Answers well, or badly, and always with the key in it."""

    def __init__(self) -> None:
        self.met: set[str] = set()

    def __call__(self, heard: Heard) -> Said:
        told = {"headers": dict(heard.headers), "model": f"tiny {heard.headers['authorization']}"}
        first = heard.text not in self.met
        self.met.add(heard.text)
        if first and heard.text.endswith("3"):
            return Said({"error": {"message": json.dumps(told), "code": heard.headers["authorization"]}}, 418)
        return Said(json.dumps(told) if heard.text.endswith("5") else honest(heard).body | told)


def test_the_key_reaches_no_file_of_the_project_and_no_log(project, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    with FaultServer(Teller()) as server:
        job = start_job(project, "round", changed(self_test_seeds=30, most_questions=30), "tester")
        assert follow_job(project, job, lambda _: None, 0.1).state == "done"
        close_round(project)
        run_round(project, JUDGED)
        export(project, tmp_path / "out.csv")
    assert all(h.headers["authorization"] == f"Bearer {KEY}" for h in server.heard)
    found = workspace_bytes(project)
    assert b"tiny Bearer ***" in found
    assert b"unparseable" in found
    assert KEY.encode() not in found
    assert KEY not in (tmp_path / "out.csv").read_text("utf-8") + caplog.text


def test_a_job_that_the_server_turned_away_says_so_without_the_key(project):
    with FaultServer(lambda h: Said({"error": {"message": h.headers["authorization"]}}, 401)):
        job = start_job(project, "round", JUDGED, "tester")
        with pytest.raises(StateError, match=r"refused the key\. Check OPENAI_API_KEY \(401\)") as caught:
            follow_job(project, job, lambda _: None, 0.1)
    assert KEY not in str(caught.value)
    assert KEY.encode() not in workspace_bytes(project)


# kill -9

AT_ONCE = 8
LONG = changed(questions_at_once=100, most_questions=400)


def in_20_ms(heard: Heard) -> Said:
    return Said(honest(heard).body, delay=0.02)


def in_60_ms(heard: Heard) -> Said:
    return Said(honest(heard).body, delay=0.06)  # 400 questions, 8 at once: 3 s at least, whatever the machine


@pytest.fixture
def many(workspace) -> Project:
    """A project of which 400 questions can be asked."""
    return small_project(workspace, seeds=seed_rows(each=8), pool=pool_rows(each=100))


def end_of_round(project: Project, server: FaultServer, kills: int = 1) -> None:
    """Let the round end, and check that what was stored stays, is not asked again, and that all was paid for."""
    kept, pairs, before = verdict_rows(project), stored_pairs(project), len(server.heard)
    check_cost(project, server)
    job = start_job(project, "round", LONG, "tester")
    assert follow_job(project, job, lambda _: None, 0.1).state == "done"
    assert list_rounds(project)[-1].state == "to review"
    assert kept <= verdict_rows(project)
    again = of_pool(project, server.heard[before:])
    assert not pairs & set(again)
    assert (
        len(set(again) & set(of_pool(project, server.heard[:before]))) <= kills * 2 * AT_ONCE
    )  # in flight, or a group
    assert len(again) == len(set(again)) == len(verdict_rows(project)) - len(kept)
    assert list_rounds(project)[-1].metrics["questions"] == 400
    assert len(verdict_rows(project)) == 400
    check_cost(project, server)


def check_cost(project: Project, server: FaultServer) -> None:
    assert spent(project).tokens >= len(server.answered) * sum(TOKENS)
    assert count(project, "SELECT count(*) FROM attempt") >= len(server.heard)


def kill_after(project: Project, reached: Callable[[int], bool], wait: float = 0.0) -> None:
    job = start_job(project, "round", LONG, "tester")
    wait_for(lambda: reached(job), "the moment to kill")
    time.sleep(wait)
    kill(project, job)


def test_a_judge_killed_while_it_is_asked_loses_no_verdict_and_asks_none_again(many, monkeypatch):
    with FaultServer(in_20_ms) as server:
        monkeypatch.setenv("RED_JUDGE_AT_ONCE", str(AT_ONCE))
        kill_after(many, lambda _: len(server.answered) >= TRIED + SELF_TEST + 150)
        assert 150 - 2 * AT_ONCE <= len(verdict_rows(many)) < 400
        assert count(many, "SELECT count(*) FROM attempt WHERE tokens_in IS NULL") <= 2 * AT_ONCE
        end_of_round(many, server)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(10))
def test_a_judge_killed_at_a_random_moment_loses_no_verdict_and_asks_none_again(seed, many, monkeypatch):
    rng = np.random.default_rng(seed)
    with FaultServer(in_60_ms) as server:
        monkeypatch.setenv("RED_JUDGE_AT_ONCE", str(AT_ONCE))
        kills = int(rng.integers(1, 4))
        for _ in range(kills):
            wait = float(rng.uniform(0, 2.5 / kills))  # all together end before the round can
            kill_after(many, lambda job: find_job(many, job).stage in {"test the judge", "ask"}, wait)
            check_cost(many, server)
        end_of_round(many, server, kills)


def test_a_key_that_comes_back_in_what_is_written_is_not_stored(project):
    written = json.dumps({"belongs": KEY, "does_not_belong": "the rest", "told_from": []})
    with FaultServer(lambda heard: chat(written, model=KEY) if "seeds" in heard.state else honest(heard)):
        write_meanings(project, JUDGED)
    assert all(label.meaning.startswith("***") for label in list_labels(project))
    assert KEY.encode() not in workspace_bytes(project)


MEANING = json.dumps({"belongs": "About it", "does_not_belong": "the rest", "told_from": []})


@pytest.mark.parametrize("harms", [{"refund"}, set()], ids=["one harms", "none harms"])
def test_a_meaning_under_which_the_judge_does_worse_is_not_kept(harms, project):
    """Under some meanings the judge calls everything invalid."""

    def behave(heard: Heard) -> Said:
        if "seeds" in heard.state:
            return chat(MEANING)
        asked = heard.state["proposed"]
        return word("invalid") if asked["label"] in harms and "meaning" in asked else honest(heard)

    with FaultServer(behave) as server:
        if harms:
            with pytest.raises(
                JudgeError, match=r"3 of 4 meanings were written, .*under 1 of them the judge did worse"
            ):
                write_meanings(project, JUDGED)
        else:
            assert write_meanings(project, JUDGED) == 4
        checks = [h for h in server.heard[TRIED:] if "proposed" in h.state]
    assert {label.name for label in list_labels(project) if not label.meaning} == harms
    assert len(checks) == 4 * 2 * (3 + 3)
    assert sum("meaning" in h.state["proposed"] for h in checks) == len(checks) / 2
    assert count(project, "SELECT count(*) FROM attempt WHERE purpose = 'meaning' AND tokens_in IS NULL") == 0


def test_a_meaning_that_cannot_be_checked_is_marked_so(make_project):
    """A label with one example has no pair whose answer is known."""
    rows = [row for row in seed_rows() if row[1] != "refund"] + [seed_rows()[0]]
    assert [label for _, label in rows].count("refund") == 1
    project = make_project(seeds=rows)
    with FaultServer(lambda heard: chat(MEANING) if "seeds" in heard.state else honest(heard)):
        assert write_meanings(project, JUDGED) == 4
    author = {name: meaning_authors(project)[id_] for name, id_ in label_ids(project).items()}
    assert author.pop("refund") == f"model {MODEL}, not checked"
    assert set(author.values()) == {f"model {MODEL}"}
    with FaultServer(lambda heard: chat(MEANING) if "seeds" in heard.state else honest(heard)):
        assert write_meanings(project, JUDGED, rewrite=True) == 4


def test_a_check_that_was_not_answered_blames_no_meaning(project):
    """The server breaks down under the meaning: it was not compared, so it is neither worse nor checked."""

    def behave(heard: Heard) -> Said:
        if "seeds" in heard.state:
            return chat(MEANING)
        asked = heard.state["proposed"]
        return refused(500) if asked["label"] == "refund" and "meaning" in asked else honest(heard)

    with FaultServer(behave):
        assert write_meanings(project, JUDGED) == 4
    authors = meaning_authors(project)
    assert [name for name, id_ in label_ids(project).items() if authors[id_].endswith(", not checked")] == ["refund"]


def test_the_projects_cap_holds_for_whatever_is_asked_after_the_round(project):
    with FaultServer():
        run_round(project, changed(most_tokens_project=10_000_000))
        used = spent(project).tokens
        close_round(project)
        run_round(project, changed(most_tokens_project=used + 10))
        assert not list_rounds(project)[-1].metrics["failed"]
        for ask in (
            lambda: try_connection(project, judge_server()),
            lambda: write_meanings(project, Settings(judge="llm")),
            lambda: judge_check(project, Settings(judge="llm", self_test_seeds=10)),
        ):
            with pytest.raises(JudgeError, match="token limit"):
                ask()
    assert spent(project).tokens <= used + 10


def correcting(heard: Heard) -> Said:
    """Choose the candidate that is right, 0 where none is; else answer honestly."""
    if "candidates" not in heard.state:
        return honest(heard)
    right = [c["number"] for c in heard.state["candidates"] if heard.text.startswith(c["label"])]
    return chat(json.dumps({"choice": right[0] if right else 0}))


def reasons(project: Project) -> Counter[str]:
    """Return how many questions to the judge each rule selected in the last round."""
    of_round = proposals_of(project, list_rounds(project)[-1].id)
    return Counter(p.reason for p in of_round if p.reason != FOR_ANALYST)


def test_a_correction_becomes_the_next_proposal_and_is_validated_like_any_other(project):
    with FaultServer(correcting):
        done = run_round(project, changed(corrections=3))
    assert reasons(project)["correction"] > 0
    assert all(p.answered or p.reason == FOR_ANALYST for p in proposals_of(project, done.id))
    with connection(project) as db:
        told = db.execute(
            "SELECT outcome, count(*) FROM verdict JOIN proposal ON proposal.id = verdict.proposal "
            "WHERE reason = 'correction' GROUP BY outcome"
        ).fetchall()
        asked = db.execute(
            "SELECT count(*), count(tokens_in), count(verdict) FROM attempt WHERE purpose = 'correction'"
        )
        assert told == [("valid", reasons(project)["correction"])]
        choices, settled, verdicts_of_choices = asked.fetchone()
    assert choices == settled >= reasons(project)["correction"]
    assert verdicts_of_choices == 0


def test_corrections_count_towards_the_cap_of_questions(project):
    with FaultServer(correcting):
        run_round(project, changed(corrections=3, most_questions=6))
    assert sum(reasons(project).values()) <= 6


@pytest.mark.parametrize("said", ['{"choice": 0}', '{"choice": 9}', '{"choice": true}', "the second"])
def test_a_choice_that_is_none_or_cannot_be_read_proposes_nothing(project, said):
    with FaultServer(lambda heard: chat(said) if "candidates" in heard.state else honest(heard)):
        run_round(project, changed(corrections=3))
    assert reasons(project)["correction"] == 0


def test_without_the_setting_no_correction_is_asked_for(project):
    with FaultServer(correcting) as server:
        run_round(project, JUDGED)
    assert not any("candidates" in heard.state for heard in server.heard)
