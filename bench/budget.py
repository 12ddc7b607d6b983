"""How many modules a function may load before its first event: what a cold start costs on any machine.

Counted on the sources and the libraries of .venv, in an interpreter that finds nothing but what Lambda would
load. bench/budget.toml holds what is allowed; --renew allows what there is now: say in the commit why.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from cfnlint.decode.cfn_yaml import loads  # type: ignore[import-untyped] # ships no types

from bench.functions import LAYERS_OF_SOME, RUNTIME, Function, functions_of, link, locked
from local.settings import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

BUDGET = ROOT / "bench" / "budget.toml"
SHOWN = 12
ROOM = 5
"""Modules beyond what there is when the budget is renewed: for some more of our own, for no library."""
NEVER = {
    "aiohttp": "aws-embedded-metrics asks EC2 with it where it runs; layers/dependencies has a stand-in",
    "boto3": "botocore makes the clients (signalbox.aws.clients)",
    "jsonschema": "msgspec says what is wrong with an input",
    "multiprocessing": "nothing here starts a process",
    "pydantic": "msgspec does it in a tenth of the time",
    "requests": "botocore brings urllib3",
    "s3transfer": "comes with boto3",
    "sqlite3": "the X-Ray SDK patches botocore alone (signalbox.telemetry)",
    "unittest": "belongs to the tests",
}
STAND_INS = ROOT / "layers" / "dependencies" / "stand_ins"
COUNT = """
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
before = set(sys.modules)
import handler
imported = len(set(sys.modules) - before)
wire = handler.use_case
if wire.__wrapped__.__code__.co_argcount:
    wire(handler.Home())
else:
    wire()
loaded = set(sys.modules) - before
files = {name: getattr(sys.modules[name], "__file__", None) for name in loaded if sys.modules[name]}
print(json.dumps({"imported": imported, "files": files}))
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What one function loads: modules at import, and with their files (None: built in) once it is wired."""

    imported: int
    files: Mapping[str, str | None]

    @property
    def packages(self) -> Counter[str]:
        return Counter(name.partition(".")[0] for name in self.files)


@dataclass(frozen=True, slots=True)
class Budget:
    """What is allowed: modules of each function, at import and wired; of each package in any function."""

    functions: Mapping[str, tuple[int, int]]
    packages: Mapping[str, int]

    @classmethod
    def of(cls, loads: Mapping[str, Load], room: int = 0) -> Budget:
        """What is loaded, and room for so many modules more in each function."""
        packages: Counter[str] = Counter()
        for load in loads.values():
            packages |= load.packages
        functions = {name: (load.imported + room, len(load.files) + room) for name, load in loads.items()}
        return cls(functions, packages)

    @classmethod
    def parse(cls, text: str) -> Budget:
        found = tomllib.loads(text)
        functions = {name: (own["imported"], own["wired"]) for name, own in found["functions"].items()}
        return cls(functions, found["packages"])

    def text(self) -> str:
        """As `parse` reads it."""
        functions = [
            f"{name} = {{ imported = {imported}, wired = {wired} }}"
            for name, (imported, wired) in sorted(self.functions.items())
        ]
        packages = [f'"{name}" = {count}' for name, count in sorted(self.packages.items())]
        return "\n".join([_HEAD, "[functions]", *functions, "", "[packages]", *packages, ""])


_HEAD = """\
# Modules that a function may load before its first event, and what any function loads of each package.
# Checked by `make check`; renewed by `python -m bench.budget --renew`.
"""


def complaints(loads: Mapping[str, Load], budget: Budget) -> Iterator[str]:
    """What exceeds the budget, function by function, with what is new in it, the largest first."""
    for name, load in loads.items():
        for package in sorted(load.packages.keys() & NEVER.keys()):
            if load.packages[package] and not _is_stand_in(load, package):
                yield f"{name} loads {package}, which no function may: {NEVER[package]}"
        allowed = budget.functions.get(name)
        if allowed is None:
            yield f"{name} has no budget: renew it"
        elif load.imported > allowed[0] or len(load.files) > allowed[1]:
            yield (
                f"{name} loads {load.imported} modules at import, {len(load.files)} once wired;"
                f" allowed are {allowed[0]} and {allowed[1]}. {_news(load, budget)}"
            )
    for name in sorted(budget.functions.keys() - loads.keys()):
        yield f"{name} has a budget and is no function of the template any more: renew it"


def _news(load: Load, budget: Budget) -> str:
    grown = {
        package: count - budget.packages.get(package, 0)
        for package, count in load.packages.items()
        if count > budget.packages.get(package, 0)
    }
    if not grown:
        return "None of it is new to all functions: this one now loads what only others did."
    sizes = {package: _bytes(load, package) for package in grown}
    largest = sorted(grown, key=lambda package: -sizes[package])[:SHOWN]
    shown = [
        f"{package} ({grown[package]} of {load.packages[package]}, {sizes[package] / 1000:.0f} kB in all)"
        for package in largest
    ]
    return f"New: {', '.join(shown)}."


def _bytes(load: Load, package: str) -> int:
    files = {file for name, file in load.files.items() if name.partition(".")[0] == package and file}
    return sum(Path(file).stat().st_size for file in files if Path(file).exists())


def _is_stand_in(load: Load, package: str) -> bool:
    return (load.files.get(package) or "").startswith(str(STAND_INS))


def measure() -> dict[str, Load]:
    """Loads every function of the template."""
    template = loads(ROOT.joinpath("template.yaml").read_text())
    functions = functions_of(template, {})
    with TemporaryDirectory(prefix="signalbox-budget-") as name:
        folder = Path(name)
        dependencies = [STAND_INS, link(locked("dependencies"), folder / "dependencies")]
        layers = {
            "DependenciesLayer": dependencies,
            "SignalboxLayer": [ROOT / "layers" / "signalbox"],
            **{layer: [link(locked(name), folder / name)] for layer, name in LAYERS_OF_SOME.items()},
        }
        runtime = link(RUNTIME, folder / "runtime")
        return {
            name: _load(
                function,
                ROOT / template["Resources"][name]["Properties"]["CodeUri"],
                [path for layer in function.layers for path in layers[layer]] + [runtime],
            )
            for name, function in functions.items()
        }


def _load(function: Function, folder: Path, libraries: Sequence[Path]) -> Load:
    done = subprocess.run(  # noqa: S603 - this interpreter, the code above
        [sys.executable, "-I", "-S", "-B", "-c", COUNT, json.dumps([str(p) for p in (folder, *libraries)])],
        env=function.environment(folder) | {"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{function.name} can't be loaded:\n{done.stderr}")
    found = json.loads(done.stdout.splitlines()[-1])
    return Load(found["imported"], found["files"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 within the budget, 1 not."""
    parser = argparse.ArgumentParser(prog="python -m bench.budget", description=__doc__.splitlines()[0])
    parser.add_argument("--renew", action="store_true", help="allow what is loaded now")
    options = parser.parse_args(arguments)
    found = measure()
    if options.renew:
        BUDGET.write_text(Budget.of(found, ROOM).text())
    wrong = list(complaints(found, Budget.parse(BUDGET.read_text())))
    for complaint in wrong:
        sys.stderr.write(f"{complaint}\n")
    if wrong:
        sys.stderr.write("If that is meant: python -m bench.budget --renew, and say why in the commit.\n")
        return 1
    most = max(len(load.files) for load in found.values())
    sys.stdout.write(f"Cold starts: {len(found)} functions within their budgets, {most} modules at most\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
