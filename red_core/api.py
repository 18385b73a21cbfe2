"""The public names, which ``red_core`` hands on: the verbs of the command line as functions; docs/api.md shows them."""

from red_core.data import import_files, make_demo
from red_core.errors import (
    Cancelled,
    EmbeddingError,
    InputError,
    JudgeError,
    ProjectError,
    RedError,
    SettingsError,
    StateError,
    StoreError,
)
from red_core.judges import Judge, SelfTest, judge_check, write_meanings
from red_core.records import NONE_OF_THESE, Answer, JudgeRates, Label, Project, Question, Round
from red_core.results import FolderReport, export, predict, predict_folder
from red_core.review import FeedBackPlan, Provenance, decide, feed_back, plan_feed_back, undo
from red_core.rounds import prepare, run_round
from red_core.rounds import project_status as status
from red_core.settings import ARTICLE, PRESETS, RECOMMENDED, Settings, make_settings
from red_core.store.database import open_project, project_names
from red_core.store.decisions import roll_back
from red_core.store.labels import list_labels
from red_core.store.rounds import close_round, list_rounds
from red_core.store.texts import pool
from red_core.takeaway import RedClassifier
from red_core.takeaway.export_model import ExportedModel, export_model

__all__ = [
    "ARTICLE",
    "NONE_OF_THESE",
    "PRESETS",
    "RECOMMENDED",
    "Answer",
    "Cancelled",
    "EmbeddingError",
    "ExportedModel",
    "FeedBackPlan",
    "FolderReport",
    "InputError",
    "Judge",
    "JudgeError",
    "JudgeRates",
    "Label",
    "Project",
    "ProjectError",
    "Provenance",
    "Question",
    "RedClassifier",
    "RedError",
    "Round",
    "SelfTest",
    "Settings",
    "SettingsError",
    "StateError",
    "StoreError",
    "close_round",
    "decide",
    "export",
    "export_model",
    "feed_back",
    "import_files",
    "judge_check",
    "list_labels",
    "list_rounds",
    "make_demo",
    "make_settings",
    "open_project",
    "plan_feed_back",
    "pool",
    "predict",
    "predict_folder",
    "prepare",
    "project_names",
    "roll_back",
    "run_round",
    "status",
    "undo",
    "write_meanings",
]
