"""A folder labelled on a real Dask cluster: a scheduler and two worker processes, over TCP on loopback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from red_core.cli import main
from red_core.data.importing import import_files
from red_core.errors import SettingsError, StateError
from red_core.records import Project
from red_core.results.predict_folder import predict_folder
from red_core.rounds.embed import embed_texts
from red_core.rounds.run import run_round
from red_core.settings import DEFAULT_MODEL
from red_core.store.database import open_project
from red_core.store.texts import ENCODER, remember
from red_core.store.vectors import damaged_vectors, load_vectors, with_vector
from red_core.training import embeddings, features
from tests.helpers import small_parts
from tests.helpers.paths import ROOT
from tests.helpers.small_parts import COUNT, ROWS, first_text, outputs, seen, write_parts
from tests.helpers.small_projects import EMBEDDING, FAST, fake_encode, pool_rows, seed_rows, small_project, write_csv

leaf = pytest.importorskip("red_core.results.dask_cluster", reason="the extra `cluster` is not installed")

RED = Path(sys.executable).with_name("red")


class Cluster:
    """A scheduler and its workers, stopped by their process ids."""

    def __init__(self, scheduler_file: Path, log: Path, stack: ExitStack, *, preload: bool) -> None:
        self.file, self.log, self.stack = scheduler_file, log, stack
        self.preload = ["--preload", str(ROOT / "tests/helpers/small_parts.py")] if preload else []
        self._start("dask_scheduler", "--port", "0")
        wait_for(lambda: scheduler_file.is_file() and scheduler_file.read_text("utf-8").endswith("}"))
        self.address = json.loads(scheduler_file.read_text("utf-8"))["address"]
        assert self.address.startswith("tcp://127.0.0.1:")

    def add_worker(self, seconds: float = 0.0, python_path: str = str(ROOT)) -> subprocess.Popen[bytes]:
        """Start a worker whose encoder takes ``seconds`` for each file."""
        options = ["--nthreads", "1", "--no-nanny", *self.preload, "--local-directory", str(self.file.parent)]
        return self._start("dask_worker", *options, **{small_parts.SECONDS: str(seconds), "PYTHONPATH": python_path})

    def _start(self, what: str, *options: str, **environment: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{what}", "--scheduler-file", str(self.file)]
        command += ["--host", "127.0.0.1", "--no-dashboard", *options]
        env = os.environ | {small_parts.LOG: str(self.log)} | environment
        with (self.file.parent / "dask.log").open("ab") as log:
            process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        self.stack.callback(process.wait, 30)
        self.stack.callback(process.kill)
        return process


def wait_for(there: Callable[[], Any], seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.02)


@contextmanager
def running_cluster(folder: Path, log: Path, *, preload: bool = True) -> Iterator[Cluster]:
    folder.mkdir()
    with ExitStack() as stack:
        yield Cluster(folder / "scheduler.json", log, stack, preload=preload)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "encode", fake_encode)
        project = small_project(tmp_path_factory.mktemp("once") / "workspace")
        run_round(project, FAST.model_copy(update={"lexical_dimensions": 8, "neighbour_weights": (1.0,)}))
    return project


@pytest.fixture
def fitted(once: Project, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(features, "encode", small_parts.encode)
    monkeypatch.setenv(small_parts.LOG, str(tmp_path / "here"))
    shutil.copytree(once.folder, workspace / once.name)
    write_parts(tmp_path / "in")
    return Project(workspace, once.name)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with running_cluster(tmp_path / "dask", tmp_path / "log") as made:
        yield made


def on(cluster: Cluster) -> Any:
    return leaf.on_cluster(cluster.address)


def check_same_as_here(project: Project, tmp_path: Path, out: Path) -> None:
    predict_folder(project, str(tmp_path / "in"), str(tmp_path / "here-out"))
    here, there = outputs(tmp_path / "here-out"), outputs(out)
    assert list(here) == list(there)
    for name, table in here.items():
        for column in table.column_names:
            if "belief" not in column:
                assert there[name][column].equals(table[column]), (name, column)
            else:
                wanted = np.array(table[column].drop_null())
                assert np.array(there[name][column].drop_null()) == pytest.approx(wanted, abs=2e-5)


def test_a_worker_killed_in_mid_run_changes_nothing(fitted, cluster, tmp_path):
    out, killed = tmp_path / "out", []
    workers = [cluster.add_worker(seconds=0.4) for _ in range(2)]
    stood: dict[Path, int] = {}

    def kill_one(_stage: str, done: int, _total: int) -> None:
        if done >= 3 and not killed:
            wait_for(lambda: len(seen(cluster.log)) > done)  # a worker has begun
            at_work = [int(line.split()[0]) for line in cluster.log.read_text("utf-8").splitlines()]
            victim = next(worker for worker in workers if worker.pid == at_work[-1])
            stood.update({path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")})
            os.kill(victim.pid, signal.SIGKILL)
            killed.append(victim.pid)

    done = predict_folder(fitted, str(tmp_path / "in"), str(out), report=kill_one, run=on(cluster))
    assert killed
    assert (done.parts, done.rows, done.failed) == (COUNT, COUNT * ROWS, ())
    begun = seen(cluster.log)
    again = [text for text in set(begun) if begun.count(text) > 1]
    assert len(again) <= 1  # the killed worker's file
    assert set(begun) == {first_text(part) for part in range(COUNT)}
    assert {path: path.stat().st_mtime_ns for path in stood} == stood  # no finished file was labelled again
    assert len(stood) >= 3
    assert not {first_text(int(path.stem[-3:])) for path in stood} & set(again)
    check_same_as_here(fitted, tmp_path, out)
    (tmp_path / "log").unlink()
    assert predict_folder(fitted, str(tmp_path / "in"), str(out), run=on(cluster)).done_before == COUNT
    assert seen(cluster.log) == []


def test_a_worker_killed_while_embedding_changes_no_bit(fitted, cluster, monkeypatch):
    monkeypatch.setattr(embeddings, "TEXTS_PER_BLOCK", 8)
    remember(fitted, ENCODER, "elsewhere", anew=True)
    workers, killed = [cluster.add_worker(seconds=0.2) for _ in range(2)], []

    def kill_one(_stage: str, done: int, _total: int) -> None:
        assert len(with_vector(fitted, "elsewhere")) == done  # whole blocks
        if done >= 24 and not killed:
            at_work = [int(line.split()[0]) for line in cluster.log.read_text("utf-8").splitlines()]
            os.kill(next(worker.pid for worker in workers if worker.pid == at_work[-1]), signal.SIGKILL)
            killed.append(at_work[-1])

    done = embed_texts(fitted, kill_one, on(cluster))
    ids = with_vector(fitted, "elsewhere")
    assert killed
    assert done == len(ids) == len(with_vector(fitted, EMBEDDING))
    assert np.array_equal(load_vectors(fitted, "elsewhere", ids), load_vectors(fitted, EMBEDDING, ids))
    assert damaged_vectors(fitted) == {}
    begun = seen(cluster.log)
    assert len(begun) - len(set(begun)) <= 2  # the block it was at, and one whose vectors were not fetched yet
    shown = CliRunner().invoke(
        main, ["--workspace", str(fitted.workspace), "embed", fitted.name, "--cluster", cluster.address, "--json"]
    )
    assert json.loads(shown.stdout) == {"project": fitted.name, "embedded": 0}


@pytest.mark.usefixtures("fitted")
def test_a_file_that_fails_three_times_is_reported_and_the_rest_is_done(cluster, tmp_path, workspace):
    (tmp_path / "in" / "part-002.parquet").write_bytes(b"PAR1 no parquet PAR1")
    pq.write_table(pa.table({"body": [f"{small_parts.EXPLODES} now"]}), tmp_path / "in" / "part-004.parquet")
    cluster.add_worker()
    cluster.add_worker()
    words = ["--workspace", str(workspace), "predict", "small", str(tmp_path / "in"), str(tmp_path / "out")]
    shown = CliRunner().invoke(main, [*words, "--cluster", cluster.address, "--json"])
    assert shown.exit_code == 1
    printed = json.loads(shown.stdout)
    assert (printed["parts"], printed["done_before"], printed["rows"]) == (COUNT, 0, (COUNT - 2) * ROWS)
    reasons = {Path(file).name: reason for file, reason in printed["failed"]}
    assert reasons["part-004.parquet"] == "the encoder exploded"
    assert "cannot be read as Parquet" in reasons["part-002.parquet"]
    *lines, last = shown.stderr.splitlines()
    assert [line for line in lines if "part-004.parquet: failed 3 times; last error: the encoder exploded" in line]
    assert last == "Error: 2 of 12 files failed. Run the command again to retry them."
    assert seen(cluster.log).count(f"{small_parts.EXPLODES} now") == 3
    assert len(outputs(tmp_path / "out")) == COUNT - 2


def test_ctrl_c_keeps_what_is_finished_and_the_same_command_goes_on(fitted, cluster, tmp_path, workspace):
    cluster.add_worker(seconds=0.5)
    out = tmp_path / "out"
    command = [str(RED), "--workspace", str(workspace), "predict", "small", str(tmp_path / "in"), str(out)]
    command += ["--cluster", cluster.address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        wait_for(lambda: len(list(out.rglob("*.parquet"))) >= 2)
        running.send_signal(signal.SIGINT)
        _, error = running.communicate(timeout=120)
    assert running.returncode == 1
    assert "Error: cancelled: " in error
    assert "Traceback" not in error
    time.sleep(1.2)  # in which the worker could begin another file
    wait_for(lambda: len(list(out.rglob("*.parquet"))) == len(seen(cluster.log)))  # it finishes the one it began
    finished = len(list(out.rglob("*.parquet")))
    assert 2 <= finished < COUNT
    assert len(seen(cluster.log)) == finished
    result = predict_folder(fitted, str(tmp_path / "in"), str(out), run=on(cluster))
    assert (result.rows, result.done_before) == (COUNT * ROWS, finished)
    assert len(seen(cluster.log)) == COUNT
    check_same_as_here(fitted, tmp_path, out)


def test_ctrl_c_within_a_call_of_the_cluster_waits_for_the_end_of_the_call():
    finished = []

    def call():
        with leaf._ctrl_c_held_back():
            signal.raise_signal(signal.SIGINT)
            finished.append(True)

    with pytest.raises(KeyboardInterrupt):
        call()
    assert finished
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_when_all_workers_are_lost_the_run_ends_in_one_line(fitted, cluster, tmp_path):
    workers = [cluster.add_worker(seconds=0.4) for _ in range(2)]

    def kill_all(_stage: str, done: int, _total: int) -> None:
        if done == 2:
            for worker in workers:
                worker.kill()

    with pytest.raises(StateError, match=r"all workers are lost\. Start workers"):
        predict_folder(fitted, str(tmp_path / "in"), str(tmp_path / "out"), report=kill_all, run=on(cluster))
    cluster.add_worker()
    done = predict_folder(fitted, str(tmp_path / "in"), str(tmp_path / "out"), run=on(cluster))
    assert done.done_before >= 2
    assert done.rows == COUNT * ROWS


def test_nobody_at_the_address_and_no_worker_are_told_in_one_line(fitted, cluster, tmp_path, monkeypatch):
    folders = str(tmp_path / "in"), str(tmp_path / "out")
    monkeypatch.setattr(leaf, "SECONDS_FOR_A_WORKER", 0.2)
    with pytest.raises(StateError, match=r"has no workers\. Start some: `dask worker tcp://127"):
        predict_folder(fitted, *folders, run=on(cluster))
    monkeypatch.setattr(leaf, "SECONDS_FOR_A_SCHEDULER", 0.5)
    with pytest.raises(StateError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9\. Start one"):
        predict_folder(fitted, *folders, run=leaf.on_cluster("tcp://127.0.0.1:9"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("address", ["", "nowhere", "tcp://host", "tcp://[::1", "tcp://127.0.0.1:8786/x", "inproc://x"])
def test_what_is_no_address_is_refused_at_once(address):
    with pytest.raises(SettingsError, match="is no address of a scheduler"):
        next(iter(leaf.on_cluster(address)(divmod, 7, [2])))


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_a_server_that_is_no_scheduler_is_told_in_one_line_and_nothing_hangs(says, monkeypatch):
    monkeypatch.setattr(leaf, "SECONDS_FOR_A_SCHEDULER", 0.2)
    over = threading.Event()

    def answer() -> None:
        with listening.accept()[0] as connection:
            connection.sendall(says)
            over.wait(20)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        answers = threading.Thread(target=answer, daemon=True)
        answers.start()
        start = time.monotonic()
        with pytest.raises(StateError, match="no Dask scheduler answers at tcp://127"):
            next(iter(leaf.on_cluster(f"tcp://127.0.0.1:{listening.getsockname()[1]}")(divmod, 7, [2])))
        assert time.monotonic() - start < 10
        over.set()
        answers.join(10)


def test_a_file_is_not_labelled_on_a_cluster(fitted, tmp_path):
    (tmp_path / "one.csv").write_text("text\na\n")
    words = ["--workspace", str(fitted.workspace), "predict", fitted.name, str(tmp_path / "one.csv"), "out"]
    shown = CliRunner().invoke(main, [*words, "--cluster", "tcp://127.0.0.1:9"])
    assert shown.exit_code == 1
    assert shown.stderr.endswith("and not one file. Leave out --cluster\n")


def test_a_worker_of_another_version_is_refused(fitted, cluster, tmp_path):
    about = tmp_path / "old" / "red_workbench-0.0.1.dist-info" / "METADATA"
    about.parent.mkdir(parents=True)
    about.write_text("Metadata-Version: 2.1\nName: red-workbench\nVersion: 0.0.1\n", "utf-8")
    cluster.add_worker(python_path=f"{tmp_path / 'old'}{os.pathsep}{ROOT}")
    with pytest.raises(SettingsError, match=r"worker tcp://127\.0\.0\.1:\d+ has red-workbench 0\.0\.1, this is "):
        predict_folder(fitted, str(tmp_path / "in"), str(tmp_path / "out"), run=on(cluster))


@pytest.mark.usefixtures("fitted")
def test_without_the_extra_the_option_says_what_to_install(workspace, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "red_core.results.dask_cluster", raising=False)
    monkeypatch.setitem(sys.modules, "distributed", None)
    words = ["--workspace", str(workspace), "predict", "small", str(tmp_path / "in"), str(tmp_path / "out")]
    shown = CliRunner().invoke(main, [*words, "--cluster", "tcp://127.0.0.1:9"])
    assert (shown.exit_code, shown.stdout) == (1, "")
    assert (
        shown.stderr == "Error: --cluster needs the package distributed. Install it: `pip install -e '.[cluster]'`.\n"
    )


@pytest.mark.long
def test_with_the_real_embedding_model_workers_give_the_labels_given_here(workspace, tmp_path):
    folder = tmp_path / "files"
    import_files(
        workspace, "real",
        write_csv(folder / "seeds.csv", ["text", "label"], seed_rows()),
        write_csv(folder / "pool.csv", ["text"], [[text] for text, _ in pool_rows()]),
    )  # fmt: skip
    project = open_project(workspace, "real")
    run_round(project, FAST.model_copy(update={"lexical_dimensions": 8, "neighbour_weights": (1.0,)}))
    write_parts(tmp_path / "in")
    with running_cluster(tmp_path / "dask", tmp_path / "log", preload=False) as cluster:
        cluster.add_worker()
        cluster.add_worker()
        result = predict_folder(project, str(tmp_path / "in"), str(tmp_path / "out"), run=on(cluster))
        import_files(workspace, "again", str(folder / "seeds.csv"), str(folder / "pool.csv"))
        again = open_project(workspace, "again")
        embed_texts(again, lambda *_: None, on(cluster))
    assert (result.rows, result.failed) == (COUNT * ROWS, ())
    check_same_as_here(project, tmp_path, tmp_path / "out")
    ids = with_vector(project, DEFAULT_MODEL)
    assert np.array_equal(load_vectors(project, DEFAULT_MODEL, ids), load_vectors(again, DEFAULT_MODEL, ids))
