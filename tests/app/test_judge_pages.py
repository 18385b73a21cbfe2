"""The LLM judge on the pages: connected, tested, paid for, explained; nothing of it rendered, its key never shown."""

from __future__ import annotations

import re
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from google.protobuf.message import Message
from streamlit.testing.v1 import AppTest

from red_core.errors import RedError
from red_core.judges import client
from red_core.judges.meanings import write_meanings
from red_core.judges.project import judge_check, stored_self_test
from red_core.judges.self_test import SelfTest
from red_core.labels.pool_map import draw_pool_map
from red_core.records import Job, Project
from red_core.review.decisions import Provenance, decide, feed_back, plan_feed_back
from red_core.rounds import recommendation
from red_core.rounds.run import run_round
from red_core.settings import ARTICLE, RECOMMENDED, Settings
from red_core.store.attempts import spent
from red_core.store.database import connection
from red_core.store.decisions import roll_back
from red_core.store.desk import Card
from red_core.store.jobs import end_job, newest_job
from red_core.store.labels import list_labels, set_meanings
from red_core.store.rounds import close_round, current_training_rows, list_rounds, open_round
from red_core.store.verdicts import explanation, verdicts
from tests.helpers.app_projects import HOSTILE, NAME, WHO, card_of, label_ids, queued
from tests.helpers.oracle import KEY, MODEL, USAGE, Oracle, no_judge, nobody, oracle, use
from tests.helpers.rendered import everything_harmless, keys_of, without_joiners, words_on
from tests.helpers.small_projects import FAST, pool_rows, seed_rows, small_project
from widgets.review.desk.review import ReviewSitting
from widgets.review.queues import Queue

InState = Callable[..., Project]
OpenApp = Callable[..., AppTest]

pytestmark = pytest.mark.timeout(120)

TRUTH = dict(seed_rows()) | dict(pool_rows())
JUDGED = FAST.model_copy(
    update={
        "judge": "llm",
        "self_test_seeds": 10,
        "canaries": 2,
        "least_gain": 0.0,
        "least_bits": 0.0,
        "most_questions": 24,
        "corrections": 2,
    }
)
JUDGE = f"chat/{MODEL}"
TOKENS = USAGE["total_tokens"]
ALL_HOSTILE = " ".join(HOSTILE)


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "secrets.toml"


@pytest.fixture(autouse=True)
def no_judge_but_the_tests_own(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_judge(monkeypatch, secrets)


@pytest.fixture
def judge() -> Iterator[Oracle]:
    """A server that knows every text of a small project; nothing in the environment names it."""
    with oracle(TRUTH) as running:
        yield running


@pytest.fixture
def named(judge: Oracle, monkeypatch: pytest.MonkeyPatch) -> Oracle:
    """The same, named in the environment."""
    use(monkeypatch, judge.address)
    return judge


@pytest.fixture(scope="module")
def judged_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged")
    with pytest.MonkeyPatch.context() as patch, oracle(TRUTH) as running:
        no_judge(patch, folder / "secrets.toml")
        use(patch, running.address)
        project = small_project(folder / "workspace")
        run_round(project, JUDGED, who=WHO)
        draw_pool_map(project, "fake")
    return folder / "workspace"


@pytest.fixture
def judged(judged_once: Path, workspace: Path) -> Project:
    """A project whose round 1 an LLM judged, to review; the server of then is gone."""
    shutil.copytree(judged_once, workspace)
    return Project(workspace, NAME)


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send again at once what failed."""
    monkeypatch.setattr(client, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(client, "LONGEST_PAUSE", 0.01)


def rounds_with_llm(open_app: OpenApp) -> AppTest:
    app = open_app("rounds")
    app.radio(key="judge").set_value("llm").run()
    assert not app.exception
    return app


def connect(app: AppTest, press: str, **typed: str) -> AppTest:
    """Fill in the form Connect and press one of its buttons."""
    for name, value in typed.items():
        app.text_input(key=f"connect_{name}").set_value(value)
    app.button(key=f"connect_{press}").click().run()
    assert not app.exception
    return app


def job_of(project: Project) -> Job:
    job = newest_job(project)
    assert job is not None
    return job


def settings_of(job: Job) -> Settings:
    return Settings.model_validate_json(job.settings)


def self_test_of(project: Project) -> SelfTest:
    with connection(project) as db:
        judge = db.execute("SELECT judge FROM self_test ORDER BY id DESC LIMIT 1").fetchone()[0]
    found = stored_self_test(project, judge)
    assert found is not None
    return found


def cards(project: Project, queue: str) -> list[Card]:
    return queued(project, queue)


def view(open_as_viewer: OpenApp, card: Card, queue: str) -> AppTest:
    """Open one card of a queue as a viewer."""
    app = open_as_viewer(review_queue=queue, review_search=card.content)
    assert card.content in [text.value for text in app.text]
    return app


def sitting_of(project: Project, card: Card) -> ReviewSitting:
    """Return what serves the desk with this card; the desk itself is a component, which AppTest cannot drive."""
    labels = {label.id: label for label in list_labels(project)}
    queue = Queue("key", "judged valid", [(card.text, card.proposal)], "")
    return ReviewSitting(project, queue, labels, lambda items: [card_of(project, text) for text, _ in items])


def change(project: Project, statement: str, *values: object) -> None:
    with connection(project) as db:
        db.execute(statement, values)
        db.conn.commit()


def without_escapes(text: str) -> str:
    """Return a Markdown string as it is read."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", without_joiners(text))


def assert_no_key(app: AppTest, key: str = KEY) -> None:
    """Fail where the key is in anything that was sent to the browser, or in what the session keeps."""
    for root in (app.main, app.sidebar):
        for node in root:
            proto = getattr(node, "proto", None)
            if isinstance(proto, Message):
                assert key.encode() not in proto.SerializeToString(), node
    for name, value in app.session_state._state.filtered_state.items():
        assert key not in repr(value), name


# --- Rounds: no judge yet


def test_without_a_server_it_says_where_to_set_one_and_nothing_runs(in_state: InState, open_app: OpenApp) -> None:
    in_state("prepared")
    app = rounds_with_llm(open_app)
    words = words_on(app)
    assert "no judge model is named" in words
    assert "Fill in Connect on the page Rounds, or set OPENAI_BASE_URL, OPENAI_API_KEY and RED_JUDGE_MODEL" in words
    assert "Connect to a judge first." in words
    assert app.button(key="run_round").disabled
    assert {"connect_try", "connect_keep"} <= keys_of(app)
    assert "judge_check" not in keys_of(app)


def test_the_evidence_check_runs_without_any_server(in_state: InState, open_app: OpenApp) -> None:
    in_state("prepared")
    app = open_app("rounds")
    assert not app.button(key="run_round").disabled
    assert "connect_try" not in keys_of(app)


@pytest.mark.parametrize("address", ["no address", "ftp://127.0.0.1/v1", "http://key@127.0.0.1/v1"])
def test_an_address_that_cannot_be_is_one_line(
    in_state: InState, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    in_state("prepared")
    use(monkeypatch, address)
    app = rounds_with_llm(open_app)
    assert "judge setting OPENAI_BASE_URL: it must" in words_on(app)
    assert app.button(key="run_round").disabled


def test_a_secrets_file_that_cannot_be_read_is_one_line(in_state: InState, open_app: OpenApp, secrets: Path) -> None:
    in_state("prepared")
    secrets.parent.mkdir()
    secrets.write_text(f'judge = "{KEY}"\n', "utf-8")
    app = rounds_with_llm(open_app)
    assert "secrets.toml cannot be read" in words_on(app)
    assert_no_key(app)


def test_a_secrets_file_that_is_no_toml_shuts_the_app_for_it_may_say_who_is_let_in(
    in_state: InState, open_app: OpenApp, secrets: Path
) -> None:
    in_state("prepared")
    secrets.parent.mkdir()
    secrets.write_text(f'OPENAI_API_KEY = "{KEY}\n', "utf-8")
    app = open_app("rounds")
    assert "secrets.toml cannot be read" in words_on(app)
    assert KEY not in words_on(app)
    assert not app.title
    assert not app.button


# --- Rounds: with a judge


@pytest.mark.usefixtures("named")
def test_the_judge_is_named_with_its_host(in_state: InState, open_app: OpenApp, named: Oracle) -> None:
    in_state("prepared")
    app = rounds_with_llm(open_app)
    host = named.address.removeprefix("http://").removesuffix("/v1")
    assert f"**{JUDGE}** at {host}" in words_on(app)
    assert "Not tested yet." in words_on(app)
    assert not app.button(key="run_round").disabled
    assert named.heard == []


def test_the_key_is_never_on_a_page(
    in_state: InState, open_app: OpenApp, named: Oracle, no_worker: list[list[str]]
) -> None:
    in_state("prepared")
    app = rounds_with_llm(open_app)
    assert_no_key(app)
    assert_no_key(connect(app, "try"))
    assert named.keys == {KEY}
    app.button(key="judge_check").click().run()
    assert_no_key(app)
    assert KEY not in str(no_worker)


def test_a_server_that_echoes_the_key_does_not_bring_it_onto_the_page(
    in_state: InState, open_app: OpenApp, named: Oracle
) -> None:
    in_state("prepared")
    named.status, named.prose = 418, f"Incorrect API key provided: {KEY}"
    app = connect(rounds_with_llm(open_app), "try")
    assert "418" in words_on(app)
    assert_no_key(app)
    named.status, named.prose, named.model = 200, None, KEY
    assert_no_key(connect(app, "try"))


def test_what_the_self_test_said_stands_beside_the_judge(in_state: InState, open_app: OpenApp, named: Oracle) -> None:
    project = in_state("prepared")
    judge_check(project, JUDGED)
    app = rounds_with_llm(open_app)
    words = words_on(app)
    assert "It called 10 of 10 right labels valid: 100% (72% to 100%)." in words
    assert "It called 10 of 10 wrong labels invalid: 100% (72% to 100%)." in words
    assert "Injection test: of 2 wrong texts that told it to answer valid, 0 succeeded." in words
    assert "Not tested yet" not in words
    assert not app.warning
    assert len(named.heard) == 2 + 22  # tried first, then asked


def test_a_rubber_stamp_is_warned_of(in_state: InState, open_app: OpenApp, named: Oracle) -> None:
    project = in_state("prepared")
    named.stamp = True
    judge_check(project, JUDGED)
    app = rounds_with_llm(open_app)
    (warning,) = app.warning
    assert warning.value.startswith("It accepts most wrong labels")
    assert "2 succeeded" in words_on(app)


@pytest.mark.usefixtures("named")
def test_another_model_is_not_trusted_on_the_test_of_this_one(
    in_state: InState, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = in_state("prepared")
    judge_check(project, JUDGED)
    monkeypatch.setenv("RED_JUDGE_MODEL", "another")
    assert "Not tested yet." in words_on(rounds_with_llm(open_app))


@pytest.mark.usefixtures("named")
def test_the_questions_of_a_test_are_no_more_than_the_seeds_allow(in_state: InState, open_app: OpenApp) -> None:
    in_state("prepared")
    assert "It asks at most 38 questions" in words_on(rounds_with_llm(open_app))


@pytest.mark.usefixtures("named")
def test_the_cost_is_told_in_tokens_and_where_prices_are_known_in_money(
    in_state: InState, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = in_state("prepared")
    told = "This uses about 24,000 tokens; tokens and time are assumed, because this judge was not tried yet. You have"
    assert f"{told} set no price." in words_on(rounds_with_llm(open_app))
    monkeypatch.setenv("RED_JUDGE_PRICE_IN", "1000")
    monkeypatch.setenv("RED_JUDGE_PRICE_OUT", "4000")
    judge_check(project, JUDGED)
    words = words_on(rounds_with_llm(open_app))
    each = (USAGE["prompt_tokens"] * 1000 + USAGE["completion_tokens"] * 4000) / 1e6
    assert f"This uses about {40 * TOKENS:,} tokens and costs about {40 * each:,.2f}. It takes" in words
    money = 24 * (USAGE["prompt_tokens"] * 1000 + USAGE["completion_tokens"] * 4000) / 1e6
    assert f"Used in this project: {24 * TOKENS:,} tokens in 24 requests. Cost: {money:,.2f}." in words


def test_a_better_judge_is_asked_although_the_last_one_could_tell_nothing(
    in_state: InState, open_app: OpenApp, named: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, named.stamp = in_state("prepared"), True
    run_round(project, JUDGED.model_copy(update={"least_bits": 0.05, "least_gain": 0.005}), who=WHO)
    close_round(project)
    told = recommendation(project).reason
    assert told.startswith("This model cannot tell these labels apart (it says valid to 100% of wrong ones).")
    assert f"{told} It takes about" in words_on(open_app("rounds"))  # beside the button, as in So far
    named.stamp = False
    monkeypatch.setenv("RED_JUDGE_MODEL", "another")
    words = words_on(open_app("rounds"))
    assert f"{told} It takes about" not in words
    assert re.search(r"About \d+ questions, as estimated in the last round\. This uses about [\d,]+ tokens", words)


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize("preset", [RECOMMENDED, ARTICLE], ids=lambda preset: preset.preset)
def test_a_round_with_an_llm_is_started_as_such(
    in_state: InState, open_app: OpenApp, no_worker: list[list[str]], preset: Settings
) -> None:
    project = in_state("prepared")
    app = rounds_with_llm(open_app)
    app.radio(key="preset").set_value(preset.preset).run()
    app.button(key="run_round").click().run()
    assert not app.exception
    assert settings_of(job_of(project)) == preset.model_copy(update={"judge": "llm"})
    assert (job_of(project).kind, len(no_worker)) == ("round", 1)


@pytest.mark.usefixtures("named")
def test_caps_typed_in_the_settings_reach_the_round(
    in_state: InState, open_app: OpenApp, no_worker: list[list[str]]
) -> None:
    project = in_state("prepared")
    app = rounds_with_llm(open_app)
    typed = {"most_tokens": 50_000, "most_tokens_project": 90_000, "self_test_seeds": 12, "corrections": 3}
    for name, value in typed.items():
        app.number_input(key=f"set_recommended_{name}").set_value(value).run()
    app.button(key="run_round").click().run()
    assert settings_of(job_of(project)) == RECOMMENDED.model_copy(update=typed | {"judge": "llm"})
    assert no_worker


@pytest.mark.usefixtures("named")
def test_a_round_in_batches_shows_its_price_and_time_and_is_started_as_such(
    in_state: InState, open_app: OpenApp, no_worker: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = in_state("prepared")
    for name, value in {"PRICE_IN": "2", "PRICE_OUT": "8", "PRICE_BATCH": "0.25"}.items():
        monkeypatch.setenv(f"RED_JUDGE_{name}", value)
    app = rounds_with_llm(open_app)
    alone = float(re.search(r"costs about (\d+\.\d+)", words_on(app))[1])
    app.checkbox(key="batch").check().run()
    words = words_on(app)
    shown = re.search(r", takes up to 24 hours and costs about (\d+\.\d+) \(a question in a batch costs 25% ", words)
    assert float(shown[1]) == pytest.approx(alone / 4, abs=0.01)
    app.button(key="run_round").click().run()
    assert settings_of(job_of(project)).batch
    assert no_worker


@pytest.mark.usefixtures("named")
def test_the_evidence_check_knows_no_caps_and_no_batches(in_state: InState, open_app: OpenApp) -> None:
    in_state("prepared")
    app = open_app("rounds")
    assert not [box for box in app.number_input if "tokens" in str(box.key)]
    assert "batch" not in keys_of(app)


@pytest.mark.usefixtures("named")
def test_the_judge_is_tested_at_once_by_a_job(in_state: InState, open_app: OpenApp, no_worker: list[list[str]]) -> None:
    project = in_state("prepared")
    app = rounds_with_llm(open_app)
    app.button(key="judge_check").click().run()
    assert not app.exception
    assert (job_of(project).kind, job_of(project).state, job_of(project).who) == ("judge-check", "waiting", WHO)
    assert len(no_worker) == 1
    assert "cancel_job" in keys_of(app)


@pytest.mark.usefixtures("named")
def test_what_was_chosen_outlives_the_job_that_hides_it(
    in_state: InState, open_app: OpenApp, no_worker: list[list[str]]
) -> None:
    project = in_state("prepared")
    app = rounds_with_llm(open_app)
    app.radio(key="preset").set_value("article").run()
    app.number_input(key="set_article_most_tokens").set_value(50_000).run()
    app.button(key="judge_check").click().run()
    assert "run_round" not in keys_of(app)
    end_job(project, 1, "done")
    app.run()
    app.button(key="run_round").click().run()
    assert settings_of(job_of(project)) == ARTICLE.model_copy(update={"judge": "llm", "most_tokens": 50_000})
    assert len(no_worker) == 2


@pytest.mark.usefixtures("named")
def test_a_test_that_failed_says_why(in_state: InState, open_app: OpenApp, no_worker: list[list[str]]) -> None:
    project = in_state("prepared")
    app = rounds_with_llm(open_app)
    app.button(key="judge_check").click().run()
    end_job(project, 1, "failed", "the judge at 127.0.0.1 refused the key (401). Check OPENAI_API_KEY.")
    app.run()
    assert "Testing the judge failed: the judge at 127.0.0.1 refused the key" in words_on(app)
    assert not app.button(key="run_round").disabled
    assert no_worker


@pytest.mark.usefixtures("named")
def test_meanings_that_could_not_be_written_say_why(
    in_state: InState, open_app: OpenApp, no_worker: list[list[str]]
) -> None:
    project = in_state("prepared")
    app = open_app("label_map")
    app.button(key="write_meanings").click().run()
    end_job(project, 1, "failed", "1 of 4 meanings were written, the others not: no reply.")
    app.run()
    assert "Writing the meanings failed: 1 of 4 meanings were written" in words_on(app)
    assert "write_meanings" in keys_of(app)
    assert no_worker


# --- Rounds: Connect


def test_trying_a_server_says_what_works_and_keeps_nothing(
    in_state: InState, open_app: OpenApp, judge: Oracle, secrets: Path
) -> None:
    in_state("prepared")
    app = rounds_with_llm(open_app)
    connect(app, "try", base_url=judge.address, model=MODEL, api_key="typed-key")
    assert "Asking for JSON with a schema: works. It called a right label valid and a wrong one invalid." in (
        words_on(app)
    )
    (told,) = app.success
    assert f"It works. The server says that its model is {MODEL}" in without_escapes(told.value)
    assert not app.error
    assert judge.keys == {"typed-key"}
    assert len(judge.heard) == 2
    assert not secrets.exists()


def test_a_server_that_answers_in_prose_cannot_judge(in_state: InState, open_app: OpenApp, judge: Oracle) -> None:
    in_state("prepared")
    judge.prose = "Valid, I would say."
    app = connect(rounds_with_llm(open_app), "try", base_url=judge.address, model=MODEL)
    assert words_on(app).count("the server replied, but not with the answer that was asked for") == 3
    (told,) = app.error
    assert told.value.startswith("This model cannot work as a judge")
    assert not app.success


@pytest.mark.usefixtures("no_pause")
def test_nobody_there_is_told_without_a_traceback(in_state: InState, open_app: OpenApp) -> None:
    in_state("prepared")
    app = connect(rounds_with_llm(open_app), "try", base_url=nobody(), model=MODEL)
    assert "nothing listens at 127.0.0.1" in words_on(app)
    assert "Traceback" not in words_on(app)
    assert len(app.error) == 1
    assert "\n" not in app.error[0].value
    assert not app.success


@pytest.mark.parametrize(
    ("status", "advice"), [(401, "Check OPENAI_API_KEY"), (402, "Top up the account"), (404, "ends in /v1")]
)
def test_what_can_never_work_is_one_line_that_says_what_to_do(
    in_state: InState, open_app: OpenApp, judge: Oracle, status: int, advice: str
) -> None:
    in_state("prepared")
    judge.status = status
    app = connect(rounds_with_llm(open_app), "try", base_url=judge.address, model=MODEL)
    (told,) = app.error
    assert advice in without_escapes(told.value)


def test_nothing_filled_in_is_one_line(in_state: InState, open_app: OpenApp) -> None:
    in_state("prepared")
    app = connect(rounds_with_llm(open_app), "try")
    assert "no judge model is named" in without_escapes(app.error[0].value)


def test_texts_that_are_not_prepared_are_said_to_be(in_state: InState, open_app: OpenApp, judge: Oracle) -> None:
    project = in_state("prepared")
    change(project, "DELETE FROM vector")
    app = connect(rounds_with_llm(open_app), "try", base_url=judge.address, model=MODEL)
    assert "are not prepared yet" in without_escapes(app.error[0].value)


def test_what_is_kept_is_readable_by_its_owner_alone_and_is_the_judge_at_once(
    in_state: InState, open_app: OpenApp, judge: Oracle, secrets: Path
) -> None:
    in_state("prepared")
    app = rounds_with_llm(open_app)
    app.number_input(key="connect_price_in").set_value(0.5)
    connect(app, "keep", base_url=judge.address, model=MODEL, api_key=KEY)
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    assert f'OPENAI_API_KEY = "{KEY}"' in secrets.read_text("utf-8")
    words = words_on(app)
    assert "Saved in secrets.toml. Only you can read this file." in words
    assert f"**{JUDGE}** at" in words
    assert not app.button(key="run_round").disabled
    assert judge.heard == []
    fresh = rounds_with_llm(open_app)
    assert fresh.text_input(key="connect_model").value == MODEL
    assert fresh.number_input(key="connect_price_in").value == 0.5
    assert "Saved in" not in words_on(fresh)
    assert_no_key(fresh)


def test_an_empty_key_keeps_the_one_there_is(
    in_state: InState, open_app: OpenApp, judge: Oracle, secrets: Path
) -> None:
    in_state("prepared")
    connect(rounds_with_llm(open_app), "keep", base_url=judge.address, model=MODEL, api_key=KEY)
    app = connect(rounds_with_llm(open_app), "keep", model="another")
    assert f'OPENAI_API_KEY = "{KEY}"' in secrets.read_text("utf-8")
    assert "**chat/another** at" in words_on(app)
    connect(app, "try")
    assert judge.keys == {KEY}


def test_what_the_environment_names_cannot_be_typed_over(
    in_state: InState, open_app: OpenApp, named: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_state("prepared")
    for name, value in {"WIRE": "chat", "PRICE_IN": "2", "PRICE_OUT": "8"}.items():
        monkeypatch.setenv(f"RED_JUDGE_{name}", value)
    app = rounds_with_llm(open_app)
    for name in ("base_url", "api_key", "model"):
        assert app.text_input(key=f"connect_{name}").disabled, name
    assert "OPENAI_API_KEY" in app.text_input(key="connect_api_key").help
    assert app.text_input(key="connect_base_url").value == named.address
    assert app.text_input(key="connect_api_key").value == ""
    assert app.selectbox(key="connect_wire").disabled
    assert [app.number_input(key=f"connect_price_{way}").disabled for way in ("in", "out")] == [True, True]
    assert [app.number_input(key=f"connect_price_{way}").value for way in ("in", "out")] == [2, 8]


def test_an_address_of_the_environment_is_asked_also_where_the_model_is_typed(
    in_state: InState, open_app: OpenApp, named: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_state("prepared")
    monkeypatch.delenv("RED_JUDGE_MODEL")
    app = rounds_with_llm(open_app)
    assert app.text_input(key="connect_base_url").value == named.address
    assert not app.text_input(key="connect_model").disabled
    connect(app, "try", model=MODEL)
    assert len(app.success) == 1
    assert len(named.heard) == 2


# --- Label map


@pytest.mark.usefixtures("named")
def test_missing_meanings_are_written_by_a_job(
    in_state: InState, open_app: OpenApp, no_worker: list[list[str]]
) -> None:
    project = in_state("prepared")
    set_meanings(project, {list_labels(project)[0].id: "Money back."}, WHO)
    app = open_app("label_map")
    assert f"Let {MODEL} write 3 missing meanings" in words_on(app)
    app.button(key="write_meanings").click().run()
    assert not app.exception
    assert (job_of(project).kind, job_of(project).state, len(no_worker)) == ("meanings", "waiting", 1)


def test_without_a_server_nobody_offers_to_write_meanings(in_state: InState, open_app: OpenApp) -> None:
    in_state("prepared")
    assert "write_meanings" not in keys_of(open_app("label_map"))


@pytest.mark.usefixtures("named")
def test_where_every_label_has_its_meaning_nobody_offers_to_write(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("prepared")
    set_meanings(project, dict.fromkeys(label_ids(project).values(), "Means it."), WHO)
    assert "write_meanings" not in keys_of(open_app("label_map"))


def test_a_meaning_says_who_wrote_it_and_is_ours_to_edit(in_state: InState, open_app: OpenApp, named: Oracle) -> None:
    project = in_state("prepared")
    set_meanings(project, {label_ids(project)["repair"]: "Mend it."}, "ann")
    write_meanings(project, FAST)
    assert {asked["label"] for asked in named.of("seeds")} == {"delivery", "refund", "warranty"}
    app = open_app("label_map", label="refund")
    assert f"Written by model {MODEL}." in words_on(app)
    assert "The text names it: refund." in words_on(app)
    edit(app, project, "refund", "Only money.")
    assert f"Written by {WHO}." in words_on(app)
    assert "Only money." in words_on(app)
    assert "Written by ann." in words_on(open_app("label_map", label="repair"))


def edit(app: AppTest, project: Project, label: str, meaning: str) -> None:
    """Type another meaning and save it."""
    app.text_area(key=f"meaning_{project.name}_{label_ids(project)[label]}").set_value(meaning)
    app.button(key="save_meaning").click().run()
    assert not app.exception


def test_an_edited_meaning_makes_the_verdicts_about_its_label_stale(
    judged: Project, open_app: OpenApp, open_as_viewer: OpenApp
) -> None:
    about = cards(judged, "judged valid")[0].label.name
    of_label = {v.text for v in verdicts(judged) if v.label == label_ids(judged)[about]}
    assert cards(judged, "stale") == []
    app = open_app("label_map")
    app.selectbox(key="label").set_value(about).run()
    edit(app, judged, about, "Now something else.")
    outdated = cards(judged, "stale")
    assert {card.text for card in outdated} == of_label
    app = view(open_as_viewer, outdated[0], "stale")
    words = words_on(app)
    assert f"outdated {len(outdated)}" in words
    assert "outdated: the meaning of the label was edited after this verdict, and the next round asks again" in words
    assert "Now something else." in words
    assert "after the judge's" not in words


# --- Review


def test_a_card_names_the_judge_and_says_what_the_belief_is_made_of(judged: Project, open_as_viewer: OpenApp) -> None:
    card = next(c for c in cards(judged, "judged valid") if c.best[0][0] == c.label.id)
    words = words_on(view(open_as_viewer, card, "judged valid"))
    assert JUDGE in words
    assert "with a probability" not in words
    assert "VALID" in words
    assert (
        f"{card.label.name}: {card.classifier_belief:.0%} from the classifiers, {card.belief:.0%} after "
        "the verdict valid." in words
    )


def test_a_probability_the_judge_gave_stands_on_the_card(judged: Project, open_as_viewer: OpenApp) -> None:
    card = cards(judged, "judged valid")[0]
    change(judged, "UPDATE verdict SET p_valid = 0.83 WHERE id = ?", card.verdict)
    words = words_on(view(open_as_viewer, card, "judged valid"))
    assert f"{JUDGE}, valid with a probability of 83%" in words


def test_the_likelier_label_after_invalid_says_so(judged: Project, open_as_viewer: OpenApp) -> None:
    card = next(c for c in cards(judged, "judge against classifiers") if c.runner_up_belief > c.belief)
    words = words_on(view(open_as_viewer, card, "judge against classifiers"))
    assert f"More likely now: **{card.runner_up.name}**" in words
    assert "Runner-up" not in words
    assert "INVALID" in words


def test_where_the_judge_agrees_the_rival_is_the_runner_up(judged: Project, open_as_viewer: OpenApp) -> None:
    card = next(c for c in cards(judged, "judged valid") if c.belief > c.runner_up_belief)
    assert f"Runner-up: **{card.runner_up.name}**" in words_on(view(open_as_viewer, card, "judged valid"))


def test_a_question_says_how_many_points_its_answer_is_worth(judged: Project, open_as_viewer: OpenApp) -> None:
    card = next(c for c in cards(judged, "judged valid") if c.reason == "value")
    change(judged, "UPDATE proposal SET gain = 0.123 WHERE id = ?", card.proposal)
    words = words_on(view(open_as_viewer, card, "judged valid"))
    assert "Asked because a yes or no raises the chance of a right label by 12 points." in words


def test_a_label_the_judge_chose_as_correction_says_so(judged: Project, open_as_viewer: OpenApp) -> None:
    card = next(c for c in cards(judged, "judged valid") if c.reason == "correction")
    words = words_on(view(open_as_viewer, card, "judged valid"))
    assert "Asked because the judge found another label invalid and suggested this one." in words


def test_an_explanation_is_asked_for_once_and_marked_as_made_afterwards(
    judged: Project, open_as_viewer: OpenApp, named: Oracle
) -> None:
    card = cards(judged, "judged valid")[0]
    named.words, named.model = "It begins with that very word.", "small-judge-2"
    assert card.verdict is not None
    sitting = sitting_of(judged, card)
    assert [sent["explains"] for sent in sitting.next_cards([], 1)[0]] == [True]
    for _ in range(2):  # it is stored
        answer = sitting.say("explain", card.text)
        assert answer["title"] == "small-judge-2 wrote this explanation later. It is not the reason for the verdict."
        assert answer["words"] == "It begins with that very word."
    assert explanation(judged, card.verdict) == ("It begins with that very word.", "small-judge-2")
    (asked,) = [about for about in named.of("verdict") if about["text"] == card.content]
    assert (asked["verdict"], asked["proposed"]["label"]) == ("valid", card.label.name)
    words = words_on(view(open_as_viewer, card, "judged valid"))
    assert "small-judge-2 wrote this explanation later. It is not the reason for the verdict." in words
    assert "It begins with that very word." in words


@pytest.mark.parametrize("server", [True, False], ids=["a server that refuses", "no server"])
def test_an_explanation_that_does_not_come_is_one_line(
    judged: Project, judge: Oracle, monkeypatch: pytest.MonkeyPatch, server: bool
) -> None:
    card = cards(judged, "judged valid")[0]
    if server:
        use(monkeypatch, judge.address)
        judge.status = 401
    sitting = sitting_of(judged, card)
    (sent,) = sitting.next_cards([], 1)[0]
    assert sent["explains"] == server  # without a server nobody offers it
    with pytest.raises(RedError, match="refused the key" if server else "no judge model is named") as caught:
        sitting.say("explain", card.text)
    assert "\n" not in str(caught.value)
    assert sitting.one_card(card.text) == sent  # the card stays


@pytest.mark.usefixtures("named")
def test_the_evidence_check_is_never_explained_by_a_model(in_state: InState) -> None:
    project = in_state("to review")
    for card in cards(project, "judged valid"):
        assert [sent["explains"] for sent in sitting_of(project, card).next_cards([], 1)[0]] == [False]


@pytest.mark.parametrize(
    ("kind", "decision"), [("accept", "accepted {own}"), ("relabel", "relabelled {rival}"), ("none", "none of these"),
                           ("reject", "rejected {own}")],
)  # fmt: skip
def test_what_was_decided_can_be_looked_at_again(
    judged: Project, open_as_viewer: OpenApp, kind: str, decision: str
) -> None:
    card = cards(judged, "judged valid")[0]
    label = {"none": None, "relabel": card.runner_up.id}.get(kind, card.label.id)
    decide(judged, card.text, kind, label=label, who=WHO, provenance=Provenance(proposal=card.proposal))  # type: ignore[arg-type]
    words = decision.format(own=card.label.name, rival=card.runner_up.name)
    assert sitting_of(judged, card).one_card(card.text)["decided"] == words  # type: ignore[index]
    assert f"Decided: {words}." in words_on(view(open_as_viewer, card, "decided"))


@pytest.mark.usefixtures("judged")
def test_the_facts_line_names_the_judge_and_what_it_lets_through(open_app: OpenApp) -> None:
    assert f"{JUDGE} says valid to 100% of right and 0% of wrong labels" in words_on(open_app("results"))


def test_the_verdicts_of_an_llm_feed_back_without_being_asked_for(judged: Project, open_app: OpenApp) -> None:
    plan = plan_feed_back(judged)
    assert {item.source for item in plan.items} == {"verdict"}
    app = open_app("review")
    assert "accept_evidence_check" not in {box.key for box in app.checkbox}
    assert f"Feed back {len(plan.items)} texts: they join the training data of the next round." in words_on(app)
    assert f"Labelled by your decisions: 0; by the judge's verdicts: {len(plan.items)}." in words_on(app)


# --- Results and curves


def test_results_say_what_the_judge_took(judged: Project, open_app: OpenApp) -> None:
    tokens = spent(judged).tokens
    told = f"The judge used {tokens / 0.04:,.0f} tokens per 1,000 texts"
    assert f"{told}." in words_on(open_app("results"))
    change(judged, "UPDATE attempt SET price_in = 1000, price_out = 1000")
    assert f"{told}. Cost: {tokens / 0.04 / 1000:,.2f}." in words_on(open_app("results"))


def test_results_without_an_llm_speak_of_no_cost(in_state: InState, open_app: OpenApp) -> None:
    in_state("to review")
    assert "The judge used" not in words_on(open_app("results"))


def test_what_was_fed_back_is_taken_back(judged: Project, open_app: OpenApp) -> None:
    assert "roll_back" not in keys_of(open_app("rounds"))
    before = current_training_rows(judged)
    feed_back(judged, plan := plan_feed_back(judged), who=WHO)
    assert len(current_training_rows(judged)) == len(before) + len(plan.items)
    app = open_app("rounds")
    app.button(key="roll_back").click().run()
    assert not app.exception
    assert not app.error
    assert current_training_rows(judged) == before
    assert len(verdicts(judged)) > 0
    told = f"{len(plan.items)} texts left the training data. The review of round 1 opens again."
    assert [each.value for each in app.success] == [told]
    assert list_rounds(judged)[-1].state == "to review"
    assert "roll_back" not in keys_of(app)
    app.run()
    assert not app.success


@pytest.mark.parametrize("closed", [False, True])
def test_with_a_later_round_the_undo_says_that_the_review_stays_closed(
    in_state: InState, open_app: OpenApp, closed: bool
) -> None:
    project = in_state("fed back" if closed else "second round")
    if closed:
        open_round(project, FAST.model_dump_json(), "evidence", WHO)
        close_round(project)
    app = open_app("rounds")
    stays = "Round 1 stays closed, because round 2 came after it."
    assert stays in words_on(app)
    app.button(key="roll_back").click().run()
    assert app.success[0].value.endswith(stays)
    assert "roll_back" not in keys_of(app)
    assert "fed back" not in app.caption[0].value
    assert list_rounds(project)[0].state == "closed"


def test_taking_back_what_a_colleague_took_back_does_nothing(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("second round")
    app = open_app("rounds")
    roll_back(project, 1, "Ana")  # meanwhile
    app.button(key="roll_back").click().run()
    assert not app.exception
    assert not app.error
    assert not app.success
    assert "roll_back" not in keys_of(app)


@pytest.mark.parametrize("state", ["prepared", "to review"])
def test_before_anything_was_fed_back_nothing_can_be_taken_back(
    in_state: InState, open_app: OpenApp, state: str
) -> None:
    in_state(state)
    assert "roll_back" not in keys_of(open_app("rounds"))


@pytest.mark.parametrize(("before", "after", "fell"), [(0.9, 0.85, True), (0.85, 0.9, False), (0.9, 0.9, False)])
def test_it_is_said_plainly_that_agreement_fell_and_then_it_can_be_taken_back(
    in_state: InState, open_app: OpenApp, before: float, after: float, fell: bool
) -> None:
    project = in_state("second round")
    for number, value in ((1, before), (2, after)):
        change(
            project, "UPDATE round SET metrics = json_set(metrics, '$.true_agreement', ?) WHERE id = ?", value, number
        )
    app = open_app("rounds")
    assert ("True accuracy fell by 5 points. Undo the last feed back, or decide more texts." in words_on(app)) == fell
    assert "roll_back" in keys_of(app)
    app.button(key="roll_back").click().run()
    assert not app.exception
    assert not app.error


def test_without_a_truth_nothing_is_said_to_have_fallen(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("second round")
    change(project, "UPDATE round SET metrics = json_set(metrics, '$.true_agreement', NULL)")
    assert "It fell" not in words_on(open_app("rounds"))


# --- Nothing from a server is rendered


def check(app: AppTest) -> None:
    """Fail where anything of the page is rendered that should not be, or is invisible."""
    everything_harmless(app)
    for text in app.text:
        assert "\u202e" not in text.value, text.value
        assert "\u200b" not in text.value, text.value


@pytest.mark.parametrize("hostile", [*HOSTILE, ALL_HOSTILE], ids=range(len(HOSTILE) + 1))
def test_a_hostile_model_name_is_only_ever_a_name(
    in_state: InState, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, hostile: str
) -> None:
    in_state("prepared")
    use(monkeypatch, nobody(), hostile)
    check(rounds_with_llm(open_app))
    check(open_app("label_map"))


def test_hostile_names_that_are_kept_stay_names(in_state: InState, open_app: OpenApp, judge: Oracle) -> None:
    in_state("prepared")
    app = connect(rounds_with_llm(open_app), "keep", base_url=judge.address, model=ALL_HOSTILE, api_key=KEY)
    check(app)
    assert "DROP TABLE" in words_on(app)
    check(connect(rounds_with_llm(open_app), "try", api_key=ALL_HOSTILE))


@pytest.mark.parametrize("status", [200, 400, 401, 418])
def test_hostile_replies_are_told_in_words(in_state: InState, open_app: OpenApp, judge: Oracle, status: int) -> None:
    in_state("prepared")
    judge.status, judge.prose, judge.model = status, ALL_HOSTILE, ALL_HOSTILE
    app = rounds_with_llm(open_app)
    check(connect(app, "try", base_url=judge.address, model=MODEL))
    judge.status, judge.prose = 200, None
    check(connect(app, "try"))
    assert len(app.success) == 1


def test_a_hostile_explanation_is_only_words(judged: Project, open_as_viewer: OpenApp, named: Oracle) -> None:
    named.words = named.model = ALL_HOSTILE
    card = cards(judged, "judged valid")[0]
    sitting_of(judged, card).say("explain", card.text)
    app = view(open_as_viewer, card, "judged valid")
    check(app)
    assert "DROP TABLE" in words_on(app)
    assert "wrote this explanation later" in words_on(app)


def test_a_hostile_meaning_is_only_words(
    judged: Project, open_app: OpenApp, open_as_viewer: OpenApp, named: Oracle
) -> None:
    named.words = named.model = ALL_HOSTILE
    write_meanings(judged, FAST)
    app = open_app("label_map", label="refund")
    check(app)
    assert "Written by model" in words_on(app)
    assert "DROP TABLE" in words_on(app)
    check(open_as_viewer(review_queue="stale"))


def test_hostile_verdicts_of_a_hostile_judge_are_only_words(
    judged: Project, open_app: OpenApp, open_as_viewer: OpenApp
) -> None:
    change(judged, "UPDATE verdict SET judge = ?, model = ?, raw = ?", *[ALL_HOSTILE] * 3)
    change(judged, "UPDATE round SET metrics = json_set(metrics, '$.judge', ?)", ALL_HOSTILE)
    for page in ("rounds", "review", "results"):
        check(open_app(page))
    check(open_as_viewer())
