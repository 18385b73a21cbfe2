"""How a server wants to be asked: the parameters that it takes. A trial finds them; a project remembers them."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from red_core.judges.server_settings import Format

ANSWER_TOKENS = 64
"""Most tokens of an answer, where the model does not reason."""
REASONING_TOKENS = 4096
"""Most tokens of an answer, where the reasoning cannot be switched off."""
LIMITS = ("max_tokens", "max_completion_tokens")
"""The names under which a limit of tokens is sent."""
TOP_TOKENS = 5
"""How many of the likeliest tokens are asked for; some servers give no more."""
WRITTEN_TOKENS = 2000
"""Most tokens of what a model writes: meanings, names, explanations."""


class Dialect(BaseModel):
    """See the module. The defaults ask for everything.

    Attributes
    ----------
    form : Format
        How the server is held to JSON.
    temperature : bool
        Whether temperature 0 is sent.
    limit : str
        The name of the limit of tokens; '' if none is taken.
    most_out : int
        That limit, for an answer.
    logprobs : bool
        Whether the likeliest tokens are asked for.
    system : bool
        Whether instructions are a message of the system; otherwise they begin the user's message.
    quiet : dict
        The parameters that switch reasoning off; empty where there is no need.
    model : str
        The model's name as the server replies it.
    seconds : float
        How long one request took, the last of the trial: the first may have loaded the model. 0 if it was not measured.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    form: Format = "json_schema"
    temperature: bool = True
    limit: Literal["max_tokens", "max_completion_tokens", ""] = "max_tokens"
    most_out: int = ANSWER_TOKENS
    logprobs: bool = True
    system: bool = True
    quiet: dict[str, Any] = {}
    model: str = ""
    seconds: float = 0.0

    def parameters(self, *, most_out: int | None = None, judging: bool = True) -> dict[str, Any]:
        """Return the parameters of a chat request.

        Parameters
        ----------
        most_out : int, optional
            Another limit of tokens than that of an answer.
        judging : bool
            False for what a model writes: it may vary, and nobody needs its probabilities.
        """
        found: dict[str, Any] = {}
        if self.temperature and judging:
            found["temperature"] = 0
        if self.limit:
            found[self.limit] = self.most_out if most_out is None else most_out + self.most_out
        if self.logprobs and judging:
            found |= {"logprobs": True, "top_logprobs": TOP_TOKENS}
        return found | self.quiet

    def fingerprint(self, extra: dict[str, Any]) -> str:
        """Return six characters that differ where an answer could: all that is sent beside the question."""
        sent = [self.form, self.parameters(), self.system, extra]
        return hashlib.sha256(json.dumps(sent, sort_keys=True).encode()).hexdigest()[:6]
