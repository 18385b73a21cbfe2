"""The judge of a project: made from the settings, tried on two pairs, and tested before it is asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from pydantic import ValidationError

from red_core.access import refuse_viewers
from red_core.errors import JudgeError, StateError
from red_core.judges.apis import can_compare
from red_core.judges.batch_api import cancel as cancel_batch
from red_core.judges.batch_judge import Batches, BatchJudge
from red_core.judges.client import Endpoint, RefusedError
from red_core.judges.connect import Connection, connect
from red_core.judges.correction import LlmCorrector
from red_core.judges.dialect import Dialect
from red_core.judges.evidence_check import fit_evidence_check
from red_core.judges.left_batches import end_left_batches
from red_core.judges.llm_judge import AnotherModelError, LlmJudge, identity
from red_core.judges.pace import Pace
from red_core.judges.protocol import Corrector, Judge
from red_core.judges.reserving import PROJECT_CAP, reserve_for
from red_core.judges.self_test import SelfTest, compared_pairs, self_test_pairs, summed_up
from red_core.judges.server_settings import JudgeServer, judge_server, refuse_another_address
from red_core.records import PROMPT_VERSION, Progress, Project, Question, Report
from red_core.settings import Settings
from red_core.steps.judge_reliability import judge_rates
from red_core.store.attempts import RequestPurpose, settle_attempts
from red_core.store.judge_batches import batches_to_read
from red_core.store.labels import list_labels
from red_core.store.self_tests import Kind, Tested, add_tested, tested, tested_comparisons
from red_core.store.texts import remember, remembered
from red_core.store.vectors import load_vectors
from red_core.training import Model, ValidSamples, valid_samples

LEAST_PAIRS = 20
"""A self-test with fewer answers is too small to use."""
Pairs = Sequence[tuple[Kind, Question]]


def make_evidence_check(project: Project, model: Model, samples: ValidSamples) -> Judge:
    """Return the similarity check (no LLM), the default judge, fitted on the seeds."""
    known = model.known
    return fit_evidence_check(
        samples,
        lambda texts: load_vectors(project, model.features.embedding, texts),
        texts=known.texts,
        label_index=known.labels,
        right=known.right,
        prior_logit=known.belief_logit,
    )


def make_llm_judge(
    project: Project, settings: Settings, round_id: int, samples: ValidSamples, progress: Report
) -> tuple[Judge, Corrector | None]:
    """Return the LLM judge of the settings after its self-test, and a corrector if the settings want one.

    Pairs that were tested before are not asked again. The self-test does not use batches: the first questions need it.

    Raises
    ------
    JudgeError
        If the server cannot be reached, or does not answer as asked.
    """
    server = judge_server()
    if settings.batch and server.wire != "chat":
        raise JudgeError(
            f"batches need the API chat, and the judge has {server.wire}. Close the round, and run it again."
        )

    def report(done: int, total: int) -> None:
        progress("test the judge", done, total)

    cap = settings.most_tokens_project
    remember(project, PROJECT_CAP, "" if cap is None else str(cap), anew=True)
    pairs = _known_pairs(project, settings, samples)
    tester = endpoint_for(project, server, "self-test", settings, round_id)
    end_left_batches(project, server, judge_of(project, server))  # what they took makes room under the limits
    test = _self_tested(project, tester, pairs, report)
    endpoint = endpoint_for(project, server, "judge", settings, round_id)
    judge = LlmJudge(endpoint, test.rates, test.scale, comparing=test.comparing)
    if settings.batch:
        batches = batches_of(project, judge, settings, round_id, progress)
        judge = BatchJudge(endpoint, test.rates, test.scale, comparing=test.comparing, batches=batches)
    if not settings.corrections:
        return judge, None
    return judge, LlmCorrector(endpoint_for(project, server, "correction", settings, round_id))


def try_connection(project: Project, server: JudgeServer) -> Connection:
    """Try a server on two pairs of this project, and remember how it wants to be asked.

    Raises
    ------
    JudgeError
        If no request can succeed.
    StateError
        If the project has no seeds with vectors yet.
    AccessError
        If a viewer acts, or somebody who is no operator tries another address, key or header than those in force.
    """
    refuse_another_address(server)
    pairs = _known_pairs(project, Settings(), project_samples(project))
    first = {kind: question for kind, question in reversed(pairs) if kind != "canary"}
    connection = connect(server, reserve_for(project, server, "connect", Settings()), first["right"], first["wrong"])
    settle_attempts(project, connection.attempts)
    found = "" if connection.dialect is None else connection.dialect.model_dump_json()
    remember(project, _dialect_key(server), found, anew=True)
    return connection


def judge_check(project: Project, settings: Settings, report: Progress = lambda _done, _total: None) -> SelfTest:
    """Try the judge's server, test the judge anew on all pairs of this project, and return the result.

    Raises
    ------
    JudgeError
        If the server cannot be used, or a cap of tokens ends the test.
    """
    server = judge_server()
    forget_dialect(project, server)
    endpoint = endpoint_for(project, server, "self-test", settings)
    return _self_tested(project, endpoint, _known_pairs(project, settings, project_samples(project)), report, anew=True)


def stored_self_test(project: Project, judge: str) -> SelfTest | None:
    """Return the result of a judge's self-tests under the present prompt; None before the first."""
    answers = tested(project, judge, PROMPT_VERSION)
    if not any(answer.kind != "canary" for answer in answers):
        return None
    return summed_up([*answers, *tested_comparisons(project, judge, PROMPT_VERSION)])


def judge_of(project: Project, server: JudgeServer) -> str:
    """Return the identity of the judge at a server, as the last trial found it; '' before the first trial."""
    dialect = _known_dialect(project, server)
    return "" if dialect is None else identity(server, dialect)


def seconds_per_question(project: Project, server: JudgeServer) -> float:
    """Return how long a question takes on average, from the trial of the server; 0 before the first trial.

    In the trial questions go one after another. A quick server is asked as many at once as the settings allow; the
    estimate takes it to work on all of them at the same time.
    """
    dialect = _known_dialect(project, server)
    if dialect is None or not dialect.seconds:
        return 0.0
    return dialect.seconds / Pace.expected(server.at_once, server.timeout, dialect.seconds)


def endpoint_for(
    project: Project, server: JudgeServer, purpose: RequestPurpose, settings: Settings, round_id: int | None = None
) -> Endpoint:
    """Return the server as it is asked for a purpose; try it first if it is not known how it wants to be asked.

    Raises
    ------
    JudgeError
        If the server cannot be used; the message says what was tried.
    """
    dialect = _known_dialect(project, server)
    if dialect is None:
        connection = try_connection(project, server)
        if connection.dialect is None:
            told = " ".join(connection.sentences)
            raise JudgeError(f"the judge {server.name} at {server.host} cannot be used. {told}")
        dialect = connection.dialect
    judge = identity(server, dialect)
    return Endpoint(server, dialect, reserve_for(project, server, purpose, settings, round_id, judge=judge))


def batches_of(project: Project, judge: LlmJudge, settings: Settings, round_id: int, progress: Report) -> Batches:
    """Return where the batches of a round are stored; what is reserved for them has the price of a batch."""
    server = judge.endpoint.server
    reserve = reserve_for(
        project, server, "judge", settings, round_id, judge=judge.name, price_factor=server.price_batch
    )  # fmt: skip
    return Batches(project, round_id, reserve, lambda done, total: progress("wait for the batch", done, total))


def cancel_batches(project: Project) -> int:
    """Cancel the batches of this project that are under way at the judge's server; return how many.

    The next run of an open round reads what they had answered by then. Those of closed rounds are ended: what they took
    is counted, and their files are deleted. A server that cannot be reached is left alone.

    Raises
    ------
    AccessError
        If a viewer acts.
    """
    refuse_viewers()
    try:
        server = judge_server()
    except JudgeError:
        return 0
    judge = judge_of(project, server)
    names = [batch.name for batch in batches_to_read(project, judge) if batch.name]
    for name in names:
        cancel_batch(server, name)
    return len(names) + end_left_batches(project, server, judge)


def project_samples(project: Project) -> ValidSamples:
    """Return the valid samples of a project: seeds and decided texts, with their vectors.

    Raises
    ------
    StateError
        If the texts have no vectors yet.
    """
    ids = np.array([label.id for label in list_labels(project)], dtype=np.int64)
    try:
        return valid_samples(project, remembered(project, "embedding"), ids)
    except KeyError as error:
        raise StateError(f"the texts of project {project.name} are not prepared yet. Run a round first.") from error


def _known_pairs(project: Project, settings: Settings, samples: ValidSamples) -> Pairs:
    pairs = self_test_pairs(samples, list_labels(project), settings)
    if not pairs:
        raise JudgeError("the judge cannot be tested: no label has two labelled examples. Import more of them.")
    return pairs


def _known_dialect(project: Project, server: JudgeServer) -> Dialect | None:
    """Return how the last trial of a server found that it wants to be asked; None if it must be tried."""
    try:
        return Dialect.model_validate_json(remembered(project, _dialect_key(server), ""))
    except ValidationError:
        return None


def forget_dialect(project: Project, server: JudgeServer) -> None:
    """Forget how a server wants to be asked: it is tried again before the next question."""
    remember(project, _dialect_key(server), "", anew=True)


@contextmanager
def tried_again_if_changed(project: Project) -> Iterator[None]:
    """Let the server be tried, and the judge tested, again if another model answered or every question was refused."""
    try:
        yield
    except (AnotherModelError, RefusedError):
        forget_dialect(project, judge_server())
        raise


def _dialect_key(server: JudgeServer) -> str:
    sent = json.dumps([server.base_url, server.extra, server.response_format], sort_keys=True)
    return f"judge dialect: {server.name} {hashlib.sha256(sent.encode()).hexdigest()[:16]}"


def _self_tested(
    project: Project, endpoint: Endpoint, pairs: Pairs, report: Progress, *, anew: bool = False
) -> SelfTest:
    """Ask the pairs that were not asked before, or all of them anew; return the result of all stored answers.

    A server that can compare is also asked which of two labels is right.
    """
    judge = LlmJudge(endpoint, judge_rates({}, {}))
    name = judge.name
    if can_compare(endpoint.server, endpoint.dialect):
        pairs = [*pairs, *compared_pairs(pairs)]

    def known() -> list[Tested]:
        return [*tested(project, name, PROMPT_VERSION), *tested_comparisons(project, name, PROMPT_VERSION)]

    before = {(t.text, t.label, t.kind, t.rival is not None) for t in known()}
    left = [(kind, q) for kind, q in pairs if anew or (q.text, q.label.id, kind, q.compares) not in before]
    done = len(pairs) - len(left)
    report(done, len(pairs))
    for group in judge.answers([question for _, question in left]):
        asked = [left[index] for index, _ in group]
        rows = [(q.text, q.label.id, kind, answer) for (kind, q), (_, answer) in zip(asked, group, strict=True)]
        add_tested(project, name, rows, [q.runner_up.id if q.compares else None for _, q in asked])
        done += len(group)
        report(done, len(pairs))
    if anew and done < len(pairs):
        raise JudgeError(f"only {done} of {len(pairs)} pairs were asked: the project's token limit is reached.")
    test = summed_up(known())
    if test.pairs < min(LEAST_PAIRS, sum(kind != "canary" and not q.compares for kind, q in pairs)):
        raise JudgeError(
            f"the judge {name} answered only {test.pairs} pairs of the self-test: too few to trust it. Repair the "
            "server and go on. If the token limit is too low, close the round and run it again with a higher one."
        )
    return test
