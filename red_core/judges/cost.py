"""What questions to an LLM judge cost: tokens, money and time, as measured of this judge, else assumed.

Every estimate is made of this: *Overview*, *Rounds* and the command line show the same figures.
"""

from __future__ import annotations

from dataclasses import dataclass

from red_core.judges.dialect import ANSWER_TOKENS
from red_core.judges.project import judge_of, seconds_per_question
from red_core.judges.server_settings import JudgeServer
from red_core.records import Project
from red_core.store.attempts import MeanTokens, tokens_per_question

ASSUMED_TOKENS = MeanTokens(600.0 - ANSWER_TOKENS, float(ANSWER_TOKENS), 0.0)
"""Of a question, before the first one was counted."""
ASSUMED_SECONDS = 0.5
"""Of a question, before the trial of the server."""


@dataclass(frozen=True)
class QuestionCost:
    """What one question costs.

    Attributes
    ----------
    tokens : float
        Read and written.
    seconds : float
        Until the next question is answered, with as many in flight as the server can take; 0 in a batch.
    money : float or None
        None if a price is not known.
    counted, timed : bool
        Whether the tokens and the seconds were measured of this judge.
    batch : bool
        Whether it is asked in a batch.
    share : float
        The share of the price that is paid: less than 1 in a batch.
    """

    tokens: float
    seconds: float
    money: float | None
    counted: bool
    timed: bool
    batch: bool = False
    share: float = 1.0

    @property
    def assumed(self) -> str:
        """The clause that says which figures are not measured; '' if all are."""
        if self.counted and (self.timed or self.batch):
            return ""
        what = (
            "the time is" if self.counted else "the tokens are" if self.timed or self.batch else "tokens and time are"
        )
        return f"{what} assumed, because this judge was not tried yet"

    def in_words(self, questions: int) -> str:
        """Return what so many questions cost, as sentences."""
        takes = ", takes up to 24 hours" if self.batch else _time(questions * self.seconds)
        money = "" if self.money is None else f" and costs about {questions * self.money:,.2f}"
        if money and self.share != 1.0:
            money += f" (a question in a batch costs {self.share:.0%} of its price)"
        assumed = f"; {self.assumed}" if self.assumed else ""
        unpriced = " You have set no price." if self.money is None else ""
        return f"This uses about {round(questions * self.tokens):,} tokens{takes}{money}{assumed}.{unpriced}"


def cost_of_question(project: Project, server: JudgeServer | None, *, batch: bool = False) -> QuestionCost:
    """Return what a question to the judge at a server costs; everything is assumed without a server."""
    if server is None:
        return QuestionCost(ASSUMED_TOKENS.total, ASSUMED_SECONDS, None, counted=False, timed=False)
    mean, seconds = tokens_per_question(project, judge_of(project, server)), seconds_per_question(project, server)
    share = server.price_batch if batch else 1.0
    money = _money(server, mean or ASSUMED_TOKENS)
    return QuestionCost(
        (mean or ASSUMED_TOKENS).total,
        0.0 if batch else seconds or ASSUMED_SECONDS,
        None if money is None else share * money,
        counted=mean is not None,
        timed=seconds > 0,
        batch=batch,
        share=share,
    )


def _money(server: JudgeServer, mean: MeanTokens) -> float | None:
    if server.price_in is None or server.price_out is None:
        return None
    cached = server.price_in if server.price_cached is None else server.price_cached
    return ((mean.read - mean.cached) * server.price_in + mean.cached * cached + mean.written * server.price_out) / 1e6


def _time(seconds: float) -> str:
    """Return how long questions take; '' where it is short."""
    minutes = round(seconds / 60)
    return f", takes about {minutes:,} {'minute' if minutes == 1 else 'minutes'}" if minutes else ""
