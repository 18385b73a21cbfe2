"""Who answers *valid* or *invalid*: the similarity check, an LLM behind a client, its self-test, what it writes."""

from red_core.judges.meanings import write_meanings
from red_core.judges.project import judge_check, make_evidence_check, make_llm_judge, stored_self_test
from red_core.judges.protocol import Judge
from red_core.judges.self_test import SelfTest
from red_core.judges.server_settings import judge_server

__all__ = [
    "Judge",
    "SelfTest",
    "judge_check",
    "judge_server",
    "make_evidence_check",
    "make_llm_judge",
    "stored_self_test",
    "write_meanings",
]
