"""What a judge costs is computed once: Overview and Rounds show the same figures, measured where they can be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from red_core.judges.cost import ASSUMED_SECONDS, ASSUMED_TOKENS, QuestionCost, cost_of_question
from red_core.judges.project import judge_check, judge_of, seconds_per_question
from red_core.judges.server_settings import judge_server
from red_core.records import Attempt, Project
from red_core.review.audits import set_target
from red_core.rounds.estimate import expected_questions
from red_core.rounds.plan import Plan, plan
from red_core.settings import RECOMMENDED
from red_core.store.attempts import add_attempts, settle_attempts
from red_core.store.texts import facts
from tests.helpers.oracle import USAGE, no_judge, oracle, use
from tests.helpers.rendered import words_on
from tests.helpers.small_projects import FAST, pool_rows, seed_rows
from widgets.overview.plan_panel import prices

InState = Callable[..., Project]
OpenApp = Callable[..., AppTest]

pytestmark = pytest.mark.timeout(120)
JUDGED = FAST.model_copy(update={"judge": "llm", "self_test_seeds": 10, "canaries": 2})
ASSUMED = "tokens and time are assumed, because this judge was not tried yet"


@pytest.fixture(autouse=True)
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A connected judge with prices."""
    no_judge(monkeypatch, tmp_path / "secrets.toml")
    with oracle(dict(seed_rows()) | dict(pool_rows())) as running:
        use(monkeypatch, running.address, RED_JUDGE_PRICE_IN="0.1", RED_JUDGE_PRICE_OUT="0.4")
        yield


def planned(project: Project) -> Plan:
    """Return the plan to a goal that the judge alone reaches with some questions."""
    now = plan(project)
    assert now is not None
    set_target(project, now.now + 0.6 * (now.judge.reaches - now.now))
    found = plan(project)
    assert found is not None
    assert found.judge.needed
    return found


def rounds_with_llm(open_app: OpenApp, *, batch: bool = False) -> AppTest:
    app = open_app("rounds")
    app.radio(key="judge").set_value("llm").run()
    if batch:
        app.checkbox(key="batch").check().run()
    return app


def expected(project: Project) -> int:
    settings = RECOMMENDED.model_copy(update={"judge": "llm"})
    return expected_questions(project, settings, facts(project), judge_of(project, judge_server())).questions


@pytest.mark.parametrize("tried", [False, True])
@pytest.mark.parametrize("batch", [False, True])
def test_overview_and_rounds_show_the_same_cost_of_a_question(
    in_state: InState, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, *, tried: bool, batch: bool
) -> None:
    monkeypatch.setenv("RED_JUDGE_PRICE_IN", "1000")
    monkeypatch.setenv("RED_JUDGE_PRICE_OUT", "4000")
    project = in_state("closed")
    if tried:
        judge_check(project, JUDGED)
    needed, count = planned(project).judge.needed.questions, expected(project)
    each = cost_of_question(project, judge_server(), batch=batch)
    assert each.counted == each.timed == tried
    app = rounds_with_llm(open_app, batch=batch)
    assert each.in_words(count) in words_on(app)
    assert (ASSUMED in words_on(app)) == (not tried and not batch)
    app.switch_page("pages/overview.py").run()
    words = words_on(app)
    assert f"cost {(needed or 0) * (each.money or 0):,.2f}" in words
    assert ("is assumed" in words or "are assumed" in words) == (not tried)
    assert ("without the time of the rounds and of the batches" in words) == batch


def test_what_was_measured_of_this_judge_counts_with_each_price(
    in_state: InState, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = in_state("prepared")
    untried = cost_of_question(project, judge_server())
    assert (untried.tokens, untried.seconds, untried.assumed) == (ASSUMED_TOKENS.total, ASSUMED_SECONDS, ASSUMED)
    assert untried.money == pytest.approx((ASSUMED_TOKENS.read * 0.1 + ASSUMED_TOKENS.written * 0.4) / 1e6)
    judge_check(project, JUDGED)
    found = prices(project).question
    assert found == cost_of_question(project, judge_server())
    assert (found.tokens, found.assumed) == (USAGE["total_tokens"], "")
    assert found.seconds == seconds_per_question(project, judge_server()) > 0
    money = USAGE["prompt_tokens"] * 0.1 + USAGE["completion_tokens"] * 0.4
    assert found.money == pytest.approx(money / 1e6)
    monkeypatch.setenv("RED_JUDGE_PRICE_BATCH", "0.25")
    in_batch = cost_of_question(project, judge_server(), batch=True)
    assert (in_batch.money, in_batch.seconds) == (pytest.approx(money / 4e6), 0.0)
    (id_,) = add_attempts(project, "judge", judge_of(project, judge_server()), [900])
    settle_attempts(project, [Attempt(id_, USAGE["prompt_tokens"], USAGE["completion_tokens"], 200)])
    monkeypatch.setenv("RED_JUDGE_PRICE_CACHED", "0.01")
    cached = cost_of_question(project, judge_server()).money
    assert cached is not None
    assert found.money is not None
    assert cached < found.money


@pytest.mark.parametrize(
    ("counted", "timed", "clause"),
    [
        (True, True, ""),
        (False, False, "; tokens and time are assumed, because this judge was not tried yet"),
        (False, True, "; the tokens are assumed, because this judge was not tried yet"),
        (True, False, "; the time is assumed, because this judge was not tried yet"),
    ],
)
def test_an_estimate_says_which_figures_are_assumed(counted: bool, timed: bool, clause: str) -> None:
    cost = QuestionCost(600.0, 0.5, 0.001, counted, timed)
    assert cost.in_words(240) == f"This uses about 144,000 tokens, takes about 2 minutes and costs about 0.24{clause}."
    assert re.fullmatch(r".*\. You have set no price\.", QuestionCost(600, 0.5, None, counted, timed).in_words(9))
