"""Measure the speed of an LLM judge: ``python -m benchmarks.asking [--questions 1000] [--at-once 32] [--delay 0.2]``.

A local server in its own process answers every request after ``delay`` seconds. Three times are printed as JSON: the
ideal time; the product's path, which stores attempts and verdicts in a real project; and a bare loop of the openai
package with the same concurrency. CPU seconds are printed too. ``--times`` repeats both in turn and keeps the best of
each, because other programs use the machine too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from openai import AsyncOpenAI

from benchmarks.synthetic import synthetic_project
from red_core.judges.client import Endpoint
from red_core.judges.dialect import Dialect
from red_core.judges.llm_judge import LlmJudge
from red_core.judges.prompt import ANSWER, TASK, VERDICT_SCHEMA, prompt_of
from red_core.judges.reserving import reserve_for
from red_core.judges.server_settings import JudgeServer
from red_core.records import Project, Question
from red_core.settings import Settings
from red_core.steps.judge_reliability import judge_rates
from red_core.store.attempts import spent
from red_core.store.labels import list_labels
from red_core.store.rounds import open_round
from red_core.store.texts import contents, pool
from red_core.store.verdicts import add_proposals, add_verdicts, verdicts

KEY = "none"
USAGE = {"prompt_tokens": 200, "completion_tokens": 5, "total_tokens": 205}
MESSAGE = {"role": "assistant", "content": '{"verdict": "valid"}', "refusal": None}
CHOICE = {"index": 0, "finish_reason": "stop", "message": MESSAGE, "logprobs": None}
BODY = json.dumps(
    {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [CHOICE], "usage": USAGE}
).encode()
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


def serve(delay: float, ready: Connection) -> None:
    """Answer every request after a delay, until the process is ended."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                await reader.readexactly(int(length.split(b":")[1]))
                await asyncio.sleep(delay)
                writer.write(REPLY)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=512)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def questions_of(project: Project, count: int) -> list[Question]:
    texts, known = pool(project)[:count], list_labels(project)
    return [
        Question(int(text), content, known[0], known[1], (), (), 0.6, 0.4, "value", 0.1)
        for text, content in zip(texts, contents(project, texts), strict=True)
    ]  # fmt: skip


def product(server: JudgeServer, project: Project, questions: list[Question], settings: Settings) -> None:
    """Ask as a round does: store every attempt before it is sent, and every group of verdicts when it arrives."""
    round_id = open_round(project, settings.model_dump_json(), "llm", "benchmark").id
    reserve = reserve_for(project, server, "judge", settings, round_id)
    judge = LlmJudge(Endpoint(server, Dialect(), reserve), judge_rates({}, {}))
    ids = add_proposals(project, round_id, questions)
    for group in judge.answers(questions):
        add_verdicts(project, judge.name, [(ids[index], answer) for index, answer in group])
    assert len(verdicts(project)) == len(questions)
    assert spent(project).tokens == len(questions) * USAGE["total_tokens"]


async def bare(server: JudgeServer, questions: list[Question]) -> None:
    """Ask with only the openai package and a semaphore."""
    turn = asyncio.Semaphore(server.at_once)
    form = {"type": "json_schema", "json_schema": {"name": "reply", "strict": True, "schema": dict(VERDICT_SCHEMA)}}
    async with AsyncOpenAI(base_url=server.base_url, api_key=KEY, max_retries=0, timeout=30) as client:

        async def one(question: Question) -> str | None:
            messages = [
                {"role": "system", "content": f"{TASK}\n\n{ANSWER}"},
                {"role": "user", "content": prompt_of(question).message},
            ]
            async with turn:
                reply = await client.chat.completions.create(model="m", messages=messages, response_format=form)
            return reply.choices[0].message.content

        replies = await asyncio.gather(*map(one, questions))
    assert set(replies) == {MESSAGE["content"]}


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds and the CPU seconds of this process for ``work``."""
    start, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - cpu


def measure(server: JudgeServer, count: int, times: int, caps: int | None) -> tuple[list[tuple[float, float]], ...]:
    ours, theirs = [], []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as folder:
            project, settings = synthetic_project(Path(folder), "asking", labels=4, seeds_per_label=4, texts=count)
            settings = settings.model_copy(update={"most_tokens": caps, "most_tokens_project": caps})
            questions = questions_of(project, count)
            ours.append(timed(partial(product, server, project, questions, settings)))
        theirs.append(timed(partial(asyncio.run, bare(server, questions))))
    return ours, theirs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--delay", type=float, default=0.2)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--cap", type=int, help="also count tokens against caps of this size")
    chosen = parser.parse_args()
    ours_end, theirs_end = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(chosen.delay, theirs_end), daemon=True)
    process.start()
    try:
        assert ours_end.poll(60), "the server did not start"
        address = f"http://127.0.0.1:{ours_end.recv()}/v1"
        server = JudgeServer(base_url=address, api_key=KEY, model="m", at_once=chosen.at_once, timeout=30)
        ours, theirs = measure(server, chosen.questions, chosen.times, chosen.cap)
    finally:
        process.kill()
        process.join(10)
    ideal = chosen.questions / chosen.at_once * chosen.delay
    seconds, cpu = (min(run[part] for run in ours) for part in (0, 1))
    bare_seconds, bare_cpu = (min(run[part] for run in theirs) for part in (0, 1))
    figures = {
        "ideal_seconds": ideal,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "bare_seconds": bare_seconds,
        "bare_cpu_seconds": bare_cpu,
        "time_to_ideal": seconds / ideal,
        "cpu_to_bare": cpu / bare_cpu,
    }
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}, indent=1))


if __name__ == "__main__":
    main()
