"""R.E.D. (Recursive Expert Delegation): label text with hundreds of labels and a handful of examples each.

The verbs of the command line as functions; docs/api.md shows them at work.
"""

from red_core.decisions import FeedBackPlan, decide, feed_back, plan_feed_back, undo
from red_core.demo import make_demo
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
from red_core.importing import import_files
from red_core.judges.protocol import Judge
from red_core.judges.self_test import SelfTest
from red_core.judging import judge_check
from red_core.parts import FolderReport, predict_folder
from red_core.records import NONE_OF_THESE, Answer, JudgeRates, Label, Project, Question, Round
from red_core.results import export, predict, status
from red_core.rounds import prepare, run_round
from red_core.settings import ARTICLE, PRESETS, RECOMMENDED, Settings, make_settings
from red_core.store.database import open_project, project_names
from red_core.store.decisions import roll_back
from red_core.store.labels import labels
from red_core.store.rounds import close_round, rounds
from red_core.store.texts import pool
from red_core.understanding import write_meanings

__all__ = [
    "ARTICLE",
    "NONE_OF_THESE",
    "PRESETS",
    "RECOMMENDED",
    "Answer",
    "Cancelled",
    "EmbeddingError",
    "FeedBackPlan",
    "FolderReport",
    "InputError",
    "Judge",
    "JudgeError",
    "JudgeRates",
    "Label",
    "Project",
    "ProjectError",
    "Question",
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
    "feed_back",
    "import_files",
    "judge_check",
    "labels",
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
    "rounds",
    "run_round",
    "status",
    "undo",
    "write_meanings",
]
