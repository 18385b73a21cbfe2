"""The results of a project: the export, and labels for new texts, from a table or a folder, here or on a cluster."""

from red_core.results.exports import export
from red_core.results.predict_folder import FolderReport, is_folder, predict_folder
from red_core.results.predictor import predict

__all__ = ["FolderReport", "export", "is_folder", "predict", "predict_folder"]
