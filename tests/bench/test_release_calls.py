"""What one release asks of AWS: the functions themselves are run, and every call is counted."""

import pytest

from bench.release_calls import DEPENDENCIES, Asked, calls_table, measure_apart, results
from bench.releasing import Graph
from local.display import terminal

AFFECTED = 36


@pytest.fixture(scope="module")
def asked() -> Asked:
    return measure_apart(Graph(packages=60, affected=AFFECTED))


def test_a_release_is_promoted_with_each_build_started_once(asked: Asked) -> None:
    assert (asked.outcome, asked.affected, asked.waves) == ("promoted", AFFECTED, 6)
    assert sum(calls.get("codebuild:StartBuild", 0) for calls in asked.calls.values()) == AFFECTED


def test_nothing_polls_while_builds_run(asked: Asked) -> None:
    operations = {operation for calls in asked.calls.values() for operation in calls}
    assert {each for each in operations if each.startswith("codebuild:")} == {"codebuild:StartBuild"}
    assert asked.invocations["BuildWave"] == asked.waves


def test_what_codeartifact_is_asked_depends_on_the_version_alone(asked: Asked) -> None:
    """On what it depends on, that is; not on how many depend on it."""
    told = {
        function: {
            operation.removeprefix("codeartifact:"): number
            for operation, number in calls.items()
            if operation.startswith("codeartifact:")
        }
        for function, calls in asked.calls.items()
    }
    assert {function for function, calls in told.items() if calls} == {
        "AdmitEvents",
        "InspectVersion",
        "PromoteVersion",
    }
    assert told["InspectVersion"] == {
        "DescribePackageVersion": 1,
        "DescribeRepository": 2,  # of the source, and of the shared one
        "ListPackageVersionDependencies": 2,
        "ListPackageVersions": 1 + 2 * DEPENDENCIES,
    }
    assert told["PromoteVersion"] == {"CopyPackageVersions": 1, "DescribePackageVersion": 2}
    assert asked.of("codeartifact") == sum(sum(calls.values()) for calls in told.values())


def test_a_plan_takes_a_few_calls(asked: Asked) -> None:
    assert sum(asked.calls["PlanRelease"].values()) <= 12


def test_the_ledger_is_written_a_few_times_a_build(asked: Asked) -> None:
    writes = sum(calls.get("dynamodb:PutItem", 0) for calls in asked.calls.values())
    assert writes <= 2 * AFFECTED + 40


def test_the_figures_are_shown_and_named(asked: Asked) -> None:
    named = dict(results([asked]))
    assert named["release.60.36.calls"] == asked.total
    assert named["release.60.36.PromoteVersion.codeartifact:CopyPackageVersions"] == 1
    console = terminal()
    with console.capture() as shown:
        console.print(calls_table(asked))
    assert "CopyPackageVersions" in shown.get()
