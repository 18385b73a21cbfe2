"""Put the app into the wheel, as red_workbench_app beside the package red_core; pyproject.toml has the rest."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

APP = ("app.py", "server.py", "pages", "widgets", ".streamlit/config.toml")


def app_files() -> list[Path]:
    """Return the files of the app, as paths below this folder."""
    named = [path for name in APP for path in ([Path(name)] if Path(name).is_file() else sorted(Path(name).rglob("*")))]
    return [path for path in named if path.is_file() and "__pycache__" not in path.parts]


class BuildWithApp(build_py):
    """Copies the app beside the packages; an editable install runs it where it is."""

    def run(self) -> None:
        """Build."""
        super().run()
        if not self.editable_mode:
            for path in app_files():
                target = Path(self.build_lib) / "red_workbench_app" / path
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)


setup(cmdclass={"build_py": BuildWithApp})
