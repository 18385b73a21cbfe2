"""Parts labelled by the workers of a Dask cluster. Only this file imports Dask, and nothing imports this file unasked.

Dask decides who labels what, and again when a worker is lost; the predictor goes to the workers once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from itertools import islice
from uuid import uuid4

from distributed import Client, Future, as_completed
from threadpoolctl import threadpool_limits

from red_core.errors import SettingsError, StateError
from red_core.results.folder import TRIES, Outcome, Run, Shard, label_part
from red_core.results.predictor import Predictor

AT_ONCE = 1_000
"""Parts the scheduler holds at once: what the client keeps does not grow with their number."""
SECONDS_FOR_A_WORKER = 60
PACKAGE = "red-workbench"


def on_cluster(address: str) -> Run:
    """Return what labels parts on the workers of the cluster whose scheduler listens at ``address``.

    It raises StateError if nobody answers there, there is no worker, or all workers that held the predictor are lost;
    SettingsError if a worker has another version of this program.

    Parameters
    ----------
    address : str
        As Dask writes it, ``tcp://10.0.0.5:8786`` or ``tls://...``.
    """

    def run(predictor: Predictor, parts: Sequence[Shard]) -> Iterator[Outcome]:
        if not parts:
            return
        with _connected(address) as client:
            held = client.scatter(predictor, broadcast=True, hash=False)
            waiting = iter(parts)
            part_of: dict[Future, Shard] = {}
            running = as_completed(loop=client.loop)

            def submit(count: int) -> None:
                for part in islice(waiting, count):
                    key = f"label-{uuid4().hex}"  # by default equal tasks share a key, and one cancelled is not done
                    future = client.submit(_label_on_one_core, held, part, key=key, retries=TRIES - 1)
                    part_of[future] = part
                    running.add(future)

            try:
                submit(AT_ONCE)
                for future in running:
                    yield part_of.pop(future), _outcome(future, address)
                    submit(1)
            finally:
                client.cancel(list(part_of))

    return run


def _label_on_one_core(predictor: Predictor, part: Shard) -> int:
    """Label a part; a worker has as many threads as it was given cores, and each part takes one of them."""
    with threadpool_limits(1):
        return label_part(predictor, part)


def _outcome(future: Future, address: str) -> int | BaseException:
    if future.status not in {"finished", "error"}:
        raise StateError(f"{address}: all workers that held the classifiers are lost. The same command goes on.")
    error = future.exception()
    return error if error is not None else int(future.result())


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    """Yield a client with at least one worker, all of this program's version."""
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
        for worker, found in client.run(version, PACKAGE, on_error="return").items():
            if found != version(PACKAGE):
                raise SettingsError(f"worker {worker} has {PACKAGE} {found}, this is {version(PACKAGE)}. Install it.")
        yield client
