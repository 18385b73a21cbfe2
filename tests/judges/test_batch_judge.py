"""Questions in batches, over real HTTP: read as strictly as single replies, and paid once whatever happens."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings

from red_core.errors import Cancelled, JudgeError
from red_core.judges import batch_api, batch_judge
from red_core.judges.apis import read_reply, verdict_request
from red_core.judges.batch_judge import Batches, BatchJudge
from red_core.judges.client import most_tokens
from red_core.judges.dialect import ANSWER_TOKENS
from red_core.judges.llm_judge import AnotherModelError
from red_core.judges.project import cancel_batches
from red_core.judges.prompt import prompt_of
from red_core.judges.replies import Band
from red_core.judges.reserving import reserve_for
from red_core.judges.server_settings import judge_server
from red_core.records import Answer, Label, Project, Question
from red_core.rounds.run import run_round
from red_core.settings import Settings
from red_core.steps.judge_reliability import judge_rates
from red_core.store.attempts import spent
from red_core.store.database import connection
from red_core.store.texts import pool
from red_core.store.verdicts import add_proposals, add_verdicts, verdicts
from tests.helpers.any_json import changed_somewhere
from tests.helpers.batch_server import GONE, IN_BATCHES, RESERVED, KilledError, Line, batch_server
from tests.helpers.fault_server import (
    MODEL,
    TOKENS,
    FaultServer,
    Heard,
    Said,
    chat,
    endpoint,
    honest,
    llm_judge,
    refused,
    some_questions,
    word,
)
from tests.helpers.small_projects import FAST, count, label_ids, reviewed_round

MANY = 6


class Asking:
    """Asks the questions of a round in batches, and stores the answers as a round does.

    ``cap`` is the most tokens of the round.
    """

    def __init__(self, project: Project, cap: int | None = None) -> None:
        ids = label_ids(project)
        self.project, self.round_id = project, reviewed_round(project, {})
        self.settings = Settings(most_tokens=cap)
        self.progress: list[tuple[int, int]] = []
        self.cancel_at = 10**9
        pair = {"label": Label(ids["refund"], "refund"), "runner_up": Label(ids["repair"], "repair")}
        texts = pool(project).tolist()
        self.questions = [replace(q, text=texts[q.text], **pair) for q in some_questions(MANY)]
        self.proposals = add_proposals(project, self.round_id, self.questions)

    def judge(self, **changes: Any) -> BatchJudge:
        at, server = endpoint(**changes), judge_server()
        reserve = reserve_for(
            self.project, server, "judge", self.settings, self.round_id, price_factor=server.price_batch
        )
        batches = Batches(self.project, self.round_id, reserve, self._waiting)
        return BatchJudge(at, judge_rates({}, {}), batches=batches)

    def _waiting(self, done: int, total: int) -> None:
        self.progress.append((done, total))
        if len(self.progress) >= self.cancel_at:
            raise Cancelled("as you wish")

    def left(self) -> list[Question]:
        known = {(v.text, v.label) for v in verdicts(self.project)}
        return [q for q in self.questions if (q.text, q.label.id) not in known]

    def run(self, **changes: Any) -> list[Answer]:
        """Ask what has no verdict yet; return the answers, stored, in the order of the questions."""
        judge, left = self.judge(**changes), self.left()
        places = {q.text: place for place, q in enumerate(self.questions)}
        found: dict[int, Answer] = {}
        for group in judge.answers(left):
            ids = [(self.proposals[places[left[index].text]], answer) for index, answer in group]
            add_verdicts(self.project, judge.name, ids)
            found |= dict(group)
        return [found[place] for place in sorted(found)]

    def reserves(self) -> list[int]:
        """Return the tokens that are reserved for each question, without asking one."""
        server, dialect = judge_server(), endpoint().dialect
        return [most_tokens(verdict_request(server, dialect, prompt_of(q))[1], ANSWER_TOKENS) for q in self.questions]

    def open_batches(self) -> int:
        return count(self.project, "SELECT count(*) FROM judge_batch WHERE NOT ended")

    def all_valid(self) -> bool:
        return [v.outcome for v in verdicts(self.project)] == ["valid"] * MANY


@pytest.fixture
def asking(project: Project) -> Asking:
    return Asking(project)


def cost(project: Project) -> list[tuple[int, int]]:
    """Return the tokens of every attempt; (-1, -1) where the reserve counts."""
    with connection(project) as db:
        query = "SELECT coalesce(tokens_in, -1), coalesce(tokens_out, -1) FROM attempt ORDER BY id"
        return [tuple(row) for row in db.execute(query)]


def test_a_batch_is_one_file_whose_answers_come_with_their_cost_at_its_price(asking, monkeypatch):
    with batch_server() as server:
        monkeypatch.setenv("RED_JUDGE_PRICE_IN", "2")
        monkeypatch.setenv("RED_JUDGE_PRICE_OUT", "8")
        answers = asking.run()
        assert asking.all_valid()
        assert {(a.outcome, a.model) for a in answers} == {("valid", MODEL)}
    assert (server.steps["upload"], server.steps["create"], sum(server.asked.values())) == (1, 1, MANY)
    assert server.files == {}  # its texts are needed no more
    assert cost(asking.project) == [TOKENS] * MANY
    assert spent(asking.project).money == pytest.approx(MANY * (2 * TOKENS[0] + 8 * TOKENS[1]) / 1e6 / 2)
    assert asking.progress[0] == (0, MANY)
    assert asking.open_batches() == 0


def test_a_question_in_a_batch_is_the_question_that_is_asked_alone(asking):
    with batch_server() as server:
        asking.run()
        batch = [line["body"] for line in next(iter(server.batches.values()))["lines"]]
        (single,) = [heard.body for heard in alone(asking.questions[0])]
    assert batch[0] == single


def alone(question: Question) -> list[Heard]:
    """Return the requests of a question that is asked alone."""
    with FaultServer() as server:
        list(llm_judge().answers([question]))
    return server.heard


def test_a_text_without_a_letter_is_not_sent(asking):
    asking.questions[0] = replace(asking.questions[0], content=" -- ")
    with batch_server() as server:
        answers = asking.run()
    assert [a.outcome for a in answers] == ["unsure"] + ["valid"] * (MANY - 1)
    assert sum(server.asked.values()) == MANY - 1


# How the files of replies are read


def in_first(change: Callable[[Line], Any]) -> Callable[[list[Line]], list[Any]]:
    return lambda lines: [change(line) if place == 0 else line for place, line in enumerate(lines)]


def with_body(said: Said) -> Callable[[list[Line]], list[Any]]:
    return in_first(lambda line: line | {"response": line["response"] | {"body": said.body}})


def doubled(said: Said) -> Callable[[list[Line]], list[Any]]:
    return lambda lines: lines + with_body(said)(lines)[:1]


UNKNOWN = {"custom_id": "999999", "response": {"status_code": 200, "body": word("valid").body}}


@pytest.mark.parametrize(
    ("arrange", "outcome", "tokens"),
    [
        pytest.param(lambda lines: lines[::-1], "valid", TOKENS, id="another order"),
        pytest.param(lambda lines: [UNKNOWN, *lines], "valid", TOKENS, id="unknown id"),
        pytest.param(lambda lines: [lines[0], *lines], "valid", TOKENS, id="the same line twice"),
        pytest.param(doubled(word("invalid")), "unparseable", RESERVED, id="two replies that differ"),
        pytest.param(lambda lines: lines[1:], "failed", RESERVED, id="a line less than the server counts"),
        pytest.param(in_first(json.dumps), "valid", TOKENS, id="text"),
        pytest.param(in_first(lambda line: json.dumps(line)[:40]), "failed", RESERVED, id="a broken line"),
        pytest.param(in_first(lambda _: "<html>"), "failed", RESERVED, id="no JSON"),
        pytest.param(in_first(lambda line: line | {"custom_id": 7}), "failed", RESERVED, id="an id that is a number"),
        pytest.param(in_first(lambda line: line | {"response": None}), "failed", GONE, id="neither reply nor error"),
        pytest.param(with_body(chat("It is valid.")), "unparseable", TOKENS, id="prose"),
        pytest.param(with_body(chat('{"verdict": "valid"}', finish="length")), "unparseable", TOKENS, id="cut"),
        pytest.param(with_body(chat(None, refusal="no")), "refused", TOKENS, id="refusal"),
        pytest.param(with_body(Said("<html>")), "unparseable", RESERVED, id="a web page"),
        pytest.param(with_body(Said({})), "unparseable", RESERVED, id="an empty body"),
    ],
)  # fmt: skip
def test_a_file_of_replies_is_read_as_strictly_as_single_replies(arrange, outcome, tokens, asking):
    with batch_server(arrange=arrange):
        answers = asking.run()
    assert [a.outcome for a in answers] == [outcome] + ["valid"] * (MANY - 1)
    assert cost(asking.project) == [tokens] + [TOKENS] * (MANY - 1)


@pytest.mark.parametrize(("status", "tokens"), [(400, GONE), (429, GONE), (500, RESERVED)])
def test_a_request_that_the_server_refused_has_failed_with_its_reason(status, tokens, asking):
    def behave(heard: Heard) -> Said:
        return refused(status) if "case 0" in heard.text else honest(heard)

    with batch_server(answer=behave):
        answers = asking.run()
        assert [a.outcome for a in answers] == ["failed"] + ["valid"] * (MANY - 1)
        assert answers[0].raw.startswith(f"status {status}: ")
        assert cost(asking.project)[0] == tokens
        assert len(asking.run()) == 1  # it is asked again, in a batch of its own


@pytest.mark.parametrize("end", ["expired", "cancelled", "completed"])
def test_a_batch_that_ended_half_done_keeps_its_answers_and_the_rest_costs_nothing(end, asking):
    with batch_server(end=end, share=0.5) as server:
        answers = asking.run()
        assert [a.outcome for a in answers] == ["valid"] * 3 + ["failed"] * 3
        assert cost(asking.project) == [TOKENS] * 3 + [GONE] * 3
        server.share = 1.0
        assert len(asking.run()) == 3
    assert asking.all_valid()
    assert set(server.asked.values()) == {1}


def test_a_batch_that_was_refused_as_a_whole_costs_nothing_and_says_why(asking):
    with batch_server(end="failed"), pytest.raises(JudgeError, match=r"refused the batch: too many tokens\."):
        asking.run()
    assert cost(asking.project) == [GONE] * MANY
    with batch_server():
        asking.run()
    assert asking.all_valid()


def test_answers_of_another_model_are_no_verdicts(asking):
    with batch_server(answer=lambda _: chat('{"verdict": "valid"}', model="other")):
        known = endpoint().dialect.model_copy(update={"model": MODEL})
        with pytest.raises(AnotherModelError, match="now answers as other"):
            asking.run(dialect=known)
    assert verdicts(asking.project) == []
    assert cost(asking.project) == [TOKENS] * MANY


def test_a_request_that_a_filter_stopped_is_refused_and_not_asked_again(asking):
    stopped = {"error": {"message": "The response was filtered.", "code": "content_filter"}}

    def behave(heard: Heard) -> Said:
        return Said(stopped, 400) if heard.text.endswith(" 0") else honest(heard)

    with batch_server(answer=behave) as server:
        answers = asking.run()
        assert [answer.outcome for answer in answers] == ["refused"] + ["valid"] * (MANY - 1)
        asking.run()
    assert set(server.asked.values()) == {1}
    assert cost(asking.project) == [RESERVED] + [TOKENS] * (MANY - 1)
    with connection(asking.project) as db:
        assert db.execute("SELECT count(*) FROM verdict WHERE outcome = 'refused'").fetchone()[0] == 1


# Faults of the server


@pytest.mark.parametrize("step", ["upload", "create", "look", "read"])
@pytest.mark.parametrize("kind", ["instead", "lost"])
@pytest.mark.parametrize("said", [refused(503), Said("{", stop_after=0)], ids=["503", "broken"])
def test_a_fault_that_passes_is_waited_for_and_nothing_is_asked_twice(step, kind, said, asking):
    with batch_server(**{kind: {step: [said, said]}}) as server:
        asking.run()
    assert asking.all_valid()
    assert set(server.asked.values()) == {1}
    assert len(server.batches) == 1


def test_a_server_that_is_busy_is_asked_later(asking):
    busy = {step: [refused(429)] for step in ("upload", "create", "look", "read")}
    with batch_server(instead=busy) as server:
        asking.run()
    assert asking.all_valid()
    assert server.steps["list"] == 0  # a request that was refused need not be looked for


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ({"upload": [refused(404)]}, r"takes no batches \(404\).*close the round and run it without batches"),
        ({"upload": [refused(401)]}, r"refused the key"),
        ({"upload": [Said("<html>a page</html>")]}, r"does not speak the protocol of batches. It replied '<html>"),
        ({"upload": [Said({"id": ""})]}, r"does not speak the protocol of batches"),
        ({"create": [refused(400)]}, r"refused a batch, status 400"),
        ({"create": [Said({"id": "batch"})]}, r"does not speak the protocol of batches"),
        ({"look": [Said({"status": "completed"})]}, r"does not speak the protocol of batches"),
    ],
)
def test_a_server_without_the_protocol_is_told_and_nothing_is_lost(faults, message, asking):
    with batch_server(instead=faults), pytest.raises(JudgeError, match=message):
        asking.run()
    with batch_server():
        asking.run()
    assert asking.all_valid()


def test_a_file_that_the_server_has_deleted_leaves_the_reserve_spent(asking):
    with batch_server(instead={"read": [refused(404)]}) as server:
        assert {a.outcome for a in asking.run()} == {"failed"}
        asking.run()
    assert asking.all_valid()
    assert cost(asking.project) == [RESERVED] * MANY + [TOKENS] * MANY
    assert len(server.batches) == 2


def test_a_batch_that_the_server_has_forgotten_is_asked_anew_and_its_reserve_stays_spent(asking):
    with batch_server() as server:
        asking.cancel_at = 1
        with pytest.raises(Cancelled):
            asking.run()
        server.batches.clear()
        asking.cancel_at = 10**9
        asking.run()
    assert asking.all_valid()
    assert cost(asking.project) == [RESERVED] * MANY + [TOKENS] * MANY


# Kills and cancels


def dies(patch: pytest.MonkeyPatch, module: Any, name: str, *, after: bool) -> None:
    """Kill the process when it calls this function, before or after its effect."""
    real = getattr(module, name)

    def killed(*values: Any, **more: Any) -> Any:
        if after:
            real(*values, **more)
        raise KilledError

    patch.setattr(module, name, killed)


STAGES = [
    (batch_api, "upload"), (batch_judge, "name_file"), (batch_api, "create"), (batch_judge, "name_batch"),
    (batch_api, "state_of"), (batch_api, "_lines_of"), (batch_judge, "settle_attempts"),
    (batch_judge, "end_judge_batch"), (batch_api, "delete"),
]  # fmt: skip


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("module", "name"), STAGES, ids=[name for _, name in STAGES])
def test_after_a_kill_at_any_stage_no_question_is_asked_or_paid_twice(module, name, after, asking, monkeypatch):
    with batch_server() as server:
        with monkeypatch.context() as patch:
            dies(patch, module, name, after=after)
            with pytest.raises(KilledError):
                asking.run()
        asking.run()
    assert asking.all_valid()
    assert set(server.asked.values()) == {1}
    assert set(cost(asking.project)) <= {TOKENS, GONE}
    assert spent(asking.project).tokens == MANY * sum(TOKENS)
    assert asking.open_batches() == 0
    left_over = {"upload", "name_file", "end_judge_batch", "delete"}
    assert server.files == {} or name in left_over


def test_a_server_without_a_list_leaves_the_reserve_spent(asking, monkeypatch):
    with batch_server(instead={"list": [refused(405)]}) as server:
        with monkeypatch.context() as patch:
            dies(patch, batch_judge, "name_batch", after=False)
            with pytest.raises(KilledError):
                asking.run()
        asking.run()
    assert asking.all_valid()
    assert cost(asking.project) == [RESERVED] * MANY + [TOKENS] * MANY
    assert len(server.batches) == 2


def test_a_batch_is_found_in_a_long_list(asking, monkeypatch):
    with batch_server() as server:
        with monkeypatch.context() as patch:
            dies(patch, batch_judge, "name_batch", after=False)
            with pytest.raises(KilledError):
                asking.run()
        described = next(iter(server.batches.values()))
        server.batches |= {f"other {n}": described | {"id": f"other {n}", "input_file_id": "theirs"} for n in range(5)}
        asking.run()
    assert asking.all_valid()
    assert server.asked.total() == MANY


def test_a_cancel_reaches_the_server_and_what_was_answered_by_then_counts(asking):
    with batch_server(looks=5, share=0.5) as server:
        asking.cancel_at = 3
        with pytest.raises(Cancelled):
            asking.run()
        assert [batch["status"] for batch in server.batches.values()] == ["cancelling"]
        asking.cancel_at = 10**9
        server.looks, server.share = 1, 1.0
        first = next(iter(server.batches.values()))
        server.share = 0.5
        while first["status"] == "cancelling":
            server._look(first["id"])
        server.share = 1.0
        asking.run()
    assert asking.all_valid()
    assert set(server.asked.values()) == {1}
    assert sorted(cost(asking.project)) == [GONE] * 3 + [TOKENS] * MANY


# Caps


def test_a_cap_limits_what_is_uploaded_and_what_replies_took_makes_room(asking):
    with batch_server() as server:
        (each, *_) = asking.reserves()
        asking.settings = Settings(most_tokens=2 * each + 100)
        answers = asking.run()
        sizes = [len(batch["lines"]) for batch in server.batches.values()]
    assert sizes[0] == 2
    assert 2 < len(answers) == sum(sizes) <= MANY
    assert spent(asking.project).tokens <= 2 * each + 100


def test_replies_that_take_more_than_was_sent_as_their_limit_raise_the_next_reserve(project):
    greedy = chat(
        '{"verdict": "valid"}', usage={"prompt_tokens": 100, "completion_tokens": 9_000, "total_tokens": 9_100}
    )
    with batch_server(answer=lambda _: greedy) as server:
        asking = Asking(project, cap=3_000)
        asking.run()
    assert len(server.batches) == 1


# In a round


def test_a_round_in_batches_ends_as_a_round_of_single_questions(project):
    changes = {
        "judge": "llm",
        "self_test_seeds": 10,
        "canaries": 1,
        "least_gain": 0.0,
        "least_bits": 0.0,
        "most_questions": 10,
    }
    stages: set[str] = set()
    with batch_server() as server:
        settings = FAST.model_copy(update=changes | {"batch": True})
        done = run_round(project, settings, lambda stage, _done, _total: stages.add(stage))
    assert (done.state, done.metrics["questions"], done.metrics["failed"]) == ("to review", 10, 0)
    assert server.asked.total() == 10
    assert len(server.batches) == 2
    assert "wait for the batch" in stages
    assert count(project, "SELECT count(*) FROM attempt WHERE verdict IS NOT NULL AND tokens_in > 0") == 10


def test_a_judge_of_another_api_takes_no_batches(project, monkeypatch):
    with batch_server():
        monkeypatch.setenv("RED_JUDGE_WIRE", "systemone")
        with pytest.raises(JudgeError, match="batches need the API chat"):
            run_round(project, IN_BATCHES)


def test_a_round_that_was_killed_is_cancelled_at_the_server_and_goes_on_with_what_was_answered(project):
    def dies_while_waiting(stage: str, _done: int, _total: int) -> None:
        if stage == "wait for the batch":
            raise KilledError

    with batch_server(looks=1) as server:
        with pytest.raises(KilledError):
            run_round(project, IN_BATCHES, dies_while_waiting)
        (first,) = server.batches.values()
        assert cancel_batches(project) == 1
        assert first["status"] == "cancelling"
        server.share = 0.5
        server._look(first["id"])
        server.share = 1.0
        done = run_round(project, IN_BATCHES)
    assert (done.state, done.metrics["questions"], done.metrics["failed"]) == ("to review", 10, 0)
    assert set(server.asked.values()) == {1}
    assert cancel_batches(project) == 0


def test_anything_in_any_place_of_a_batch_and_its_lines_is_read_or_refused():
    batch = {
        "id": "b1", "status": "completed", "input_file_id": "f0", "output_file_id": "f1", "error_file_id": "f2",
        "request_counts": {"total": 2, "completed": 1, "failed": 1}, "errors": {"data": [{"message": "no"}]},
    }  # fmt: skip
    good = {"custom_id": "1", "response": {"status_code": 200, "body": word("valid").body}, "error": None}
    bad = {"custom_id": "1", "response": {"status_code": 400, "body": {"error": {"message": "no"}}}, "error": None}

    @given(changed_somewhere(batch), changed_somewhere(good, bad, bad | {"error": {"code": "x"}}))
    @settings(max_examples=100)
    def check(state, line):
        server.behave = lambda heard: Said(json.dumps(line if "/files/" in heard.path else state))
        try:
            replies = batch_api.BatchReplies.received(judge_server(), batch_api.state_of(judge_server(), "b1"))
            batch_api.created_from(judge_server(), "f0")
        except JudgeError:
            return
        for body in chain.from_iterable(replies.bodies.values()):
            assert body.encode().decode() == body  # it is stored
            assert read_reply("chat", body, Band()).outcome in {"valid", "refused", "unparseable"}
        assert all(why.isprintable() for why, _ in replies.failures.values())
        assert all(name.isprintable() for name in replies.models)

    with FaultServer() as server:
        check()


@pytest.mark.parametrize("name", ["..", ".", "a\nb", "\ud800", ""])
def test_a_name_that_is_no_part_of_an_address_is_refused(name):
    with FaultServer(lambda _: Said({"id": name, "status": "completed"})), pytest.raises(JudgeError, match="protocol"):
        batch_api.create(judge_server(), "f0")
