"""What somebody is to do, and that what they paste does that and nothing else."""

import shlex

import pytest
from msgspec.structs import replace

from signalbox.packages.advice import Place, what_to_do
from signalbox.packages.findings import Level, Objection
from signalbox.packages.outcomes import settlement_of
from tests.unit.packages.settlements import (
    ENTRIES,
    FORMS,
    KEY,
    NOON,
    PLACE,
    SHOP,
    settlement,
    task_of,
)


def steps(name: str, *, releases: bool = True, failed: tuple[str, ...] = ()) -> str:
    return "\n".join(what_to_do(settlement(name), PLACE, releases=releases, failed=failed))


@pytest.mark.parametrize(
    ("stack", "command"),
    [
        ("signalbox-prod", f'make releases STAGE=prod ARGS="retry {KEY} --yes"'),
        ("signalbox-local", f'make releases STAGE=local ARGS="retry {KEY} --yes"'),
        ("signalbox-pr-7", f'make releases STACK="--stack signalbox-pr-7" ARGS="retry {KEY} --yes"'),
        ("acme", f'make releases STACK="--stack acme" ARGS="retry {KEY} --yes"'),
    ],
)
def test_the_command_is_that_of_the_stack(stack: str, command: str) -> None:
    assert Place(stack, "acme", "shared").command("retry", KEY, "--yes") == command


@pytest.mark.parametrize("name", ["a'; reboot; '", "$(reboot)", "`reboot`", 'a"b', "a|b", "ümlaut", "a\\"])
def test_a_package_with_an_odd_name_runs_nothing_else(name: str) -> None:
    """CodeArtifact takes every character but #, / and spaces."""
    key = f"npm//{name}/1.0.0"
    typed = shlex.split(Place("signalbox-dev", "acme", "shared").command("retry", key, "--yes"))
    assert typed == [
        *[".venv/bin/python", "-m", "operations", "releases", "retry"],
        key,
        *["--yes", "--stack", "signalbox-dev"],
    ]


@pytest.mark.parametrize("name", ENTRIES)
def test_everybody_is_told_where_all_of_it_stands(name: str) -> None:
    assert f"show {KEY}" in steps(name)


@pytest.mark.parametrize(
    ("name", "again"),
    [
        ("planned", False),
        ("promoted", False),
        ("superseded", False),
        ("withdrawn", False),
        ("denied", True),
        ("build-stopped", True),
        ("refused", True),
        ("stuck", True),
    ],
)
def test_another_try_is_offered_where_there_can_be_one(name: str, again: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    assert (f"retry {KEY} --yes" in steps(name)) is again


@pytest.mark.parametrize(
    ("codes", "said", "unsaid"),
    [
        (
            ["license"],
            ["Publish a version that the policy allows."],
            ["Name an owner", "Break the cycle"],
        ),
        (["no-project"], ['ARGS="owners put OWNER FILE --yes"'], ["Publish a version"]),
        (["cycle"], ["Break the cycle"], ["Publish a version that the policy allows"]),
        (["missing-dependency"], ["Publish what is missing"], ["a version that the policy allows"]),
        (["unshared-dependency"], ["promoted first"], ["a version that the policy allows"]),
        (["too-many-affected"], [], ["Publish a version"]),
        (["cycle", "license"], ["Break the cycle", "Publish a version that the policy allows."], []),
    ],
)
def test_what_the_policy_stopped_is_mended_where_it_is_wrong(
    codes: list[str], said: list[str], unsaid: list[str]
) -> None:
    objections = tuple(Objection(code, Level.DENY, "it is so") for code in codes)
    warned = Objection("no-project" if "license" in codes else "license", Level.WARN, "it is so")
    entry = replace(ENTRIES["denied"], objections=(*objections, warned))
    steps = "\n".join(what_to_do(settlement_of(entry, task_of(entry), NOON), PLACE, releases=True, failed=()))
    assert all(each in steps for each in [*said, "Or change the policy", f"retry {KEY} --yes"])
    assert not any(each in steps for each in unsaid)


def test_a_dry_run_says_how_to_make_it_real() -> None:
    assert f"approve {KEY} --yes" in steps("planned")


def test_those_whose_builds_failed_look_at_their_own() -> None:
    told = steps("build-failed", releases=False, failed=(SHOP,))
    assert "aws codebuild batch-get-builds --ids rebuild-shop:0001\n" in told
    assert f"retry {KEY} --yes" in told
    assert "publish a mended one" not in told


def test_whose_version_it_is_may_mend_that() -> None:
    told = steps("build-failed", failed=(FORMS,))
    assert "publish a mended one" in told
    assert "rebuild-forms:0001" in told
    only = steps("build-failed")
    assert "publish a mended one" in only
    assert "batch-get-builds" not in only
