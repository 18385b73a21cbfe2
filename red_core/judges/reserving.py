"""Reserve tokens before a request is sent, within the caps of the round and of the project."""

from __future__ import annotations

from functools import partial

from red_core.access import refuse_viewers
from red_core.judges.batch_judge import BatchReserve
from red_core.judges.server_settings import JudgeServer
from red_core.records import Project
from red_core.settings import Settings
from red_core.store.attempts import Prices, RequestPurpose, add_attempts
from red_core.store.texts import remembered

PROJECT_CAP = "most tokens of the project"
"""Under this name the project's cap of tokens is remembered."""


def reserve_for(  # each argument is one fact of the attempts' rows
    project: Project,
    server: JudgeServer,
    purpose: RequestPurpose,
    settings: Settings,
    round_id: int | None = None,
    *,
    judge: str = "",
    price_factor: float = 1.0,
) -> BatchReserve:
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
    cached = server.price_in if server.price_cached is None else server.price_cached
    prices = Prices(*(None if p is None else p * price_factor for p in (server.price_in, server.price_out, cached)))

    return partial(
        add_attempts, project, purpose, judge or server.name,
        round_id=round_id, prices=prices, caps=(of_round, of_project),
    )  # fmt: skip
