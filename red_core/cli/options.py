"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
who_option = click.option("--who", default=None, help="The name to store with this change.  [default: your login name]")
PATH = click.Path(path_type=Path)
