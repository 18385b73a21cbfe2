"""Batches in the shapes of different servers of the protocol."""

from __future__ import annotations

import json
from typing import Any

import pytest

from red_core.judges import batch_api
from red_core.judges.batch_api import BatchReplies
from red_core.judges.server_settings import judge_server
from tests.helpers.fault_server import FaultServer, Said, word

BATCH = {"id": "b1", "status": "completed", "input_file_id": "f0", "output_file_id": "f1"}


def line(name: str, status: int, body: Any) -> str:
    return json.dumps({"custom_id": name, "response": {"status_code": status, "body": body}, "error": None})


def read(batch: dict[str, Any], *lines: str) -> tuple[batch_api.ServerBatch, BatchReplies]:
    """Return a batch as the server describes it, and its replies."""
    with FaultServer(lambda heard: Said("\n".join(lines) if "/files/" in heard.path else json.dumps(batch))):
        state = batch_api.state_of(judge_server(), "b1")
        assert state is not None
        return state, BatchReplies.received(judge_server(), state)


@pytest.mark.parametrize(
    "more",
    [
        {"request_counts": {"total": None, "completed": None, "failed": None}},
        {"errors": {"object": "list", "data": None}},
        {"request_counts": None, "errors": None},
    ],
)
def test_a_batch_described_with_nulls_is_read(more):
    state, replies = read(BATCH | more, line("1", 200, word("valid").body))
    assert (state.status, list(replies.bodies), state.fault) == ("completed", ["1"], "")
    assert not replies.others_cost_nothing  # the server does not say that it did not carry them out


@pytest.mark.parametrize(
    ("written", "status"), [("COMPLETED", "completed"), ("Failed", "failed"), ("canceled", "cancelled")]
)
def test_a_batch_has_ended_however_its_state_is_written(written, status):
    state, _ = read(BATCH | {"status": written})
    assert state.status == status
    assert state.status in batch_api.ENDED
