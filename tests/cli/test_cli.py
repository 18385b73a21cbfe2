from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from red_core import cli
from red_core.cli import terminal
from red_core.data.importing import import_files
from red_core.labels.drift import measure_drift
from red_core.labels.edit_kinds import Retire
from red_core.labels.edits import apply_edit
from red_core.records import Answer, Project
from red_core.review.decisions import decide
from red_core.rounds.run import run_round
from red_core.settings import DEFAULT_MODEL, Settings
from red_core.store.database import open_project
from red_core.store.jobs import add_job, ask_to_cancel, end_job, newest_job
from red_core.store.label_undo import edits
from red_core.store.labels import list_labels
from red_core.store.rounds import close_round, list_rounds
from red_core.store.texts import pool
from red_core.store.verdicts import add_proposals, add_verdicts
from tests.helpers.fault_server import FaultServer, Said, always
from tests.helpers.prepared_process import PreparedProcess, forked_workers, prepared_red
from tests.helpers.small_projects import FAST, embed, question, reviewed_round, seed_rows, write_csv
from tests.helpers.workers import no_worker_left_over

RED = Path(sys.executable).with_name("red")

Run = Callable[..., Result]
__all__ = ["forked_workers", "no_worker_left_over", "prepared_red"]
pytestmark = pytest.mark.usefixtures("forked_workers")


@pytest.fixture
def run(workspace: Path) -> Run:
    """Return a function that runs ``red --workspace ...`` in this process."""
    return lambda *arguments, **more: CliRunner().invoke(
        cli.main, ["--workspace", str(workspace), *map(str, arguments)], **more
    )


def printed_json(result: Result) -> dict[str, Any]:
    """Return the one JSON object that a successful command printed on standard output."""
    assert (result.exit_code, result.exception) == (0, None), result.output
    facts = json.loads(result.stdout)
    assert isinstance(facts, dict)
    return facts


def check_refused(result: Result, says: str) -> None:
    """Check that the command failed with one line on standard error and printed nothing else."""
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert says in line


def text(project: Project, index: int = 0) -> int:
    """Return the row id of an unlabelled text."""
    return int(pool(project)[index])


# Refused commands: exit code 1 and one line

NO_PROJECT = {
    "status": ["status", "p"],
    "round": ["round", "p"],
    "feed-back": ["feed-back", "p"],
    "close": ["close", "p"],
    "roll-back": ["roll-back", "p", "1"],
    "export": ["export", "p", "out.csv"],
    "predict": ["predict", "p", "in.csv", "out.csv"],
}


@pytest.mark.parametrize("arguments", NO_PROJECT.values(), ids=NO_PROJECT)
def test_a_missing_project_is_refused_in_one_line(arguments, run, workspace):
    check_refused(run(*arguments), "there is no project 'p'")
    assert not workspace.exists()


@pytest.mark.parametrize("arguments", NO_PROJECT.values(), ids=NO_PROJECT)
def test_a_project_name_that_is_not_allowed_is_refused_in_one_line(arguments, run):
    check_refused(run(arguments[0], "../p", *arguments[2:]), "is not allowed")


REFUSED = {
    "import of nothing": (["import", "small"], "nothing to import"),
    "import of a file that is not there": (["import", "small", "--pool", "gone.csv"], "No such file"),
    "import with one seed a label": (["import", "small", "--pool", "a.csv", "--seeds-per-label", "1"], "at least 2"),
    "a setting that is not there": (["round", "small", "--set", "nonsense=1"], "no setting 'nonsense'"),
    "a setting out of range": (["round", "small", "--set", "subset_size=1"], "setting subset_size"),
    "a setting of the wrong kind": (["round", "small", "--set", "subset_size=many"], "setting subset_size"),
    "feeding back before a round": (["feed-back", "small"], "no round is to review"),
    "closing no round": (["close", "small"], "no round is open"),
    "rolling back no round": (["roll-back", "small", "7"], "round 7 has no feed back to undo"),
    "an export of unknown kind": (["export", "small", "out.doc"], ".json (or with .gz), .parquet or .xlsx"),
    "left-out rows into the file": (
        ["import", "p", "--labelled", "s.csv", "--left-out", "./s.csv"], "this is the file that is read"),
    "an export to nowhere": (["export", "small", "no/where.csv"], "Check that the file and its folder exist"),
    "predicting before a round": (["predict", "small", "in.csv", "out.csv"], "has no finished round"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "says"), REFUSED.values(), ids=REFUSED)
@pytest.mark.usefixtures("project")
def test_an_impossible_command_is_refused_in_one_line(arguments, says, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.csv").write_text("text,label\na,b\n", "utf-8")
    check_refused(run(*arguments), says)


def test_a_second_job_is_refused_in_one_line(run, project):
    add_job(project, "round", "{}", "tester")
    check_refused(run("round", "small"), "a job is already running")


def test_a_round_beside_one_to_review_fails_with_one_line(run, project):
    reviewed_round(project, {})
    check_refused(run("round", "small", *QUICK), "round 1 is to review")


def test_a_corrupt_project_is_refused_in_one_line(run, project):
    project.database.write_bytes(b"no database " * 1000)
    check_refused(run("status", "small"), "is not a readable database")


USAGE = {
    "no verb of that name": ["nonsense"],
    "no project": ["status"],
    "a preset that is not there": ["round", "small", "--preset", "nonsense"],
    "a setting without a value": ["round", "small", "--set", "subset_size"],
    "a round that is no number": ["roll-back", "small", "one"],
    "a round that no database can hold": ["roll-back", "small", str(2**63)],
    "seeds that are no number": ["import", "small", "--seeds-per-label", "many"],
    "a port that is none": ["serve", "--port", "0"],
    "an option that is not there": ["status", "small", "--nonsense"],
}


@pytest.mark.parametrize("arguments", USAGE.values(), ids=USAGE)
@pytest.mark.usefixtures("project")
def test_a_wrong_command_exits_with_2_and_shows_its_usage(arguments, run):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Usage: ")
    assert result.stderr.splitlines()[-1].startswith("Error: ")


def red(prepared: PreparedProcess, workspace: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, which need not import the program."""
    return prepared.run([str(RED), "--workspace", str(workspace), *arguments], seconds=300)


def test_the_installed_command_refuses_without_a_traceback(workspace):
    command = [str(RED), "--workspace", str(workspace), "status", "nowhere"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: there is no project 'nowhere'")
    assert result.stderr.count("\n") == 1


# Help


def test_the_help_lists_every_verb_in_one_line(run):
    shown = run("--help").stdout
    assert list(cli.IN_THE_LIST) == list(cli.VERBS)
    assert re.findall(r"^  (\S+) +(.+)$", shown.split("Commands:")[1], re.MULTILINE) == sorted(cli.IN_THE_LIST.items())
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert {"import", "round", "feed-back", "status", "export", "predict", "demo", "serve"} <= set(cli.VERBS)


@pytest.mark.parametrize("arguments", [["--help"], ["status", "--help"], ["round", "--help"], ["cancel", "--help"]])
def test_a_quick_command_imports_no_library_that_takes_a_second(arguments):
    slow = {"openai", "scipy.stats", "sklearn", "streamlit", "torch", "umap"}
    code = f"import sys; from red_core.cli import main; main({arguments}, standalone_mode=False)\n"
    code += f"sys.stderr.write(' '.join({slow} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: " in done.stdout


@pytest.mark.parametrize("verb", cli.VERBS)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_every_verb_explains_itself(verb, option, run):
    result = run(verb, option)
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()[2].strip()) > 10
    assert max(len(line) for line in result.stdout.splitlines()) <= 100


@pytest.mark.parametrize("name", cli.VERBS)
def test_every_option_of_a_verb_has_a_help_text(name):
    verb = cli.main.get_command(None, name)
    options = [parameter for parameter in (*cli.main.params, *verb.params) if isinstance(parameter, click.Option)]
    assert [option.name for option in options if not option.help] == []


def test_every_setting_is_listed_with_its_meaning_and_both_presets(run):
    shown = run("settings").stdout
    for name, field in Settings.model_fields.items():
        assert f"{name}\n    {field.description}\n    recommended: " in shown


def test_the_version_is_printed(run):
    assert "version" in run("--version").stdout


# Import and round, with a worker

QUICK_NAMES = (
    "subset_size", "alike_partitions", "lexical_dimensions", "noise_rows", "calibration_folds", "background_labels",
)  # fmt: skip
QUICK = [argument for name in QUICK_NAMES for argument in ("--set", f"{name}={getattr(FAST, name)}")]
QUICK += ["--set", "label_names_as_seeds=false"]


@pytest.fixture
def seeds_file(tmp_path: Path) -> Path:
    """Return a CSV file of 16 labelled examples and one row with an empty text."""
    return write_csv(tmp_path / "seeds.csv", ["text", "label"], [*seed_rows(), ("", "refund")])


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every job finish at once, with success."""

    def end_at_once(project: Project, kind: str, settings: Settings, who: str) -> int:
        job = add_job(project, kind, settings.model_dump_json(), who)
        end_job(project, job, "done")
        return job

    monkeypatch.setattr(terminal, "start_job", end_at_once)


@pytest.mark.usefixtures("no_work")
def test_import_prints_what_it_did(run, seeds_file):
    shown = run("import", "p", "--labelled", seeds_file).stdout
    assert "text column: 'text' (guessed from its name)" in shown
    assert (
        "17 rows: 16 used, 0 duplicates, 1 left out. "
        "The project now has 4 labels, 16 labelled examples and 0 unlabelled texts." in shown
    )


@pytest.mark.usefixtures("no_work")
def test_import_prints_json(run, seeds_file):
    facts = printed_json(run("import", "p", "--labelled", seeds_file, "--json"))
    assert facts["project"] == "p"
    assert [(each["rows"], each["seeds"], each["left_out"]) for each in facts["imports"]] == [(17, 16, 1)]


@pytest.mark.usefixtures("no_work")
def test_import_of_a_file_that_was_imported_before_says_so(run, seeds_file):
    run("import", "p", "--labelled", seeds_file)
    assert "already imported, nothing changed" in run("import", "p", "--labelled", seeds_file).stdout


@pytest.mark.usefixtures("no_work")
def test_import_writes_the_rows_it_left_out(run, seeds_file, tmp_path):
    out = tmp_path / "left-out.csv"
    printed_json(run("import", "p", "--labelled", seeds_file, "--left-out", out, "--json"))
    assert "empty text" in out.read_text("utf-8")


@pytest.mark.usefixtures("no_work")
def test_import_makes_a_trial_project(run, tmp_path):
    rows = write_csv(tmp_path / "all.csv", ["text", "label"], seed_rows(each=6))
    facts = printed_json(run("import", "p", "--labelled", rows, "--seeds-per-label", 2, "--json"))
    assert (facts["imports"][0]["seeds"], facts["imports"][0]["pool"]) == (8, 16)


@pytest.mark.usefixtures("no_work")
def test_import_stores_the_name_of_the_person(run, seeds_file, workspace):
    run("import", "p", "--labelled", seeds_file, "--who", "Zoë")
    job = newest_job(open_project(workspace, "p"))
    assert job is not None
    assert job.who == "Zoë"


@pytest.fixture
def cancelled_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every job be cancelled at once, as another window would do it."""

    def cancel_at_once(project: Project, kind: str, settings: Settings, who: str) -> int:
        job = add_job(project, kind, settings.model_dump_json(), who)
        ask_to_cancel(project, job)
        return job

    monkeypatch.setattr(terminal, "start_job", cancel_at_once)


@pytest.mark.usefixtures("cancelled_work", "project")
def test_a_cancelled_round_is_no_success(run):
    check_refused(run("round", "small"), "cancelled at")


@pytest.mark.usefixtures("cancelled_work")
def test_a_cancelled_import_is_no_success(run, seeds_file):
    assert run("import", "p", "--labelled", seeds_file).exit_code == 1


def test_cancel_asks_the_running_job_to_stop(run, project):
    check_refused(run("cancel", project.name), "no job is running in project small.")
    job = add_job(project, "round", "{}", "tester")
    result = run("cancel", project.name)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "the job round of project small is asked to stop. Run its command again to continue.\n"
    last = newest_job(project)
    assert last is not None
    assert (last.id, last.state, last.cancel_asked) == (job, "cancelled", True)  # it was still waiting


@pytest.mark.parametrize("wire", ["chat", "systemone"])
def test_judge_check_of_a_web_page_stops_at_the_trial_and_is_no_success(run, project, wire, monkeypatch):
    with FaultServer(always(Said("<!doctype html><p>Hello"))) as server:
        monkeypatch.setenv("RED_JUDGE_WIRE", wire)
        check_refused(run("judge-check", project.name), "sends a web page. Check OPENAI_BASE_URL")
    assert len(server.heard) <= 4


def test_a_round_with_an_llm_says_first_what_it_will_cost(run, project, monkeypatch):
    asks = ["round", project.name, *QUICK, "--set", "judge=llm", "--set", "self_test_seeds=10"]
    with FaultServer() as server:
        monkeypatch.setenv("RED_JUDGE_PRICE_IN", "100")
        monkeypatch.setenv("RED_JUDGE_PRICE_OUT", "200")
        first = run(*asks, "--json")
        assert first.exit_code == 0, first.output
        assert json.loads(first.stdout)["round"]["questions"] > 0
        tokens, cost = "This uses about 24,000 tokens and costs about 2.66", "tokens and time are assumed, because this"
        assert "At most 40 questions." in first.stderr
        assert f"{tokens}; {cost} judge was not tried yet." in first.stderr
        refused = run(*asks)
        assert refused.exit_code == 1
        assert refused.stdout == ""
        close_round(project)
        asked = len(server.heard)
        second = run(*asks, "--set", "most_questions=3", "--set", "least_gain=0")
    assert second.exit_code == 0, second.output
    assert len(server.heard) > asked or "No further question" in second.stdout
    assert re.match(
        r"About \d+ questions, as .* tokens and costs about \d+\.\d\d\.$|No further", second.stdout, re.MULTILINE
    )


@pytest.mark.usefixtures("project")
def test_ctrl_c_cancels_the_job_and_is_no_success(run, monkeypatch):
    follow, interrupted = terminal.follow_job, []

    def press_once(*arguments: Any) -> Any:
        if not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt
        return follow(*arguments)

    monkeypatch.setattr(terminal, "start_job", lambda project, kind, *_: add_job(project, kind, "{}", "tester"))
    monkeypatch.setattr(terminal, "follow_job", press_once)
    result = run("round", "small")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("Error: cancelled at")


def test_round_runs_a_worker_and_prints_the_result(run, project):
    facts = printed_json(run("round", "small", *QUICK, "--json"))
    assert (facts["round"]["state"], facts["round"]["number"], facts["job"]["state"]) == ("to review", 1, "done")
    assert [r.state for r in list_rounds(project)] == ["to review"]


def test_round_keeps_the_settings_it_was_given(run, project):
    printed_json(run("round", "small", *QUICK, "--set", "least_gain=0.125", "--batch", "--json"))
    settings = Settings.model_validate_json(list_rounds(project)[0].settings)
    assert (settings.least_gain, settings.batch) == (0.125, True)


# The other verbs, on a round of fake vectors


@pytest.fixture
def reviewed(project: Project) -> Project:
    """Return a project with a round under review."""
    run_round(project, FAST)
    return project


@pytest.mark.usefixtures("project")
def test_status_before_a_round_says_what_to_do(run):
    result = run("status", "small")
    assert result.exit_code == 0
    assert "4 labels, 16 labelled examples, 0 fed back, 40 unlabelled texts" in result.stdout
    assert "no round yet. Next: red round small" in result.stdout


@pytest.mark.usefixtures("reviewed")
def test_status_after_a_round_prints_its_figures(run):
    shown = run("status", "small").stdout
    assert "round 1 (recommended, judge: similarity check (no LLM)) is to review" in shown
    assert re.search(r"estimated accuracy \d+\.\d\d% \(classifiers alone \d+\.\d\d%\)", shown)
    assert "true accuracy (trial)" in shown
    assert re.search(r"goal 95\.0%: you alone: .*; the judge alone: .*; the judge, then you: ", shown)


def test_status_of_a_trial_whose_confidences_left_with_a_retired_label(run, project):
    figures = {"true_agreement": 0.5, "true_alone": 0.5}
    reviewed_round(project, dict.fromkeys(pool(project).tolist(), (1, 0.9)), metrics=figures)
    apply_edit(project, Retire(1), "ann")
    shown = run("status", "small").stdout
    assert "estimated accuracy" not in shown
    assert "true accuracy" not in shown


@pytest.mark.usefixtures("reviewed")
def test_status_prints_json(run):
    status = printed_json(run("status", "small", "--json"))
    assert status["round"]["number"] == 1
    assert status["plan"]["goal"] == 0.95
    assert set(status["plan"]["both"]) == {"decisions", "questions", "reaches"}


@pytest.mark.usefixtures("project")
def test_the_workspace_may_come_from_the_environment(workspace):
    result = CliRunner().invoke(cli.main, ["status", "small", "--json"], env={"RED_WORKSPACE": str(workspace)})
    assert printed_json(result)["project"] == "small"


def test_feed_back_dry_run_shows_the_plan_and_changes_nothing(run, reviewed):
    decide(reviewed, text(reviewed), "accept", label=1)
    facts = printed_json(run("feed-back", "small", "--dry-run", "--json"))
    assert (facts["fed_back"], facts["would_feed_back"], facts["decisions"]) == (0, 1, 1)
    assert list_rounds(reviewed)[-1].state == "to review"


def test_feed_back_feeds_back_and_counts_by_source(run, reviewed):
    decide(reviewed, text(reviewed), "accept", label=1)
    facts = printed_json(run("feed-back", "small", "--accept-evidence-check", "--json"))
    assert facts["fed_back"] == facts["decisions"] + facts["verdicts"] >= 1
    assert list_rounds(reviewed)[-1].state == "fed back"


def test_feed_back_prints_what_was_not_fed_back_and_why(run, project):
    number = reviewed_round(project, {text(project): (1, 0.97)})
    (proposal,) = add_proposals(project, number, [question(text(project), 1, 2)])
    add_verdicts(project, "evidence", [(proposal, Answer("valid", None, 1.0, "", "", ""))])
    assert run("feed-back", "small").stdout.splitlines() == [
        "round 1: fed back 0 texts (0 from decisions, 0 from verdicts).",
        "  1 not fed back: the similarity check needs a decision",
    ]


def test_close_closes_the_round(run, reviewed):
    result = run("close", "small")
    assert (result.exit_code, result.stdout) == (0, "round 1 is closed. Nothing was fed back.\n")
    assert list_rounds(reviewed)[-1].state == "closed"


def test_roll_back_prints_how_many_texts_left_the_training_data(run, reviewed):
    decide(reviewed, text(reviewed), "accept", label=1)
    run("feed-back", "small")
    result = run("roll-back", "small", 1)
    assert result.exit_code == 0
    assert result.stdout.startswith("round 1: 1 texts left the training data")


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet", "csv.gz", "jsonl.gz"])
@pytest.mark.usefixtures("project")
def test_export_writes_every_row_in_every_format(ending, run, tmp_path):
    out = tmp_path / f"out.{ending}"
    facts = printed_json(run("export", "small", out, "--json"))
    assert facts == {"project": "small", "rows": 56, "verified": True, "file": str(out)}
    assert out.stat().st_size > 0


@pytest.mark.usefixtures("project")
def test_export_prints_where_it_wrote(run, tmp_path):
    assert run("export", "small", tmp_path / "out.csv").stdout == f"56 rows, verified: {tmp_path / 'out.csv'}\n"
    none = ["export", "small", tmp_path / "none.csv"]
    check_refused(run(*none, "--group", "No > Such"), "there is no group 'No > Such'")
    check_refused(run(*none, "--group", ">"), "there is no group ''")
    check_refused(run(*none, "--least", "nan"), "a confidence is from 0 to 1, not nan")
    assert run("export", "small", tmp_path / "t.csv", "--as", "csv-excel", "--delimiter", "\\t").exit_code == 0
    assert (tmp_path / "t.csv").read_bytes().startswith(b"\xef\xbb\xbffile\trow\t")


def test_serve_becomes_the_server_of_this_workspace(run, workspace, monkeypatch, tmp_path):
    became: list[Sequence[str]] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RED_WORKSPACE", "another")
    monkeypatch.setattr(os, "execv", lambda _program, command: became.append(command))
    result = run("serve", "--port", 8765)
    assert result.exit_code == 0
    assert result.stderr.startswith("R.E.D. Workbench: http://127.0.0.1:8765")
    assert {"streamlit", "run", "--server.port=8765"} <= set(became[0])
    assert os.environ["RED_WORKSPACE"] == str(workspace.resolve())


# The demo from end to end, once, with the real embedding model

patient = pytest.mark.timeout(900)  # it takes half a minute on two idle cores


@pytest.fixture(scope="module")
def walked(
    tmp_path_factory: pytest.TempPathFactory, prepared_red: PreparedProcess
) -> tuple[Path, dict[str, subprocess.CompletedProcess[str]]]:
    """Create the demo and run one round of it with the real command; return the workspace and both results."""
    workspace = tmp_path_factory.mktemp("walk") / "workspace"
    made = red(prepared_red, workspace, "demo", "--no-serve", "--json")
    return workspace, {"demo": made, "round": red(prepared_red, workspace, "round", "demo", "--json")}


@pytest.fixture
def demo(walked: tuple[Path, Any], workspace: Path) -> Path:
    """Return a copy of the workspace with the demo and its round."""
    shutil.copytree(walked[0], workspace)
    return workspace


@patient
@pytest.mark.parametrize("verb", ["demo", "round"])
def test_the_demo_is_made_and_its_round_run_with_nothing_on_standard_error(verb, walked):
    result = walked[1][verb]
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["project"] == "demo"


@patient
def test_the_demo_is_a_trial_project_with_its_subsets_formed(walked):
    facts = json.loads(walked[1]["demo"].stdout)
    assert (facts["trial"], facts["embedding"], facts["round"]) == (True, DEFAULT_MODEL, None)
    assert (facts["labels"], facts["seeds"]) == (54, 594)
    assert (facts["job"]["kind"], facts["job"]["state"]) == ("prepare", "done")


@patient
def test_a_round_of_the_demo_is_good_but_not_done_and_estimates_its_accuracy_well(walked):
    facts = json.loads(walked[1]["round"].stdout)
    assert facts["round"]["state"] == "to review"
    assert 0.78 < facts["true_agreement"] < 0.9
    assert abs(facts["expected_agreement"] - facts["true_agreement"]) < 0.15


@patient
def test_the_demo_again_changes_nothing_and_succeeds(run, demo):
    before = printed_json(run("status", "demo", "--json"))
    assert printed_json(run("demo", "--no-serve", "--json")) == before
    assert demo.is_dir()


@patient
def test_predict_labels_the_texts_of_a_file_with_the_real_model(demo, tmp_path, prepared_red):
    texts = write_csv(tmp_path / "in.csv", ["text"], [["my parcel says delivered but it is not here"], [""]])
    result = red(prepared_red, demo, "predict", "demo", str(texts), str(tmp_path / "out.jsonl"), "--json")
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["rows"] == 2
    first, second = map(json.loads, (tmp_path / "out.jsonl").read_text("utf-8").splitlines())
    assert first["label"] == "delivery_marked_delivered"
    assert second["left_out"] == "empty text"


# Upkeep


def test_a_backup_is_restored_under_another_name(run, project, tmp_path):
    facts = printed_json(run("backup", "small", tmp_path / "b.zip", "--json"))
    assert (facts["project"], facts["files"], facts["file"]) == ("small", 2, str(tmp_path / "b.zip"))
    assert printed_json(run("restore", tmp_path / "b.zip", "--as", "again", "--json"))["project"] == "again"
    before, after = (printed_json(run("status", name, "--json")) for name in ("small", "again"))
    assert after == before | {"project": "again"}
    assert project.database.is_file()


@pytest.mark.usefixtures("project")
def test_backup_and_restore_print_what_they_did(run, tmp_path):
    assert run("backup", "small", tmp_path / "b.zip").stdout.startswith("2 files, ")
    said = run("restore", tmp_path / "b.zip", "--as", "again").stdout
    assert said.startswith("restored: again. It uses the embedding model fake: check that you trust it.")
    assert said.endswith("Next: red status again\n")


@pytest.mark.usefixtures("project")
def test_backup_and_restore_overwrite_nothing(run, tmp_path):
    run("backup", "small", tmp_path / "b.zip")
    check_refused(run("backup", "small", tmp_path / "b.zip"), "it exists already")
    check_refused(run("restore", tmp_path / "b.zip"), "there is already a project 'small'")
    check_refused(run("restore", tmp_path / "gone.zip"), "there is no such file")


def test_decisions_of_an_export_come_back_once(run, project, tmp_path):
    run("backup", "small", tmp_path / "before.zip")
    decide(project, text(project), "accept", label=1)
    run("export", "small", tmp_path / "out.jsonl")
    run("restore", tmp_path / "before.zip", "--as", "again")
    facts = printed_json(run("import-decisions", "again", tmp_path / "out.jsonl", "--json"))
    assert (facts["project"], facts["restored"], facts["there"]) == ("again", 1, 0)
    again = run("import-decisions", "again", tmp_path / "out.jsonl", "--who", "Zoë")
    assert again.stdout == "Decisions restored: 0; 1 already there.\n"
    check_refused(run("import-decisions", "again", tmp_path / "gone.jsonl"), "No such file")


# The label set as a file, and drift


def test_the_label_set_goes_out_is_edited_and_comes_back_as_one_edit(run, project, tmp_path):
    assert printed_json(run("export-labels", "small", tmp_path / "labels.json", "--json"))["labels"] == 4
    rows = json.loads((tmp_path / "labels.json").read_text())
    rows[0]["name"] = "money back"
    (tmp_path / "labels.json").write_text(json.dumps(rows))
    preview = run("import-labels", "small", tmp_path / "labels.json", "--preview")
    assert preview.stdout.startswith("preview, nothing is changed: applied '")
    assert preview.stdout.endswith("labels.json': 1 renamed; 0 verdicts become outdated\n")
    assert list_labels(project)[0].name == "refund"
    facts = printed_json(run("import-labels", "small", tmp_path / "labels.json", "--who", "Zoë", "--json"))
    assert (facts["project"], facts["label_set_version"], facts["stale_verdicts"]) == ("small", 2, 0)
    assert list_labels(project)[0].name == "money back"
    assert edits(project)[-1].who == "Zoë"


def test_a_label_file_that_breaks_a_rule_is_one_line(run, project, tmp_path):
    write_csv(tmp_path / "labels.csv", ["name"], [["refund"], ["Refund"]])
    check_refused(run("import-labels", "small", tmp_path / "labels.csv"), "row 2 is about")
    check_refused(run("import-labels", "small", tmp_path / "gone.csv"), "gone.csv")
    assert [edit.kind for edit in edits(project)] == ["labels added"]  # with the import


def test_drift_is_printed_or_the_missing_step_is_named(run, project, tmp_path):
    check_refused(run("drift", "small"), "no finished round")
    run_round(project, FAST)
    check_refused(run("drift", "small"), "no earlier import")
    close_round(project)
    later = [[f"refund is what I ask for, again {number}"] for number in range(30)]
    import_files(project.workspace, "small", pool=write_csv(tmp_path / "later.csv", ["text"], later), who="tester")
    run_round(embed(project), FAST)
    facts = printed_json(run("drift", "small", "--json"))
    assert sorted(drift["label"]["name"] for drift in facts["labels"]) == sorted(
        label.name for label in list_labels(project)
    )
    lines = run("drift", "small").stdout.splitlines()
    drifted = [drift for drift in facts["labels"] if drift["drifted"]]
    assert lines[0] == f"{len(drifted)} of 4 labels changed. Changes this large are rarely chance (q < 0.05)."
    assert len(lines) == 1 + len(drifted)
    assert (
        [drift["label"]["name"] for drift in drifted]
        == [drift.label.name for drift in measure_drift(project) if drift.drifted]
        != []
    )
