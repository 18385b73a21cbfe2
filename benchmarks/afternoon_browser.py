"""The afternoon once in the real app: ``python -m benchmarks.afternoon_browser clinc150.csv.gz --texts 3000``.

A simulated analyst works in a headless Chromium, by the keyboard: imports two files, runs rounds with a judge behind a
real server on loopback, feeds back, answers blind audits until the certificate is given, and downloads the labels.
Printed: the ledger, and whether the certificate on the screen is the one that the project holds. The app never sees the
truth; the true accuracy is that of the downloaded file.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Locator, Page, expect

from benchmarks.served import rest, served
from benchmarks.trial import Draw, SimulatedJudge, draw
from red_core.judges.self_test import INJECTION
from red_core.records import Project
from red_core.review import summary
from red_core.rounds.plan import plan
from red_core.store.jobs import newest_job
from widgets.review.audit_panel import certificate_in_words

NAME = "afternoon"
PATIENCE = 1800
MOST_ROUNDS = 4
JOINER = "\u2060"
"""The invisible sign that keeps outside text from being read as markup."""


@contextmanager
def judging(drawn: Draw, options: argparse.Namespace) -> Iterator[SimulatedJudge]:
    """Serve the simulated judge as a chat model; the app finds it by its environment."""
    judge = SimulatedJudge(drawn, options)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            said = body["messages"][-1]["content"]
            asked = json.loads(said[said.index("{\n") :])
            verdict = says(judge, asked["text"], asked["proposed"]["label"])
            message = {"role": "assistant", "content": json.dumps({"verdict": verdict})}
            usage = {
                "prompt_tokens": sum(len(each["content"]) for each in body["messages"]) // 4,
                "completion_tokens": 4,
            }
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            self._reply({"model": "simulated", "choices": [choice], "usage": usage})

        def do_GET(self) -> None:
            self._reply({"data": [{"id": "simulated"}]})

        def _reply(self, body: dict[str, object]) -> None:
            sent = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        os.environ |= {"OPENAI_BASE_URL": f"http://127.0.0.1:{http.server_address[1]}/v1", "OPENAI_API_KEY": "none"}
        os.environ |= {"RED_JUDGE_MODEL": "simulated"}
        yield judge
        http.shutdown()


def says(judge: SimulatedJudge, text: str, label: str) -> str:
    """Return the verdict; a text with an instruction in it does not fool this judge."""
    known, injected, _ = text.partition(INJECTION)
    return "valid" if judge.says_valid(known, label) and not injected else "invalid"


class Analyst:
    """Works on the pages of the app as a person does, with errors in the audit."""

    def __init__(self, page: Page, base: str, project: Project, drawn: Draw, options: argparse.Namespace) -> None:
        self.page, self.base, self.project, self.options = page, base, project, options
        self.rng = np.random.default_rng([drawn.seed, 77])
        self.truth = dict(zip(drawn.pool_texts, [drawn.names[label] for label in drawn.truth.tolist()], strict=True))
        self.truth |= dict(
            zip(drawn.seed_texts, [drawn.names[label] for label in drawn.seed_labels.tolist()], strict=True)
        )
        self.jobs = 0

    def go(self, where: str, **query: str) -> None:
        """Open a page by its address."""
        more = "".join(f"&{name}={value}" for name, value in query.items())
        self.page.goto(f"{self.base}/{where}?project={NAME}{more}")
        rest(self.page)
        self.look(where)

    def look(self, name: str) -> None:
        """Keep a picture of the screen, and fail on an error on it."""
        assert self.page.locator("[data-testid=stException]").count() == 0, self.page.locator("body").inner_text()
        if self.options.pictures:
            self.options.pictures.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(
                path=self.options.pictures / f"{len(list(self.options.pictures.iterdir())):03}-{name}.png"
            )

    def press(self, key: str) -> None:
        self.page.locator(f".st-key-{key} button").first.press("Enter")
        rest(self.page)

    def wait_for_job(self, what: str) -> None:
        """Wait until the next job is done."""
        self.jobs += 1
        end = time.monotonic() + PATIENCE
        while (job := self._job()) is None or job.id < self.jobs or job.state in {"waiting", "running"}:
            assert time.monotonic() < end, what
            time.sleep(0.5)
        assert job.state == "done", f"{what}: {job.state}. {job.error}"

    def _job(self):
        return newest_job(self.project) if self.project.database.is_file() else None

    def bring_in(self, labelled: Path, pool: Path) -> None:
        """Import the examples, then the texts without labels."""
        self.page.goto(self.base)
        rest(self.page)
        self._upload(labelled)
        self.page.get_by_text("Texts without labels").first.click()
        rest(self.page)
        self._upload(pool)

    def _upload(self, path: Path) -> None:
        self.page.locator("[class*=st-key-import_upload_] input[type=file]").set_input_files(path)
        self.page.locator(".st-key-import_now button").wait_for(timeout=120_000)
        rest(self.page)
        self.look(f"import-{path.stem}")
        self.press("import_now")
        self.wait_for_job(f"import of {path.name}")
        self.page.locator(".st-key-next_step").wait_for(timeout=120_000)
        rest(self.page)

    def run_rounds(self, most: int) -> tuple[int, float]:
        """Run rounds until the estimate is high enough; return how many, and the estimate."""
        for number in range(1, MOST_ROUNDS + 1):
            self.run_round(most)
            forecast = plan(self.project)
            estimated = forecast.now if forecast else 0.0
            if estimated >= self.options.until or number == MOST_ROUNDS:
                return number, estimated
            self.feed_back()
        raise AssertionError("at least one round runs")

    def run_round(self, most: int) -> None:
        """Choose the LLM judge, cap its questions, and run a round."""
        self.go("rounds")
        self.page.locator(".st-key-judge").get_by_text("LLM judge").first.click()
        self.page.get_by_text("Connect", exact=True).wait_for()  # the panel of that judge
        rest(self.page)
        self.page.get_by_text("Settings", exact=True).click()
        field = self.page.locator(".st-key-set_recommended_most_questions input")
        field.fill(str(most))
        field.press("Enter")
        rest(self.page)
        self.look("round")
        self.press("run_round")
        self.wait_for_job("round")

    def feed_back(self) -> None:
        """Feed back what the plan on the screen names."""
        self.go("review")
        self.page.locator(".st-key-feed_back_panel button").first.click()
        self.page.locator(".st-key-feed_back button").wait_for()
        rest(self.page)
        self.look("feed-back")
        self.press("feed_back")
        self.page.locator(".st-key-feed_back").wait_for(state="detached")

    def audit(self, most: int) -> int:
        """Answer blind audits by the keyboard until the certificate is given; return how many."""
        self.go("review", review_mode="Blind audit")
        text, line = self.page.locator(".desk .text"), self.page.locator(".desk .line")
        for answered in range(most):
            if answered % 10 == 0 and summary(self.project).certificate is not None:
                return answered
            expect(line).to_contain_text(f"{answered:,} decided here", timeout=60_000)
            self._answer(text.inner_text())
        return most

    def _answer(self, text: str) -> None:
        numbers = self.page.locator(".desk .numbers button:visible")
        shown = numbers.evaluate_all("all => all.map((each) => each.lastChild.firstChild.textContent)")
        wanted = self.truth[text.replace(JOINER, "")]
        if self.rng.random() < self.options.analyst_error:
            wanted = next(name for name in shown if name != wanted)
        if wanted in shown:
            self.page.keyboard.press(str((shown.index(wanted) + 1) % 10))
            return
        self.page.keyboard.press("/")
        self.page.keyboard.type(wanted)
        self.page.keyboard.press("Enter")

    def certificate_is_on(self, screen: str) -> bool:
        """Return whether a page says exactly what the project holds."""
        self.go(screen)
        words = certificate_in_words(summary(self.project))
        return words in self.page.locator("[data-testid=stMain]").inner_text().replace(JOINER, "")

    def download(self, folder: Path) -> list[dict[str, str]]:
        """Return the rows of the CSV that Results hands out."""
        self.go("results")
        self.page.get_by_role("tab", name="Download").click()
        button: Locator = self.page.get_by_role("button", name="Download CSV")
        button.wait_for()
        rest(self.page)
        with self.page.expect_download() as caught:
            button.click()
        caught.value.save_as(folder / "labels.csv")
        with (folder / "labels.csv").open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))


def written(drawn: Draw, folder: Path) -> tuple[Path, Path]:
    """Write the examples and the texts as two files; return their paths."""
    labelled, pool = folder / f"{NAME}.csv", folder / "texts.csv"
    names = [drawn.names[label] for label in drawn.seed_labels.tolist()]
    for path, rows in (
        (labelled, [("text", "label"), *zip(drawn.seed_texts, names, strict=True)]),
        (pool, [("text",), *((text,) for text in drawn.pool_texts)]),
    ):
        with path.open("w", encoding="utf-8", newline="") as out:
            csv.writer(out).writerows(rows)
    return labelled, pool


def afternoon(drawn: Draw, options: argparse.Namespace) -> dict[str, Any]:
    """Play the afternoon in the browser; return what it took and what it gave."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, judging(drawn, options) as judge:
        place = Path(folder)
        with served(place / "workspace", options.port) as (base, page):
            project = Project(place / "workspace", NAME)
            analyst = Analyst(page, base, project, drawn, options)
            analyst.bring_in(*written(drawn, place))
            rounds, estimated = analyst.run_rounds(round(options.questions_a_round * len(drawn.truth)))
            audits_began = time.monotonic()
            audits = analyst.audit(options.most_answers)
            minutes_of_audits = (time.monotonic() - audits_began) / 60
            on_the_screen = analyst.certificate_is_on("overview")
            result = summary(project)
            given = result.certificate or result.selective
            rows = {row["text"]: row["label"] for row in analyst.download(place)}
    return {
        "labels": len(drawn.names), "texts": len(drawn.truth), "rounds": rounds, "questions": judge.asked,
        "audits": audits, "minutes": round((time.monotonic() - began) / 60, 1),
        "minutes_of_audits": round(minutes_of_audits, 1), "estimated": round(estimated, 4),
        "certified": None if given is None else given.target,
        "covers": 0.0 if given is None else round(given.texts / given.of, 3), "on_the_screen": on_the_screen,
        "true": round(float(np.mean([rows[text] == analyst.truth[text] for text in drawn.pool_texts])), 4),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--texts", type=int, default=3000)
    parser.add_argument("--shots", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--judge-tpr", type=float, default=0.95)
    parser.add_argument("--judge-tnr", type=float, default=0.95)
    parser.add_argument("--analyst-error", type=float, default=0.03)
    parser.add_argument("--questions-a-round", type=float, default=0.17, help="per text")
    parser.add_argument("--until", type=float, default=0.98, help="the estimate after which the audit begins")
    parser.add_argument("--most-answers", type=int, default=500)
    parser.add_argument("--pictures", type=Path, help="a folder for pictures of the screens")
    parser.add_argument("--port", type=int, default=8741)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "red-benchmarks")
    options = parser.parse_args()
    options.pool, options.most_texts, options.least_texts = options.texts, 10**9, options.shots + 1
    options.judge_errors, options.judge_auc, options.oos = "independent", None, None
    print(json.dumps(afternoon(draw(options.data, options.seed, options), options), indent=1))


if __name__ == "__main__":
    main()
