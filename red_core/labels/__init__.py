"""The label set of a project: subsets, edits, files, the map, new labels, drift."""

from red_core.labels.drift import measure_drift
from red_core.labels.edits import apply_edit, preview
from red_core.labels.file import export_label_set, read_label_set
from red_core.labels.pool_map import draw_pool_map
from red_core.labels.subsets import form_subsets

__all__ = [
    "apply_edit",
    "draw_pool_map",
    "export_label_set",
    "form_subsets",
    "measure_drift",
    "preview",
    "read_label_set",
]
