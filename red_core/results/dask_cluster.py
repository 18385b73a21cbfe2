"""Do the parts of some work on a Dask cluster. The only module that imports Dask, and only for `--cluster`.

Dask assigns parts to workers, and assigns them again when a worker is lost. What all parts share (a predictor) is sent
to each worker once.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from itertools import islice
from typing import Any
from uuid import uuid4

from distributed import Client, Future, Security, as_completed
from distributed.client import FutureCancelledError
from distributed.comm import connect, parse_address, parse_host_port
from distributed.utils import LoopRunner
from threadpoolctl import threadpool_limits

from red_core.errors import SettingsError, StateError, one_line
from red_core.training.parts import TRIES, Part, Result, Run, Shared, Work

AT_ONCE = 1_000
"""Parts that the scheduler holds at once, so that the client's memory does not grow with their number."""
SECONDS_FOR_A_SCHEDULER, SECONDS_FOR_A_WORKER = 10, 60
"""How long the first answer, and the first worker, are waited for."""
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


async def _refuse_wrong_address(address: str) -> None:
    try:
        parse_host_port(parse_address(address, strict="://" in address)[1])
    except ValueError as error:
        raise SettingsError(
            f"{one_line(address, 80) or 'nothing'} is no address of a scheduler. Give the one that `dask scheduler` "
            "prints, such as tcp://10.0.0.5:8786."
        ) from error
    secured = Security().get_connection_args("client")
    try:
        async with asyncio.timeout(SECONDS_FOR_A_SCHEDULER + 1):  # the library's own ends no connection that is silent
            comm = await connect(address, timeout=SECONDS_FOR_A_SCHEDULER, **secured)
    except Exception as error:  # another server makes the library read anything
        raise _no_scheduler(address) from error
    await comm.close()


def _no_scheduler(address: str) -> StateError:
    return StateError(f"no Dask scheduler answers at {one_line(address, 80)}. Start one: `dask scheduler`.")


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    """Yield a client whose workers, at least one, all have this version of the program."""
    LoopRunner().run_sync(_refuse_wrong_address, address)  # a client that has failed cannot be closed in less than 60 s
    try:
        client = Client(address, set_as_default=False)
    except (OSError, ValueError) as error:
        raise _no_scheduler(address) from error
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
