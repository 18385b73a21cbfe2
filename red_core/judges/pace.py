"""How many requests are in flight, and how long one may take: both follow the server.

Additive increase, multiplicative decrease: each quick reply raises the number a little, a timeout or a refusal for
being busy halves it. It also stops rising where replies become slow, so that a queue at the server ends no request. A
single request that takes too long doubles the time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

LONGEST_TIMEOUT = 600.0
MORE_TIME = 4
"""The time for a reply may grow to this many times the setting."""
QUICK = 3
"""A reply is quick if it takes less than the time for a reply, divided by this."""


@dataclass
class Pace:
    """See the module.

    Attributes
    ----------
    most : int
        Most requests in flight.
    timeout : float
        Seconds that a reply may take now.
    window : float
        Requests that may be in flight now, at least 1.
    """

    most: int
    timeout: float
    window: float = field(default=0.0)
    longest: float = field(init=False)
    cut_at: float = field(default=-1.0, init=False)

    def __post_init__(self) -> None:
        self.longest = min(LONGEST_TIMEOUT, MORE_TIME * self.timeout)
        self.window = min(max(self.window or self.most, 1.0), self.most)

    @classmethod
    def for_server(cls, most: int, timeout: float, seconds: float) -> Pace:
        """Return the pace to begin with; ``seconds`` is how long one reply took in the trial, 0 if it is unknown."""
        return cls(most, timeout, timeout / (2 * QUICK * seconds) if seconds else most)

    @classmethod
    def expected(cls, most: int, timeout: float, seconds: float) -> int:
        """Return how many requests will be in flight at a server whose reply takes so long: all, if that is quick."""
        return most if seconds < timeout / QUICK else cls.for_server(most, timeout, seconds).in_flight

    @property
    def in_flight(self) -> int:
        """How many requests may be in flight now."""
        return int(self.window)

    def replied(self, seconds: float) -> None:
        """Count a reply that took so long."""
        if seconds < self.timeout / QUICK:
            self.window = min(self.most, self.window + 1 / self.window)

    def late(self, sent_at: float) -> None:
        """Count a request, sent at this monotonic time, that ran into the timeout."""
        if self.window >= 2:
            self.busy(sent_at)
        elif sent_at > self.cut_at:
            self.timeout, self.cut_at = min(2 * self.timeout, self.longest), time.monotonic()

    def busy(self, sent_at: float) -> None:
        """Halve the number in flight, once for all requests that were in flight together."""
        if sent_at > self.cut_at:
            self.window, self.cut_at = max(1.0, self.window / 2), time.monotonic()
