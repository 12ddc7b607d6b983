"""Makes .venv: finds a CPython 3.13, creates the environment, installs what the lock files name, by hash.

Runs on any Python from 3.8 on, with the standard library alone, and does nothing when nothing has changed.

    python3 local/bootstrap.py            SIGNALBOX_PYTHON=/path/to/python3.13 chooses the interpreter
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
WANTED = (3, 13)
BOOTSTRAP_LOCK = "requirements/bootstrap.txt"
DEVELOPMENT_LOCK = "requirements/dev.txt"
STAMP = "signalbox-setup.json"
PROBE = (
    "import json, platform, sys, sysconfig; print(json.dumps({"
    "'implementation': platform.python_implementation(),"
    "'version': list(sys.version_info[:3]),"
    "'free_threaded': bool(sysconfig.get_config_var('Py_GIL_DISABLED')),"
    "'executable': getattr(sys, '_base_executable', sys.executable)}))"
)
HOW_TO_GET_ONE = """\
Signalbox needs CPython 3.13 (the runtime of its functions), and found none. Get one in any of these ways,
then run the command again:
    pyenv      pyenv install 3.13                       (found in ~/.pyenv/versions, no `pyenv global` needed)
    uv         uv python install 3.13
    macOS      brew install python@3.13
    Debian     apt install python3.13 python3.13-venv   (Ubuntu: from ppa:deadsnakes)
    Fedora     dnf install python3.13
Or name one: SIGNALBOX_PYTHON=/path/to/python3.13 make setup"""


class SetupError(Exception):
    """Something the user has to do first; the text says what."""


class Interpreter(NamedTuple):
    """What an executable said of itself. `executable` is never one of a virtual environment."""

    executable: str
    implementation: str
    version: tuple[int, ...]
    free_threaded: bool

    def objection(self) -> str:
        """Why it won't do; empty if it will."""
        found = "{} {}".format(self.implementation, ".".join(map(str, self.version)))
        if self.implementation != "CPython" or self.version[:2] != WANTED:
            return f"is {found}"
        return (
            "is the free-threaded build, for which not every dependency has a wheel"
            if self.free_threaded
            else ""
        )


def probe(executable: str) -> Interpreter | None:
    """Runs `executable` and asks it what it is; None if it doesn't run (a pyenv shim may exist and fail)."""
    try:
        answer = subprocess.run(
            [executable, "-I", "-c", PROBE], capture_output=True, text=True, timeout=30, check=True
        ).stdout
        said = json.loads(answer)
        return Interpreter(
            said["executable"], said["implementation"], tuple(said["version"]), said["free_threaded"]
        )
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return None


def candidates(environment: Mapping[str, str], home: Path, running: str) -> Iterator[str]:
    """Executables that may be a Python 3.13, the likeliest first. Lazy: uv is asked when all else failed."""
    for folder in environment.get("PATH", "").split(os.pathsep):
        on_path = Path(folder or ".") / "python3.13"
        if on_path.is_file():
            yield str(on_path)
    yield running
    for root in filter(None, (environment.get("PYENV_ROOT"), str(home / ".pyenv"))):
        versions = Path(root) / "versions"
        for version in sorted(versions.glob("3.13*"), key=_version_key, reverse=True):
            yield str(version / "bin" / "python3.13")
    uv = find_uv(environment, home)
    if uv is not None:
        found = subprocess.run(
            [uv, "python", "find", "--no-python-downloads", "3.13"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()
        if found:
            yield found


def _version_key(folder: Path) -> list[int]:
    return [int(part) if part.isdigit() else -1 for part in folder.name.split(".")]


def find_uv(environment: Mapping[str, str], home: Path) -> str | None:
    """An uv of the user's own, if there is one."""
    places = os.pathsep.join(
        [environment.get("PATH", ""), str(home / ".local/bin"), str(home / ".cargo/bin")]
    )
    return shutil.which("uv", path=places)


def find_python(
    chosen: str | None, offered: Iterable[str], ask: Callable[[str], Interpreter | None] = probe
) -> Interpreter:
    """The interpreter to use: the one the user chose, or the first offered that runs and fits.

    Raises SetupError: what is wrong with the chosen one, or how to get one.
    """
    if chosen:
        interpreter = ask(chosen)
        objection = interpreter.objection() if interpreter else "does not run"
        if interpreter is None or objection:
            raise SetupError(
                f"SIGNALBOX_PYTHON={chosen} {objection}. Name a CPython 3.13, or unset it: one is looked for."
            )
        return interpreter
    for executable in offered:
        interpreter = ask(executable)
        if interpreter is not None and not interpreter.objection():
            return interpreter
    raise SetupError(HOW_TO_GET_ONE)


class Checkout:
    """A clone of the project and its .venv."""

    def __init__(self, root: Path, environment: Mapping[str, str], home: Path) -> None:
        self.root = root
        self.environment = environment
        self.home = home
        self.venv = root / ".venv"
        self.python = self.venv / "bin" / "python"
        self.stamp = self.venv / STAMP
        self.chosen = environment.get("SIGNALBOX_PYTHON") or None

    def inputs(self) -> str:
        """A hash of all that decides what .venv holds."""
        digest = hashlib.sha256()
        for name in (BOOTSTRAP_LOCK, DEVELOPMENT_LOCK, "local/bootstrap.py"):
            digest.update((self.root / name).read_bytes())
        return digest.hexdigest()

    def up_to_date(self) -> bool:
        """Whether .venv was made from today's inputs, by an interpreter that is still there."""
        try:
            stamp = json.loads(self.stamp.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        same_choice = self.chosen is None or self.chosen in (stamp.get("chosen"), stamp.get("python"))
        return stamp.get("inputs") == self.inputs() and same_choice and self.python.exists()

    def set_up(self) -> None:
        """Brings .venv to what the lock files say. Raises SetupError with what to do."""
        elsewhere = candidates(self.environment, self.home, sys.executable)
        interpreter = find_python(self.chosen, chain([str(self.python)], elsewhere))
        if self.stamp.exists():
            self.stamp.unlink()
        if not self._made_by(interpreter):
            step(f"Creating .venv with {interpreter.executable}")
            self._create(interpreter)
        uv = self.venv / "bin" / "uv"
        if not uv.exists():
            step("Installing uv")
            self._run(
                [
                    str(self.python),
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--require-hashes",
                    "-r",
                    BOOTSTRAP_LOCK,
                ]
            )
        step("Installing the development tools and the embedded AWS (once; about 300 MB)")
        locks = [DEVELOPMENT_LOCK, BOOTSTRAP_LOCK]
        self._run([str(uv), "pip", "sync", "--require-hashes", "--python", str(self.python), *locks])
        stamp = {"inputs": self.inputs(), "python": interpreter.executable, "chosen": self.chosen}
        self.stamp.write_text(json.dumps(stamp), encoding="utf-8")

    def _made_by(self, interpreter: Interpreter) -> bool:
        mine = probe(str(self.python))
        return mine is not None and mine == interpreter

    def _create(self, interpreter: Interpreter) -> None:
        if self.venv.exists():
            shutil.rmtree(self.venv)
        made = self._call([interpreter.executable, "-m", "venv", str(self.venv)])
        if made.returncode == 0:
            return
        shutil.rmtree(self.venv, ignore_errors=True)
        uv = find_uv(self.environment, self.home)
        if uv is None:
            raise SetupError(
                f"{interpreter.executable} can't make a virtual environment:\n{made.stdout}{made.stderr}\n"
                "On Debian and Ubuntu: apt install python3.13-venv. Elsewhere: install uv, which needs none."
            )
        self._run([uv, "venv", "--quiet", "--seed", "--python", interpreter.executable, str(self.venv)])

    def _call(self, command: list[str], *, captured: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {
            name: value
            for name, value in self.environment.items()
            if name not in ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "PIP_USER", "PIP_TARGET")
        }
        environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
        return subprocess.run(
            command, cwd=self.root, env=environment, capture_output=captured, text=True, check=False
        )

    def _run(self, command: list[str]) -> None:
        if self._call(command, captured=False).returncode != 0:
            raise SetupError(
                f"This failed, see above:\n    {' '.join(command)}\n"
                "If packages could not be fetched: check the network. Behind a mirror, set PIP_INDEX_URL "
                "(pip) and UV_DEFAULT_INDEX (uv) to its address."
            )


def step(text: str) -> None:
    """Tells what begins now."""
    print(f"setup: {text} …", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Make .venv from the lock files, if it isn't up to date.")
    parser.add_argument("--force", action="store_true", help="do it even if nothing has changed")
    force = parser.parse_args().force
    checkout = Checkout(ROOT, os.environ, Path.home())
    if checkout.up_to_date() and not force:
        return 0
    began = time.monotonic()
    try:
        checkout.set_up()
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    print(f"setup: done in {time.monotonic() - began:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
