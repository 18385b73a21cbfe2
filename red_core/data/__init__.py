"""Files in and out of a project: import, restored decisions, backups, the demo."""

from red_core.data.backup import back_up, restore
from red_core.data.decisions_import import restore_decisions
from red_core.data.demo import make_demo
from red_core.data.importing import import_files, write_left_out

__all__ = ["back_up", "import_files", "make_demo", "restore", "restore_decisions", "write_left_out"]
