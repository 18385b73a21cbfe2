"""The judge of a project: made from the settings, tried, and measured before it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from red_core.access import refuse_viewers
from red_core.errors import JudgeError, StateError
from red_core.judges.client import Reserve
from red_core.judges.connect import Connection, connect
from red_core.judges.correction import corrections
from red_core.judges.evidence_check import fit_evidence_check
from red_core.judges.llm import LlmJudge
from red_core.judges.protocol import Corrector, Judge
from red_core.judges.replies import Band
from red_core.judges.self_test import SelfTest, self_test_pairs, summed_up
from red_core.judges.server import Format, JudgeServer, judge_server
from red_core.records import PROMPT_VERSION, Label, Progress, Project, Question
from red_core.settings import Settings
from red_core.steps.judge_reliability import judge_rates
from red_core.store.attempts import RequestPurpose, add_attempts, settle_attempts
from red_core.store.labels import list_labels
from red_core.store.self_tests import Kind, add_tested, tested
from red_core.store.texts import remember, remembered
from red_core.store.vectors import load_vectors
from red_core.training import Model, ValidSamples, valid_samples

PROJECT_CAP = "most tokens of the project"
LEAST_PAIRS = 20
"""Fewer answers say nothing about a judge."""
Pairs = Sequence[tuple[Kind, Question]]


def evidence_check(project: Project, model: Model, samples: ValidSamples) -> Judge:
    """Return the embedded default judge, fitted on the seeds."""
    known = model.known
    return fit_evidence_check(
        samples,
        lambda texts: load_vectors(project, model.features.embedding, texts),
        texts=known.texts,
        places=known.labels,
        right=known.right,
        prior_logit=known.prior_logit,
    )


def llm_judge(
    project: Project, settings: Settings, round_id: int, samples: ValidSamples, report: Progress
) -> tuple[Judge, Corrector | None]:
    """Return the LLM judge of the settings, tested as far as it was not yet, and what corrects where that is wanted.

    Raises
    ------
    JudgeError
        If it cannot be reached, or does not answer as asked.
    """
    server = judge_server()
    remember(
        project,
        PROJECT_CAP,
        "" if settings.most_tokens_project is None else str(settings.most_tokens_project),
        anew=True,
    )
    pairs = _known_pairs(project, settings, samples)
    form = form_of(project, server, settings, pairs)
    found = _measured(project, settings, server, form, pairs, report, round_id)
    reserve = reserve_for(project, server, "judge", settings, round_id)
    judge = LlmJudge(server, form, Band(), reserve, found.rates, found.scale)
    if not settings.corrections:
        return judge, None
    return judge, partial(corrections, server, form, reserve_for(project, server, "correction", settings, round_id))


def try_connection(project: Project, server: JudgeServer) -> Connection:
    """Try a server on two pairs of this project; what works is remembered.

    Raises
    ------
    JudgeError
        If no request can succeed.
    StateError
        If the project has no seeds with vectors yet.
    """
    return _connected(project, server, _known_pairs(project, Settings(), _samples(project)))


def judge_check(project: Project, settings: Settings, report: Progress = lambda _done, _total: None) -> SelfTest:
    """Test the judge anew on seeds of this project, and return how it did."""
    server = judge_server()
    pairs = _known_pairs(project, settings, _samples(project))
    return _measured(
        project, settings, server, form_of(project, server, settings, pairs), pairs, report, None, anew=True
    )


def stored_self_test(project: Project, judge: str) -> SelfTest | None:
    """Return how a judge did in its self-tests under the present prompt; None before the first."""
    answers = tested(project, judge, PROMPT_VERSION)
    return summed_up(answers) if any(a.kind != "canary" for a in answers) else None


def reserve_for(
    project: Project, server: JudgeServer, purpose: RequestPurpose, settings: Settings, round_id: int | None = None
) -> Reserve:
    """Return what stores attempts before they are sent, and refuses those that would pass a cap.

    The project's cap is that of the settings, else that of the last round: it holds for whatever is asked.

    Raises
    ------
    AccessError
        If a viewer would ask: questions cost money.
    """
    refuse_viewers()
    last = remembered(project, PROJECT_CAP)
    of_project = settings.most_tokens_project if settings.most_tokens_project is not None or not last else int(last)
    return partial(
        _reserve, project, purpose, server.name, round_id, (server.price_in, server.price_out),
        (settings.most_tokens if round_id is not None else None, of_project),
    )  # fmt: skip


def _reserve(
    project: Project,
    purpose: RequestPurpose,
    judge: str,
    round_id: int | None,
    prices: tuple[float | None, float | None],
    caps: tuple[int | None, int | None],
    tokens: Sequence[int],
) -> list[int]:
    return add_attempts(project, purpose, judge, tokens, round_id=round_id, prices=prices, caps=caps)


def _samples(project: Project) -> ValidSamples:
    ids = np.array([label.id for label in list_labels(project)], dtype=np.int64)
    try:
        return valid_samples(project, remembered(project, "embedding"), ids)
    except KeyError as error:
        raise StateError(f"the texts of project {project.name} are not prepared yet. Run a round first.") from error


def _known_pairs(project: Project, settings: Settings, samples: ValidSamples) -> Pairs:
    rng = np.random.default_rng(settings.random_state)
    known: list[Label] = list_labels(project)
    pairs = self_test_pairs(samples, known, settings.self_test_seeds, settings.canaries, settings.examples_shown, rng)
    if not pairs:
        raise JudgeError("the judge cannot be tested: no label has two seeds. Import more seeds.")
    return pairs


def form_of(project: Project, server: JudgeServer, settings: Settings, pairs: Pairs | None = None) -> Format:
    """Return the form of JSON that was obeyed when the server was tried; try it now if it was not yet.

    Raises
    ------
    JudgeError
        If the server cannot be used; the text says what was tried.
    """
    if server.response_format != "auto" or server.wire != "chat":
        return server.response_format
    known = remembered(project, _where(server), "")
    if known in {"json_schema", "json_object", "plain"}:
        return known  # type: ignore[return-value]  # one of the three
    found = _connected(project, server, pairs or _known_pairs(project, settings, _samples(project)))
    if found.form is None:
        raise JudgeError(f"the judge {server.name} at {server.host} cannot be used. {' '.join(found.sentences)}")
    return found.form


def _connected(project: Project, server: JudgeServer, pairs: Pairs) -> Connection:
    first = {kind: question for kind, question in reversed(pairs) if kind != "canary"}
    reserve = reserve_for(project, server, "connect", Settings())
    found = connect(server, reserve, first["right"], first["wrong"])
    settle_attempts(project, found.attempts)
    if found.form is not None:
        remember(project, _where(server), found.form, anew=True)
    return found


def _where(server: JudgeServer) -> str:
    return f"judge form: {server.name} at {server.host}"


def _measured(
    project: Project,
    settings: Settings,
    server: JudgeServer,
    form: Format,
    pairs: Pairs,
    report: Progress,
    round_id: int | None,
    *,
    anew: bool = False,
) -> SelfTest:
    """Return how the judge does on the pairs, asking those not asked before, or all of them anew."""
    before = {(t.text, t.label, t.kind) for t in tested(project, server.name, PROMPT_VERSION)}
    left = [(kind, q) for kind, q in pairs if anew or (q.text, q.label.id, kind) not in before]
    reserve = reserve_for(project, server, "self-test", settings, round_id)
    judge = LlmJudge(server, form, Band(), reserve, judge_rates({}, {}))
    done = len(pairs) - len(left)
    report(done, len(pairs))
    for group in judge.answers([question for _, question in left]):
        rows = [(left[place][1].text, left[place][1].label.id, left[place][0], answer) for place, answer in group]
        add_tested(project, server.name, rows)
        done += len(group)
        report(done, len(pairs))
    if anew and done < len(pairs):
        raise JudgeError(f"only {done} of {len(pairs)} pairs were asked: the project's cap of tokens is reached.")
    found = summed_up(tested(project, server.name, PROMPT_VERSION))
    if found.pairs < min(LEAST_PAIRS, sum(kind != "canary" for kind, _ in pairs)):
        raise JudgeError(
            f"the judge {server.name} answered only {found.pairs} of the self-test's pairs: too few to trust it. "
            "Mend the server and go on; if its cap of tokens is too low, close the round and run it with a higher one."
        )
    return found
