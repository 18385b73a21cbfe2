"""label_map."""

from widgets.shell import current_project, inside_the_shell

inside_the_shell()
project = current_project()
