"""What leaves a project: the export, labels for new texts, folders of files, a cluster."""

from red_core.results.exports import export
from red_core.results.folder import FolderReport, is_folder, predict_folder
from red_core.results.predictor import predict

__all__ = ["FolderReport", "export", "is_folder", "predict", "predict_folder"]
