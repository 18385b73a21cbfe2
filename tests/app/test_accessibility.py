"""Accessibility of every page, light and dark: axe-core finds nothing serious, and headings leave out no level."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from red_core.records import Project
from tests.helpers.browser import CHROMIUM, Server, Watched
from tests.helpers.paths import ROOT

AXE = Path(os.environ.get("AXE_CORE", ROOT / "node_modules" / "axe-core" / "axe.min.js"))
"""axe-core, which is not part of this repository: ``npm install --no-save axe-core`` puts it there."""
pytestmark = [
    pytest.mark.browser,
    pytest.mark.long,
    pytest.mark.timeout(300),
    pytest.mark.skipif(CHROMIUM is None, reason="neither chromium nor google-chrome is installed"),
    pytest.mark.skipif(not AXE.is_file(), reason="axe-core is missing: npm install --no-save axe-core"),
]
PAGES = (
    "overview", "data", "label_map", "rounds", "review", "review?review_mode=Pairs", "review?review_mode=Blind+audit",
    "results",
)  # fmt: skip
FIND = """
async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
  .filter((found) => ["serious", "critical"].includes(found.impact) || found.id === "heading-order")
  .flatMap((found) => found.nodes.map((node) => [found.id, node.html.slice(0, 160)]))
"""


def test_axe_finds_nothing_serious_on_any_page(
    in_state: Callable[..., Project], serve: Callable[..., Server], watched: Watched
) -> None:
    project = in_state("decided")
    server, found = serve(project.workspace), dict[tuple[str, str], Any]()
    for page in PAGES:
        opened = watched.open(f"{server.address}/{page}")
        opened.add_script_tag(path=AXE)
        for scheme in ("light", "dark"):
            opened.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            opened.wait_for_timeout(400)  # colours change in steps
            if violations := opened.evaluate(FIND):
                found[page, scheme] = violations
    assert found == {}
