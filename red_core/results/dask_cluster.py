"""Do the parts of some work on a Dask cluster. The only module that imports Dask, and only for `--cluster`.

Dask assigns parts to workers, and assigns them again when a worker is lost. What all parts share (a predictor) is sent
to each worker once.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from itertools import islice
from typing import Any
from uuid import uuid4

from distributed import Client, Future, as_completed
from distributed.client import FutureCancelledError
from threadpoolctl import threadpool_limits

from red_core.errors import SettingsError, StateError
from red_core.training.parts import TRIES, Part, Result, Run, Shared, Work

AT_ONCE = 1_000
"""Parts that the scheduler holds at once, so that the client's memory does not grow with their number."""
SECONDS_FOR_A_WORKER = 60
PACKAGE = "red-workbench"


def on_cluster(address: str) -> Run:
    """Return a function that does parts on a cluster; see :class:`red_core.training.parts.Run`.

    The function raises StateError if no scheduler answers, there is no worker, or all workers that held what the parts
    share are lost; SettingsError if a worker has another version of this program.

    Parameters
    ----------
    address : str
        Of the scheduler, as Dask writes it: ``tcp://10.0.0.5:8786`` or ``tls://...``.
    """

    def run(
        work: Work[Shared, Part, Result], shared: Shared, parts: Iterable[Part]
    ) -> Iterator[tuple[Part, Result | BaseException]]:
        waiting = iter(parts)
        first = list(islice(waiting, AT_ONCE))
        if not first:
            return
        with _connected(address) as client:
            with _ctrl_c_held_back():
                on_workers = client.scatter(shared, broadcast=True, hash=False)
            part_of: dict[Future, Part] = {}
            running = as_completed(loop=client.loop)

            def submit(some: Iterable[Part]) -> None:
                for part in some:
                    key = f"part-{uuid4().hex}"  # not that of a cancelled part, which would not run again
                    future = client.submit(_on_one_core, work, on_workers, part, key=key, retries=TRIES - 1)
                    part_of[future] = part
                    running.add(future)

            try:
                submit(first)
                for future in running:
                    with _ctrl_c_held_back():
                        outcome = _outcome(future, address)
                    part = part_of.pop(future)
                    del future  # so that Dask forgets the result
                    yield part, outcome
                    submit(islice(waiting, 1))
            finally:
                with _ctrl_c_held_back():
                    client.cancel(list(part_of))

    return run


def _on_one_core(work: Work[Shared, Part, Result], shared: Shared, part: Part) -> Result:
    """Do a part on one core: a worker has one thread for each of its cores, and each thread does one part."""
    with threadpool_limits(1):
        return work(shared, part)


def _outcome(future: Future, address: str) -> Any:  # noqa: ANN401  distributed ships half of its types
    lost = StateError(f"{address}: all workers are lost. Start workers and run the command again.")
    if future.status not in {"finished", "error"}:
        raise lost
    try:
        error = future.exception()
        return error if error is not None else future.result()
    except FutureCancelledError as gone:  # its worker was lost before the result was fetched
        raise lost from gone


@contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Let Ctrl-C wait for the end of the block: in the first moment of a call, distributed prints a traceback."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread gets signals
        yield
        return
    pressed = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: pressed.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed.is_set():
        raise KeyboardInterrupt


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    """Yield a client whose workers, at least one, all have this version of the program."""
    try:
        client = Client(address, set_as_default=False)
    except (OSError, ValueError) as error:
        raise StateError(f"no Dask scheduler answers at {address}. Start one: `dask scheduler`.") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=SECONDS_FOR_A_WORKER)
        except TimeoutError as error:
            raise StateError(
                f"{address}: the scheduler has no workers. Start some: `dask worker {address} --nthreads 1`."
            ) from error
        for worker, installed in client.run(version, PACKAGE, on_error="return").items():
            if installed != version(PACKAGE):
                raise SettingsError(
                    f"worker {worker} has {PACKAGE} {installed}, this is {version(PACKAGE)}. Install it."
                )
        yield client
