"""Which Python .venv is made with, and when it is made anew."""

import ast
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from local import bootstrap
from local.bootstrap import Checkout, Interpreter, SetupError, candidates, find_python

GOOD = Interpreter("/opt/python3.13", "CPython", (3, 13, 1), free_threaded=False)
OLD = Interpreter("/usr/bin/python3", "CPython", (3, 11, 2), free_threaded=False)
PYPY = GOOD._replace(implementation="PyPy")
FREE_THREADED = GOOD._replace(free_threaded=True)


def asked(answers: dict[str, Interpreter | None]) -> tuple[Callable[[str], Interpreter | None], list[str]]:
    """A probe with prepared answers, and the list of what it was asked."""
    questions: list[str] = []

    def ask(executable: str) -> Interpreter | None:
        questions.append(executable)
        return answers[executable]

    return ask, questions


def executable(path: Path, script: str = "exit 0") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_the_first_that_fits_is_taken_and_the_rest_is_not_asked() -> None:
    ask, questions = asked(
        {"shim": None, "old": OLD, "pypy": PYPY, "t": FREE_THREADED, "good": GOOD, "later": GOOD}
    )
    assert find_python(None, ["shim", "old", "pypy", "t", "good", "later"], ask) == GOOD
    assert questions == ["shim", "old", "pypy", "t", "good"]


def test_without_any_it_says_how_to_get_one() -> None:
    ask, _ = asked({"shim": None, "old": OLD})
    with pytest.raises(SetupError) as failure:
        find_python(None, ["shim", "old"], ask)
    for way in ("pyenv install 3.13", "uv python install 3.13", "SIGNALBOX_PYTHON=", "apt install"):
        assert way in str(failure.value)


def test_a_chosen_one_is_the_only_one_asked() -> None:
    ask, questions = asked({"mine": GOOD, "other": GOOD})
    assert find_python("mine", ["other"], ask) == GOOD
    assert questions == ["mine"]


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (None, "does not run"),
        (OLD, "is CPython 3.11.2"),
        (PYPY, "is PyPy 3.13.1"),
        (FREE_THREADED, "is the free-threaded build"),
    ],
)
def test_a_chosen_one_that_will_not_do_is_named_with_the_reason(
    answer: Interpreter | None, complaint: str
) -> None:
    ask, _ = asked({"mine": answer, "good": GOOD})
    with pytest.raises(SetupError, match=f"SIGNALBOX_PYTHON=mine {complaint}"):
        find_python("mine", ["good"], ask)


def test_candidates_are_path_then_the_running_one_then_pyenv_newest_first(tmp_path: Path) -> None:
    on_path = executable(tmp_path / "bin" / "python3.13")
    for version in ("3.13.2", "3.13.10", "3.12.4"):
        executable(tmp_path / "home/.pyenv/versions" / version / "bin/python3.13")
    environment = {"PATH": f"{tmp_path / 'nothing'}:{on_path.parent}"}
    versions = tmp_path / "home/.pyenv/versions"
    assert list(candidates(environment, tmp_path / "home", "/running/python")) == [
        str(on_path),
        "/running/python",
        str(versions / "3.13.10/bin/python3.13"),
        str(versions / "3.13.2/bin/python3.13"),
    ]


def test_uv_is_asked_last(tmp_path: Path) -> None:
    executable(tmp_path / ".local/bin/uv", 'test "$1 $2" = "python find" && echo /from/uv')
    found = candidates({"PATH": ""}, tmp_path, "/running/python")
    assert list(found) == ["/running/python", "/from/uv"]


def test_an_uv_that_finds_nothing_offers_nothing(tmp_path: Path) -> None:
    executable(tmp_path / ".local/bin/uv", "echo no >&2; exit 2")
    assert list(candidates({"PATH": ""}, tmp_path, "/running/python")) == ["/running/python"]


def test_a_shim_that_fails_is_no_interpreter(tmp_path: Path) -> None:
    shim = executable(tmp_path / "python3.13", "echo 'pyenv: command not found' >&2; exit 127")
    assert bootstrap.probe(str(shim)) is None
    assert bootstrap.probe(str(tmp_path / "absent")) is None


def test_a_babbling_executable_is_no_interpreter(tmp_path: Path) -> None:
    assert bootstrap.probe(str(executable(tmp_path / "python3.13", "echo hello"))) is None


def test_of_a_virtual_environment_the_base_is_meant() -> None:
    interpreter = bootstrap.probe(sys.executable)
    assert interpreter is not None
    assert not interpreter.objection()
    assert Path(interpreter.executable).parent != Path(sys.executable).parent


def checkout(root: Path, environment: dict[str, str] | None = None) -> Checkout:
    for name in (bootstrap.BOOTSTRAP_LOCK, bootstrap.DEVELOPMENT_LOCK, "local/bootstrap.py"):
        (root / name).parent.mkdir(exist_ok=True, parents=True)
        if not (root / name).exists():
            (root / name).write_text(name)
    return Checkout(root, environment or {}, root / "home")


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A checkout whose .venv was made from what lies there."""
    state = checkout(tmp_path)
    executable(state.python)
    state.stamp.write_text(
        json.dumps({"inputs": state.inputs(), "python": "/base/python3.13", "chosen": None})
    )
    return tmp_path


def test_nothing_to_do_when_nothing_changed(made: Path) -> None:
    assert checkout(made).up_to_date()
    assert checkout(made, {"SIGNALBOX_PYTHON": "/base/python3.13"}).up_to_date()


def test_a_changed_lock_file_a_lost_interpreter_or_another_choice_is_work(made: Path) -> None:
    assert not checkout(made, {"SIGNALBOX_PYTHON": "/another/python3.13"}).up_to_date()
    lock = made / bootstrap.DEVELOPMENT_LOCK
    before = lock.read_text()
    lock.write_text("another==1")
    assert not checkout(made).up_to_date()
    lock.write_text(before)
    assert checkout(made).up_to_date()
    checkout(made).python.unlink()
    assert not checkout(made).up_to_date()


@pytest.mark.parametrize("content", [None, "", "{", "{}"])
def test_without_a_readable_stamp_there_is_work(made: Path, content: str | None) -> None:
    stamp = checkout(made).stamp
    stamp.unlink() if content is None else stamp.write_text(content)
    assert not checkout(made).up_to_date()


def test_it_needs_no_newer_python_than_it_promises() -> None:
    ast.parse(Path(bootstrap.__file__).read_text(), feature_version=(3, 8))
