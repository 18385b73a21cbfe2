"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path

import click

from red_core.errors import SettingsError
from red_core.training.parts import Run, run_here

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
who_option = click.option("--who", default=None, help="The name to store with this change.  [default: your login name]")
PATH = click.Path(path_type=Path)


def where_parts_run(cluster: str | None) -> Run:
    """Return what does the parts of some work: on the Dask cluster at this address, or in this process.

    Raises
    ------
    SettingsError
        If Dask is not installed.
    """
    if cluster is None:
        return run_here
    try:
        from red_core.results.dask_cluster import on_cluster  # noqa: PLC0415  Dask is an extra
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"--cluster needs the package {error.name}. Install it: `pip install -e '.[cluster]'`."
        ) from error
    return on_cluster(cluster)
