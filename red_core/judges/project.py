"""The judge of a project: made from the settings, tried on two pairs, and tested before it is asked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from red_core.access import refuse_viewers
from red_core.errors import JudgeError, StateError
from red_core.judges.apis import APIS
from red_core.judges.client import Endpoint, Reserve
from red_core.judges.connect import Connection, connect
from red_core.judges.correction import LlmCorrector
from red_core.judges.evidence_check import fit_evidence_check
from red_core.judges.llm_judge import LlmJudge
from red_core.judges.protocol import Corrector, Judge
from red_core.judges.self_test import SelfTest, self_test_pairs, summed_up
from red_core.judges.server_settings import Format, JudgeServer, judge_server
from red_core.records import PROMPT_VERSION, Progress, Project, Question
from red_core.settings import Settings
from red_core.steps.judge_reliability import judge_rates
from red_core.store.attempts import RequestPurpose, add_attempts, settle_attempts
from red_core.store.labels import list_labels
from red_core.store.self_tests import Kind, add_tested, tested
from red_core.store.texts import remember, remembered
from red_core.store.vectors import load_vectors
from red_core.training import Model, ValidSamples, valid_samples

PROJECT_CAP = "most tokens of the project"
"""Under this name the project's cap of tokens is remembered."""
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
    project: Project, settings: Settings, round_id: int, samples: ValidSamples, report: Progress
) -> tuple[Judge, Corrector | None]:
    """Return the LLM judge of the settings after its self-test, and a corrector if the settings want one.

    Pairs that were tested before are not asked again.

    Raises
    ------
    JudgeError
        If the server cannot be reached, or does not answer as asked.
    """
    server = judge_server()
    cap = settings.most_tokens_project
    remember(project, PROJECT_CAP, "" if cap is None else str(cap), anew=True)
    pairs = _known_pairs(project, settings, samples)
    test = _self_tested(project, endpoint_for(project, server, "self-test", settings, round_id), pairs, report)
    judge = LlmJudge(endpoint_for(project, server, "judge", settings, round_id), test.rates, test.scale)
    if not settings.corrections:
        return judge, None
    return judge, LlmCorrector(endpoint_for(project, server, "correction", settings, round_id))


def try_connection(project: Project, server: JudgeServer) -> Connection:
    """Try a server on two pairs of this project, and remember the JSON form that works.

    Raises
    ------
    JudgeError
        If no request can succeed.
    StateError
        If the project has no seeds with vectors yet.
    """
    pairs = _known_pairs(project, Settings(), _samples(project))
    first = {kind: question for kind, question in reversed(pairs) if kind != "canary"}
    connection = connect(server, reserve_for(project, server, "connect", Settings()), first["right"], first["wrong"])
    settle_attempts(project, connection.attempts)
    if connection.form is not None:
        remember(project, _form_key(server), connection.form, anew=True)
    return connection


def judge_check(project: Project, settings: Settings, report: Progress = lambda _done, _total: None) -> SelfTest:
    """Test the judge anew on all pairs of this project, and return the result.

    Raises
    ------
    JudgeError
        If the server cannot be used, or a cap of tokens ends the test.
    """
    endpoint = endpoint_for(project, judge_server(), "self-test", settings)
    return _self_tested(project, endpoint, _known_pairs(project, settings, _samples(project)), report, anew=True)


def stored_self_test(project: Project, judge: str) -> SelfTest | None:
    """Return the result of a judge's self-tests under the present prompt; None before the first."""
    answers = tested(project, judge, PROMPT_VERSION)
    return summed_up(answers) if any(a.kind != "canary" for a in answers) else None


def endpoint_for(
    project: Project, server: JudgeServer, purpose: RequestPurpose, settings: Settings, round_id: int | None = None
) -> Endpoint:
    """Return the server as it is asked for a purpose; try it first if its JSON form is not known yet.

    Raises
    ------
    JudgeError
        If the server cannot be used; the message says what was tried.
    """
    reserve = reserve_for(project, server, purpose, settings, round_id)
    return Endpoint(server, _form_of(project, server), reserve)


def reserve_for(
    project: Project, server: JudgeServer, purpose: RequestPurpose, settings: Settings, round_id: int | None = None
) -> Reserve:
    """Return what stores attempts before they are sent, and refuses those that would exceed a cap of tokens.

    The project's cap is that of the settings, else that of the last round; it holds for every purpose.

    Raises
    ------
    AccessError
        If the user is a viewer: questions cost money.
    """
    refuse_viewers()
    last = remembered(project, PROJECT_CAP)
    of_project = settings.most_tokens_project if settings.most_tokens_project is not None or not last else int(last)
    of_round = settings.most_tokens if round_id is not None else None

    def reserve(tokens: Sequence[int]) -> list[int]:
        return add_attempts(
            project, purpose, server.name, tokens,
            round_id=round_id, prices=(server.price_in, server.price_out), caps=(of_round, of_project),
        )  # fmt: skip

    return reserve


def _samples(project: Project) -> ValidSamples:
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


def _form_of(project: Project, server: JudgeServer) -> Format:
    """Return the JSON form the server obeys: the one set, the one remembered, or the one a trial finds."""
    forms = APIS[server.wire].forms
    if server.response_format != "auto" or len(forms) == 1:
        return server.response_format
    known = remembered(project, _form_key(server), "")
    for form in forms:
        if form == known:
            return form
    connection = try_connection(project, server)
    if connection.form is None:
        raise JudgeError(f"the judge {server.name} at {server.host} cannot be used. {' '.join(connection.sentences)}")
    return connection.form


def _form_key(server: JudgeServer) -> str:
    return f"judge form: {server.name} at {server.host}"


def _self_tested(
    project: Project, endpoint: Endpoint, pairs: Pairs, report: Progress, *, anew: bool = False
) -> SelfTest:
    """Ask the pairs that were not asked before, or all of them anew; return the result of all stored answers."""
    name = endpoint.server.name
    before = {(t.text, t.label, t.kind) for t in tested(project, name, PROMPT_VERSION)}
    left = [(kind, q) for kind, q in pairs if anew or (q.text, q.label.id, kind) not in before]
    judge = LlmJudge(endpoint, judge_rates({}, {}))
    done = len(pairs) - len(left)
    report(done, len(pairs))
    for group in judge.answers([question for _, question in left]):
        rows = [(left[index][1].text, left[index][1].label.id, left[index][0], answer) for index, answer in group]
        add_tested(project, name, rows)
        done += len(group)
        report(done, len(pairs))
    if anew and done < len(pairs):
        raise JudgeError(f"only {done} of {len(pairs)} pairs were asked: the project's cap of tokens is reached.")
    test = summed_up(tested(project, name, PROMPT_VERSION))
    if test.pairs < min(LEAST_PAIRS, sum(kind != "canary" for kind, _ in pairs)):
        raise JudgeError(
            f"the judge {name} answered only {test.pairs} pairs of the self-test: too few to trust it. Repair the "
            "server and go on. If the cap of tokens is too low, close the round and run it again with a higher one."
        )
    return test
