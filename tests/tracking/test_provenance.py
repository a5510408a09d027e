"""What git knows of the code goes with a run, and brings that code back."""

import subprocess

import mlflow
import pytest

from tiledseg.backend import Arithmetic
from tiledseg.tracking import runs, tracked_run
from tiledseg.tracking.names import DIFF_FILE, DIRTY_TAG, REVISION_TAG, THREADS_TAG
from tiledseg.tracking.provenance import compare_environments
from tiledseg.tracking.revision import Code, open_checkout, read_code
from tiledseg.training.arithmetic import ChosenArithmetic


def git(folder, *words):
    settings = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main")
    return subprocess.run(
        ["git", *settings, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def package(tmp_path):
    """A package at the top of a checkout, clean."""
    folder = tmp_path / "checkout" / "package"
    folder.mkdir(parents=True)
    (folder / "code.py").write_text("one = 1\n")
    (folder.parent / "notes.txt").write_text("notes\n")
    git(folder.parent, "init")
    git(folder.parent, "add", "-A")
    git(folder.parent, "commit", "-m", "first")
    return folder


def test_a_clean_checkout_is_its_revision(package):
    (package.parent / "notes.txt").write_text("not code\n")
    code = read_code(package)
    assert code == Code(git(package, "rev-parse", "HEAD"))
    assert code.tags() == {REVISION_TAG: code.revision, DIRTY_TAG: "false"}


def test_changes_and_new_files_make_a_diff_that_can_be_applied(package):
    clean = read_code(package)
    (package / "code.py").write_text("one = 2\n")
    (package / "new.py").write_text("two = 2\n")
    git(package, "config", "diff.noprefix", "true")
    code = read_code(package)
    assert code.revision == clean.revision
    assert code.tags()[DIRTY_TAG] == "true"
    assert str(package) not in code.diff
    (package / "code.py").write_text("one = 1\n")
    (package / "new.py").unlink()
    subprocess.run(["git", "apply"], cwd=package.parent, input=code.diff, text=True, check=True)
    assert (package / "code.py").read_text() == "one = 2\n"
    assert (package / "new.py").read_text() == "two = 2\n"
    assert read_code(package) == code


def test_without_git_or_a_checkout_of_its_own_nothing_is_said(package, tmp_path, monkeypatch):
    installed = package.parent / "lib" / "package"  # in another project's checkout
    installed.mkdir(parents=True)
    outside = tmp_path / "plain" / "package"
    outside.mkdir(parents=True)
    assert read_code(installed) == read_code(outside) == Code()
    monkeypatch.setenv("GIT_DIR", str(package.parent / ".git"))
    assert read_code(outside) == Code()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_code(package) == Code()
    assert Code().tags() == {}


def test_other_code_is_checked_out_with_its_changes_and_removed(package):
    (package / "code.py").write_text("one = 2\n")
    (package / "new.py").write_text("two = 2\n")
    code = read_code(package)
    git(package, "stash", "--include-untracked")
    (package / "code.py").write_text("one = 3\n")
    git(package, "commit", "-am", "second")
    with open_checkout(code, package) as folder:
        assert read_code(folder / "package") == code
        assert (folder / "package" / "code.py").read_text() == "one = 2\n"
    assert not folder.exists()
    assert len(git(package, "worktree", "list").splitlines()) == 1
    assert (package / "code.py").read_text() == "one = 3\n"


def test_what_the_repository_does_not_hold_is_not_checked_out(package, tmp_path):
    code = read_code(package)
    for wanted, there in (
        (Code("a" * 40), package),
        (Code(code.revision, "no diff"), package),
        (Code(), package),
        (code, tmp_path / "plain"),
    ):
        with open_checkout(wanted, there) as folder:
            assert folder is None
    assert len(git(package, "worktree", "list").splitlines()) == 1


@pytest.mark.usefixtures("own_tables")
@pytest.mark.parametrize("code", [Code("a" * 40), Code("a" * 40, "+ one\n"), Code()])
def test_a_run_holds_it(tiny_experiment, monkeypatch, code):
    monkeypatch.setattr(tracked_run, "read_code", lambda: code)
    with runs.open_run(tiny_experiment(), "evaluate") as run:
        run.log_provenance(ChosenArithmetic(Arithmetic("float32", xla=False)))
    client = mlflow.MlflowClient()
    tags = client.get_run(run.run_id).data.tags
    assert {key: tags[key] for key in tags if key in {REVISION_TAG, DIRTY_TAG}} == code.tags()
    assert int(tags[THREADS_TAG]) > 0
    names = [item.path for item in client.list_artifacts(run.run_id)]
    assert names == ([DIFF_FILE] if code.diff else [])
    if code.diff:
        assert mlflow.artifacts.load_text(f"runs:/{run.run_id}/{DIFF_FILE}") == code.diff


def test_only_what_differs_is_named():
    assert compare_environments({THREADS_TAG: "2"}, {THREADS_TAG: "4"}) == ["threads: 2 -> 4"]
    assert compare_environments({THREADS_TAG: "2"}, {THREADS_TAG: "2"}) == []
