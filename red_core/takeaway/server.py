"""Serve a model folder over HTTP: ``red serve-model``. Nothing imports this file except that verb.

Requests that arrive together are labelled together. ``/docs`` shows the OpenAPI description.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Annotated, Any

import numpy as np
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from red_core.errors import InputError, one_line
from red_core.takeaway.classifier import RedClassifier, usable_texts
from red_core.takeaway.contents import NO_LABEL
from red_core.text import LONGEST_TEXT

MOST_BYTES, MOST_TEXTS, MOST_WAITING = 4_000_000, 256, 256
"""Of one request: bytes of its body, and texts. MOST_WAITING requests wait; others get 503."""
BATCH = 64
"""Texts that are labelled together, if so many wait."""
SECONDS_FOR_A_BODY = 30.0
"""How long the body of a request may take to arrive."""


class Texts(BaseModel):
    """What to label."""

    model_config = ConfigDict(extra="forbid", strict=True)
    texts: Annotated[list[Annotated[str, Field(max_length=LONGEST_TEXT)]], Field(min_length=1, max_length=MOST_TEXTS)]


class Labelled(BaseModel):
    """The label of a text with its confidence, the next best label, and the confidence in *none of these*.

    A path has the groups of the label, from the top; it is empty for a label in no group.
    """

    label: str | int
    path: tuple[str, ...]
    confidence: float
    runner_up: str | int
    runner_up_path: tuple[str, ...]
    runner_up_confidence: float
    none_of_these: float
    """0 if the model does not give this answer."""


class Refusal(BaseModel):
    """Why a request was not answered, in one line."""

    detail: str


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return how the OpenAPI description names the statuses of refusals."""
    return {status: {"model": Refusal, "description": _REFUSALS[status]} for status in statuses}


_REFUSALS = {
    400: "The body cannot be read: it is no UTF-8, or nested too deeply",
    401: "The token is missing or wrong",
    408: f"The body did not arrive within {SECONDS_FOR_A_BODY:g} seconds",
    413: f"The body has more than {MOST_BYTES:,} bytes",
    422: "The body cannot be used, or a text of it",
    500: "The model failed on this request",
    503: "Too many requests wait",
}


class Batcher:
    """Labels texts in one thread. Requests that wait together form one batch."""

    def __init__(self, model: RedClassifier) -> None:
        self._model = model
        self._paths = {label.name: label.path for label in model.contents_.labels}
        self._waiting: asyncio.Queue[tuple[list[str], asyncio.Future[list[Labelled]]]] = asyncio.Queue(MOST_WAITING)
        self._thread = ThreadPoolExecutor(1)

    async def label(self, texts: list[str]) -> list[Labelled]:
        """Return the labels of texts.

        Raises
        ------
        asyncio.QueueFull
            If too many requests wait.
        """
        answer: asyncio.Future[list[Labelled]] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((texts, answer))
        return await answer

    async def work(self) -> None:
        """Label what waits, until cancelled."""
        while True:
            batch = [await self._waiting.get()]
            while not self._waiting.empty() and sum(len(texts) for texts, _ in batch) < BATCH:
                batch.append(self._waiting.get_nowait())
            together = [text for texts, _ in batch for text in texts]
            try:
                labels = await asyncio.get_running_loop().run_in_executor(self._thread, self._labels, together)
            except Exception as error:  # noqa: BLE001  each waiting request answers 500, and the next batch goes on
                for _, answer in batch:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for texts, answer in batch:
                own, labels = labels[: len(texts)], labels[len(texts) :]
                if not answer.done():  # the client has gone
                    answer.set_result(own)

    def _labels(self, texts: list[str]) -> list[Labelled]:
        shares, classes = self._model.predict_proba(texts), self._model.classes_.tolist()
        none = NO_LABEL[self._model.contents_.label_type]
        column = classes.index(none) if self._model.contents_.none_of_these else None
        best = np.argsort(-shares, axis=1, kind="stable")[:, :2]
        return [
            Labelled(
                label=classes[first], path=self._paths.get(str(classes[first]), ()),
                confidence=round(float(row[first]), 5),
                runner_up=classes[second], runner_up_path=self._paths.get(str(classes[second]), ()),
                runner_up_confidence=round(float(row[second]), 5),
                none_of_these=0.0 if column is None else round(float(row[column]), 5),
            )
            for row, (first, second) in zip(shares, best.tolist(), strict=True)
        ]  # fmt: skip


def make_app(model: RedClassifier, token: str = "") -> FastAPI:
    """Return the service of a model; with a token, requests need ``Authorization: Bearer TOKEN``, except /health."""
    batcher = Batcher(model)

    @asynccontextmanager
    async def working(_app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(batcher.work())
        yield
        task.cancel()

    app = FastAPI(title="R.E.D. classifier", version="1", lifespan=working, redoc_url=None)
    described = [Depends(HTTPBearer(auto_error=False))] if token else []  # for the description: Doorkeeper checks it
    of_token = [401] if token else []

    @app.post("/predict", dependencies=described, responses=_refusals(400, *of_token, 408, 413, 422, 500, 503))
    async def predict(asked: Texts) -> list[Labelled]:
        """Return the label of each text, in their order."""
        try:
            return await batcher.label(usable_texts(asked.texts))
        except InputError as error:
            raise HTTPException(422, str(error)) from error
        except asyncio.QueueFull as error:
            raise HTTPException(503, "too many requests wait. Try again later.") from error

    @app.get("/labels", dependencies=described, responses=_refusals(*of_token))
    async def labels() -> list[dict[str, str | tuple[str, ...]]]:
        """Return the name, the meaning and the groups of every label."""
        known = model.contents_.labels
        return [{"name": label.name, "meaning": label.meaning, "path": label.path} for label in known]

    @app.get("/health")
    async def health() -> dict[str, Any]:
        """Return that the service works, and the number of labels."""
        return {"ok": True, "labels": len(model.contents_.labels)}

    @app.exception_handler(RequestValidationError)
    async def refused(request: Request, error: RequestValidationError) -> JSONResponse:
        if "json" not in request.headers.get("content-type", "").casefold():
            return JSONResponse({"detail": "send JSON, with the header Content-Type: application/json"}, 422)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return JSONResponse({"detail": one_line(f"{where}: {first['msg']}")}, 422)

    @app.exception_handler(Exception)
    async def failed(_request: Request, _error: Exception) -> JSONResponse:
        return JSONResponse({"detail": "the service failed on this request. Its log has the reason."}, 500)

    app.add_middleware(Doorkeeper, token=token)
    return app


class Doorkeeper:
    """Refuses a request without the token, and a body that is too large, before anything reads it."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        scheme, _, given = headers.get("authorization", "").partition(" ")
        fits = scheme.casefold() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token)
        if self._token and scope["path"] != "/health" and not fits:
            refusal = JSONResponse({"detail": "the token is missing or wrong"}, 401, {"WWW-Authenticate": "Bearer"})
            await refusal(scope, receive, send)
            return
        try:
            async with asyncio.timeout(SECONDS_FOR_A_BODY):
                body = await _body(receive)
        except TimeoutError:
            await JSONResponse({"detail": "the body did not arrive in time"}, 408)(scope, receive, send)
            return
        if body is None:  # the client has gone
            return
        if len(body) > MOST_BYTES:
            await JSONResponse({"detail": f"more than {MOST_BYTES:,} bytes"}, 413)(scope, receive, send)
            return
        sent = False

        async def again() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, again, send)


async def _body(receive: Receive) -> bytes | None:
    """Return the body of a request, cut after more than MOST_BYTES; None if the client hung up before its end."""
    body, more = bytearray(), True
    while more and len(body) <= MOST_BYTES:  # uvicorn has already limited the headers
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)
