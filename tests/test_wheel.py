"""The wheel: what is in it, and that the app and a model run from it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest

from red_core.takeaway import RedClassifier
from tests.helpers.paths import ROOT
from tests.helpers.small_projects import FAST, pool_rows, seed_rows

SOURCES = ["red_core", "pages", "widgets", ".streamlit/config.toml", "app.py", "server.py", "setup.py"]
SOURCES += ["pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"]
NOT_SHIPPED = shutil.ignore_patterns("__pycache__", "*.egg-info", "secrets.toml")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what is built: a build writes beside its sources."""
    source = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        target = source / name
        target.parent.mkdir(exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=NOT_SHIPPED)
        else:
            shutil.copy(ROOT / name, target)
    return source


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("built")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", str(built), str(source)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = built.glob("*.whl")
    return made


def shipped(*names: str) -> set[str]:
    """Return the files of the repository below these names."""
    files = [path for name in names for path in [ROOT / name, *(ROOT / name).rglob("*")] if path.is_file()]
    return {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts}


def test_the_wheel_has_the_core_and_the_app_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    app = shipped("app.py", "server.py", "pages", "widgets", ".streamlit/config.toml")
    assert names == shipped("red_core") | {f"red_workbench_app/{name}" for name in app}


def test_the_source_archive_has_every_file_of_the_wheel(wheel, source, tmp_path):
    build = f"from setuptools import build_meta; build_meta.build_sdist({str(tmp_path)!r})"
    done = subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = tmp_path.glob("*.tar.gz")
    shutil.unpack_archive(made, tmp_path / "archive", filter="data")
    (top,) = (tmp_path / "archive").iterdir()
    kept = {path.relative_to(top).as_posix() for path in top.rglob("*")}
    with zipfile.ZipFile(wheel) as installed:
        shipped_files = {name for name in installed.namelist() if ".dist-info/" not in name}
    assert {name.removeprefix("red_workbench_app/") for name in shipped_files} - kept == set()
    assert not [name for name in kept if "__pycache__" in name]


def test_without_an_extra_only_what_a_model_needs_is_installed(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        lines = archive.read(metadata).decode().splitlines()
    needed = {
        line.split()[1].split(">")[0] for line in lines if line.startswith("Requires-Dist") and "extra" not in line
    }
    assert not needed & {"streamlit", "pandas", "pyarrow", "openai", "plotly", "fastapi", "umap-learn"}
    assert {"numpy", "scikit-learn", "safetensors", "sentence-transformers"} <= needed


@pytest.mark.long
def test_the_app_starts_from_the_wheel_in_any_folder(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    (tmp_path / "elsewhere").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = "from red_core.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "serve", "--port", str(port)],
        cwd=tmp_path / "elsewhere", env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
        stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        answers(f"http://127.0.0.1:{port}/_stcore/health", process)  # it answers after it has imported every module
        running = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode().split("\0")
        assert str(tmp_path / "site" / "red_workbench_app" / "server.py") in running
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def answers(address: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers."""
    end = time.monotonic() + 120
    while True:
        assert process.poll() is None, process.stderr.read().decode()
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310  loopback
                assert answer.status == 200
                return
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.2)


PREDICTS = """
import importlib.util, sys
from red_core import RedClassifier
model = RedClassifier.from_folder(sys.argv[1])
print(model.predict(["refund please, case number 99"])[0], importlib.util.find_spec("streamlit"))
"""


@pytest.mark.long
@pytest.mark.timeout(3600)  # it installs everything anew
def test_an_empty_environment_predicts_and_then_runs_the_app(wheel, tmp_path):
    settings = {"subset_size": 2, "noise_rows": 50, "calibration_folds": 2, "alike_partitions": FAST.alike_partitions}
    texts, labels = zip(*seed_rows(), strict=True)
    model = RedClassifier(settings=settings).fit(texts, labels, unlabeled=[text for text, _ in pool_rows()])
    model.to_folder(tmp_path / "model")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    commands = tmp_path / "venv" / "bin"

    def run(*command: str | Path) -> str:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    run(commands / "pip", "install", "-c", str(ROOT / "constraints.txt"), str(wheel))
    assert run(commands / "python", "-c", PREDICTS, "model") == "refund None"
    refused = subprocess.run(
        [commands / "red", "status", "x"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "pip install 'red-workbench[app]'" in refused.stderr
    run(commands / "pip", "install", "-c", str(ROOT / "constraints.txt"), f"{wheel}[app]")
    run(commands / "red", "demo", "--no-serve")
    run(commands / "red", "round", "demo")
    run(commands / "red", "export-model", "demo", "taken")
    assert sorted(path.name for path in (tmp_path / "taken").iterdir())[:2] == ["README.md", "SHA256SUMS"]
