"""The functions that build a wave: from the workflow's task and the queue's records to what they answer."""

import json
import subprocess
import sys
from typing import Any

import pytest

from signalbox.errors import BuildsHeldBackError
from signalbox.packages.releases import State
from tests.template.sources import ROOT
from tests.unit.functions.test_handlers import HANDLERS, handle
from tests.unit.packages.building_site import Site


def task_of(site: Site) -> dict[str, Any]:
    task = site.task()
    return {"release": task.release, "round": task.round, "tries": task.tries, "token": task.token}


def metrics(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What was written since, by the names of the metrics."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {
        each["Name"]: line[each["Name"]]
        for line in lines
        if "_aws" in line
        for each in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
    }


def test_the_step_says_how_many_builds_it_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site = Site(["a", "b"])
    site.codebuild.projects.remove("rebuild-b")
    answer = handle("PackagesBuildWaveFunction", site.step, task_of(site), monkeypatch)
    assert answer == {"started": 1}
    assert metrics(capsys) == {"BuildsStarted": 1.0, "BuildsFailed": 1.0}


def test_the_step_fails_for_now_where_there_is_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(["a"])
    site.codebuild.places = 0
    with pytest.raises(BuildsHeldBackError):
        handle("PackagesBuildWaveFunction", site.step, task_of(site), monkeypatch)


def test_the_ends_of_builds_answer_with_what_must_come_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site = Site(["a"])
    site.build()
    site.now += 90
    records = [
        {
            "messageId": f"m{number}",
            "receiptHandle": f"r{number}",
            "body": text,
            "attributes": {"ApproximateReceiveCount": "1"},
        }
        for number, text in enumerate(["no json", *site.end()])
    ]
    capsys.readouterr()
    answer = handle("PackagesAdmitBuildsFunction", site.builds, {"Records": records}, monkeypatch)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert site.release.state is State.READY
    assert metrics(capsys) == {
        "EventsAdmitted": 1.0,
        "EventsReturned": 1.0,
        "EventAge": 0.0,
        "BuildsSucceeded": 1.0,
        "BuildSeconds": 90.0,
    }


@pytest.mark.parametrize("name", ["PackagesBuildWaveFunction", "PackagesAdmitBuildsFunction"])
def test_no_rules_of_versions_are_loaded(name: str) -> None:
    """They are in a layer that these functions do not have."""
    code = f"""
import sys
sys.path[:] = {[str(HANDLERS[name].parent), str(ROOT / "layers" / "signalbox"), *sys.path]!r}
import handler
assert not {{"packaging", "nodesemver", "signalbox.packages.versions"}} & sys.modules.keys()
"""
    done = subprocess.run(  # noqa: S603 - this interpreter, the code above
        [sys.executable, "-I", "-c", code], env={}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
