"""A small encoder in the format of sentence-transformers, and a hub on loopback that serves folders like it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

COMMIT = "0123456789abcdef0123456789abcdef01234567"
DIMENSIONS = 16


def save_tiny_encoder(folder: Path, words: list[str], seed: int = 0) -> Path:
    """Save a model that gives every word a random vector; return its folder."""
    vocabulary = {word: row for row, word in enumerate(["[UNK]", *dict.fromkeys(words)])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    weights = np.random.default_rng(seed).standard_normal((len(vocabulary), DIMENSIONS)).astype(np.float32)
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights)]).save(str(folder))
    return folder


@dataclass
class Hub:
    """What the hub serves, and the paths that were asked for."""

    folders: dict[str, Path]
    address: str = ""
    asked: list[str] = field(default_factory=list)


def _files(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file()]


def _info(name: str, folder: Path) -> dict[str, object]:
    return {"id": name, "sha": COMMIT, "siblings": [{"rfilename": file} for file in _files(folder)]}


def _tree(folder: Path) -> list[dict[str, object]]:
    sizes = {file: (folder / file).stat().st_size for file in _files(folder)}
    return [{"type": "file", "path": file, "size": size, "oid": COMMIT} for file, size in sizes.items()]


@contextmanager
def hub_of(folders: dict[str, Path]) -> Iterator[Hub]:
    """Serve folders as models of a hub."""
    hub = Hub(folders)

    class Handler(BaseHTTPRequestHandler):
        def _answer(self, *, body: bool) -> None:
            hub.asked.append(self.path)
            owner, name, *rest = self.path.split("?")[0].removeprefix("/api/models").strip("/").split("/")
            folder = hub.folders.get(f"{owner}/{name}")
            if folder is None:
                self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, body=body)
            elif self.path.startswith("/api/models"):
                facts = _tree(folder) if rest[:1] == ["tree"] else _info(f"{owner}/{name}", folder)
                self._send(200, json.dumps(facts).encode(), {"Content-Type": "application/json"}, body=body)
            else:
                content = (folder / Path(*rest[2:])).read_bytes()
                tag = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
                self._send(200, content, tag, body=body)

        def _send(self, status: int, content: bytes, headers: dict[str, str], *, body: bool) -> None:
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(content))}).items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
