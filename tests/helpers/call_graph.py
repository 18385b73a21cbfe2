"""The call graph of red_core by name, to find every function that writes, directly or through others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.helpers.paths import ROOT

WRITES_SQL = re.compile(r"\b(INSERT|UPDATE|DELETE|REPLACE|CREATE|DROP|ALTER|VACUUM)\b")
WRITERS = {
    "red_core.store.database.transaction",
    "red_core.store.database.create_project",
    "red_core.store.arrays.save_arrays",
    "red_core.access.secrets_file.keep_in_table",
}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(tree: ast.AST) -> dict[str, str]:
    """Return the full name of each imported name."""
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return known


FACES = {
    f"red_core.{face.parent.name}.{name}": origin
    for face in (ROOT / "red_core").glob("*/__init__.py")
    for name, origin in imports_of(ast.parse(face.read_text("utf-8"))).items()
}
"""The full name of every name that a room exports."""


def functions_of(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Yield the name and the node of every function and class at the top of a module."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node


def names_used(node: ast.AST, module: str, known: dict[str, str]) -> set[str]:
    """Return every function of red_core that is named inside a node, called or passed on."""
    used = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            used.add(known.get(inner.id, f"{module}.{inner.id}"))
        elif isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name) and inner.value.id in known:
            used.add(f"{known[inner.value.id]}.{inner.attr}")
    return {FACES.get(name, name) for name in used if name.startswith("red_core.")}


def that_write() -> set[str]:
    """Return every function and class of red_core that may store something."""
    uses: dict[str, set[str]] = {}
    writers = set(WRITERS)
    for path in sorted((ROOT / "red_core").rglob("*.py")):
        tree, module = ast.parse(path.read_text("utf-8")), module_of(path)
        known = imports_of(tree)
        for name, node in functions_of(tree):
            uses[f"{module}.{name}"] = names_used(node, module, known)
            constants = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
            if "store" in path.parts and any(isinstance(part, str) and WRITES_SQL.search(part) for part in constants):
                writers.add(f"{module}.{name}")
    while more := {name for name, used in uses.items() if name not in writers and used & writers}:
        writers |= more
    return writers


def used_by_screens() -> set[str]:
    """Return every name of red_core that app.py, a page or a widget uses."""
    used: set[str] = set()
    for path in [ROOT / "app.py", *sorted((ROOT / "pages").glob("*.py")), *sorted((ROOT / "widgets").rglob("*.py"))]:
        tree = ast.parse(path.read_text("utf-8"))
        used |= names_used(tree, module_of(path), imports_of(tree))
    return used
