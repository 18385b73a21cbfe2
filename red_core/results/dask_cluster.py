"""Label shards on a Dask cluster. The only module that imports Dask; it is imported only for `--cluster`.

Dask assigns shards to workers, and assigns them again when a worker is lost. Each worker gets the predictor once.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from itertools import islice
from uuid import uuid4

from distributed import Client, Future, as_completed
from threadpoolctl import threadpool_limits

from red_core.errors import SettingsError, StateError
from red_core.results.predict_folder import TRIES, Outcome, Run
from red_core.results.predict_shard import Shard, label_shard
from red_core.results.predictor import Predictor

AT_ONCE = 1_000
"""Shards that the scheduler holds at once, so that the client's memory does not grow with their number."""
SECONDS_FOR_A_WORKER = 60
PACKAGE = "red-workbench"


def on_cluster(address: str) -> Run:
    """Return a function that labels shards on a cluster; see :data:`red_core.results.predict_folder.Run`.

    The function raises StateError if no scheduler answers, there is no worker, or all workers that held the predictor
    are lost; SettingsError if a worker has another version of this program.

    Parameters
    ----------
    address : str
        Of the scheduler, as Dask writes it: ``tcp://10.0.0.5:8786`` or ``tls://...``.
    """

    def run(predictor: Predictor, shards: Sequence[Shard]) -> Iterator[Outcome]:
        if not shards:
            return
        with _connected(address) as client:
            with _ctrl_c_held_back():
                predictor_on_workers = client.scatter(predictor, broadcast=True, hash=False)
            waiting = iter(shards)
            shard_of: dict[Future, Shard] = {}
            running = as_completed(loop=client.loop)

            def submit(count: int) -> None:
                for shard in islice(waiting, count):
                    key = (
                        f"label-{uuid4().hex}"  # equal tasks would share a key, and a cancelled one would not run again
                    )
                    future = client.submit(_label_on_one_core, predictor_on_workers, shard, key=key, retries=TRIES - 1)
                    shard_of[future] = shard
                    running.add(future)

            try:
                submit(AT_ONCE)
                for future in running:
                    with _ctrl_c_held_back():
                        outcome = _outcome(future, address)
                    yield shard_of.pop(future), outcome
                    submit(1)
            finally:
                with _ctrl_c_held_back():
                    client.cancel(list(shard_of))

    return run


def _label_on_one_core(predictor: Predictor, shard: Shard) -> int:
    """Label a shard on one core: a worker has one thread for each of its cores, and each thread labels one shard."""
    with threadpool_limits(1):
        return label_shard(predictor, shard)


def _outcome(future: Future, address: str) -> int | BaseException:
    if future.status not in {"finished", "error"}:
        raise StateError(f"{address}: all workers that held the classifiers are lost. Start workers and run it again.")
    error = future.exception()
    return error if error is not None else int(future.result())


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
