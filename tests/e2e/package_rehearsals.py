"""What each role of the Packages domain is for, done once on the deployed stack (`tests.e2e.rehearsals`)."""

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from local import events
from local.settings import ACCOUNT, REGION, ROOT
from local.workshop import Made, Workshop
from signalbox.clock import iso
from signalbox.deployment.probing import PROBE
from signalbox.ledger.records import Record
from signalbox.packages.entries import Entry, Purpose, Step, Waiting, build_key, record_of
from signalbox.packages.events import OWN_SOURCE, RETRY_REQUESTED
from signalbox.packages.releases import Build, Progress, Reason, Release, State
from tests.e2e.packages import changed_machine
from tests.e2e.stack import Event, Stack, batch_of, new_id, wait_until

if TYPE_CHECKING:
    from tests.e2e.rehearsals import Stage

PUBLISHED = ROOT / "events" / "packages" / "version_published.json"
BUILT = ROOT / "events" / "packages" / "build_succeeded.json"
PROJECT = "rebuild-rehearsal"
VERSION = "1.1.0"
ONE, TWO, THREE = (f"npm/rehearsal/{name}" for name in ("one", "two", "three"))
"""Dependents that are built."""


def workshop(stage: "Stage") -> Workshop:
    return Workshop(stage.stack.aws, stage.stack.outputs)


def published(stage: "Stage") -> Made:
    """A version that the stack has not been told of, after another one, with something that it needs."""
    package = f"npm/rehearsal/core-{next(stage.numbers)}"
    made = [
        Made(package, version, depends_on={"npm/rehearsal/needed": "^1.0.0"})
        for version in ("1.0.0", VERSION)
    ]
    with workshop(stage).unheard():
        workshop(stage).publish(*made)
    return made[-1]


def entered(stage: "Stage", made: Made | None = None, waiting: Waiting | None = None, **release: Any) -> str:
    """Puts a release into the ledger, as it stands; its key."""
    made = made or Made(f"npm/rehearsal/none-{next(stage.numbers)}", VERSION)
    key = f"{made.package}/{made.version}"
    of = Release(version=key, **{"revision": "none", "sequence": 1, "acts": True, **release})
    entry = Entry(
        release=of,
        version=made.version,
        repository=made.repository,
        published_at=time.time(),
        changed_at=time.time(),
        projects=dict.fromkeys((ONE, TWO, THREE), PROJECT),
        waiting=waiting,
    )
    assert not stage.stack.ledger.put_records([record_of(entry)])
    return key


def ask(stage: "Stage", function_id: str, release: str, **more: Any) -> str:
    """What a step's function says to a task and to a probe, in an environment that remembers nothing."""
    task = {"release": release, "round": 1, "tries": 0, **more}
    with stage.stack.variable(function_id, "POWERTOOLS_SERVICE_NAME", f"rehearsal-{next(stage.numbers)}"):
        said = stage.invoke(function_id, task)
    return said + stage.invoke(function_id, {PROBE: "rehearsal"})


def revision(stage: "Stage", made: Made) -> str:
    return workshop(stage).revision(made.package, made.version, made.repository)


def inspect(stage: "Stage") -> str:
    made = published(stage)
    release = entered(stage, made, revision=revision(stage, made))
    return ask(stage, "PackagesInspectVersionFunction", release)


def plan(stage: "Stage") -> str:
    return ask(stage, "PackagesPlanReleaseFunction", entered(stage, state=State.INSPECTED))


def promote(stage: "Stage") -> str:
    made = published(stage)
    release = entered(stage, made, revision=revision(stage, made), state=State.READY)
    return ask(stage, "PackagesPromoteVersionFunction", release)


def settle(stage: "Stage") -> str:
    """Superseded, with a build that is needless now."""
    builds = {ONE: Build(Progress.RUNNING, id=ended_build(stage))}
    release = entered(
        stage, state=State.SUPERSEDED, by="npm/rehearsal/newer/2.0.0", waves=((ONE,),), builds=builds
    )
    stage.stack.inbox.drain()
    said = ask(stage, "PackagesSettleReleaseFunction", release)
    return said + str(stage.stack.inbox.drain().alerts)  # owners that can't be read are told of


def waiting(tries: int = 0) -> Waiting:
    """An execution that there is none of: to let it go says nothing to anybody."""
    return Waiting(token="rehearsal", round=1, tries=tries, wave=0)


def ended_build(stage: "Stage") -> str:
    """The id of a build that has ended; nobody has asked for it."""
    workshop(stage).put_project(PROJECT, "true")
    client = stage.stack.aws.client("codebuild")
    build: str = client.start_build(projectName=PROJECT)["build"]["id"]
    wait_until(lambda: client.batch_get_builds(ids=[build])["builds"][0]["buildComplete"], "a build ends")
    return build


def wave(stage: "Stage", build: str) -> dict[str, Any]:
    """A wave of which one build runs, one was perhaps started by somebody who died, one is due."""
    builds = {
        ONE: Build(Progress.RUNNING, id=build),
        TWO: Build(Progress.STARTING, lease_until=time.time() - 1),
        THREE: Build(),
    }
    return {"state": State.BUILDING, "waves": ((ONE, TWO, THREE),), "builds": builds}


def build_wave(stage: "Stage") -> str:
    """Somebody waits in vain, too: an execution of a try that is past."""
    release = entered(stage, waiting=waiting(tries=7), **wave(stage, ended_build(stage)))
    said = ask(stage, "PackagesBuildWaveFunction", release, token="rehearsal")
    return said + str(workshop(stage).entries(release))


def admit_builds(stage: "Stage") -> str:
    """The end of a build whose place others wait for, that of the last one of a wave, and one of nobody's."""
    carried_on, last = ended_build(stage), ended_build(stage)
    first = entered(stage, waiting=waiting(), **wave(stage, carried_on))
    running = {ONE: Build(Progress.RUNNING, id=last)}
    second = entered(stage, waiting=waiting(), state=State.BUILDING, waves=((ONE,),), builds=running)
    for release, build in ((first, carried_on), (second, last)):
        purpose = Purpose(release=release, round=1, package=ONE, attempt=1)
        assert not stage.stack.ledger.put_records([Record(build_key(build), msgspec.to_builtins(purpose))])
    function = "PackagesAdmitBuildsFunction"
    bodies = [json.dumps(build_event(build)) for build in (carried_on, last, f"{PROJECT}:{new_id()}")]
    said = stage.invoke(function, batch_of(bodies)) + stage.invoke(function, {PROBE: "rehearsal"})
    of_no_interest = json.dumps(build_event(last, "IN_PROGRESS"))
    said += stage.take_from_queue("PackagesBuildsQueue", function, of_no_interest)
    return said + str(workshop(stage).entries(first))


def build_event(build: str, status: str = "SUCCEEDED") -> Event:
    [event] = events.fill(events.read(BUILT), events.Values(datetime.now(UTC), iter(())))
    arn = f"arn:aws:codebuild:{REGION}:{ACCOUNT}:build/{build}"
    information = {**event["detail"]["additional-information"], "phases": []}
    detail = {
        "build-status": status,
        "project-name": PROJECT,
        "build-id": arn,
        "additional-information": information,
    }
    return {**event, "detail": {**event["detail"], **detail}}


def admit(stage: "Stage") -> str:
    """A version that is new, another try of one that the policy denied, and a version of nobody's."""
    made = published(stage)
    denied = entered(stage, state=State.FAILED, reason=Reason.POLICY, waiting=waiting())
    bodies = [json.dumps(version_event(made)), json.dumps(retry_of(denied))]
    function = "PackagesAdmitEventsFunction"
    said = stage.invoke(function, batch_of(bodies)) + stage.invoke(function, {PROBE: "rehearsal"})
    elsewhere = json.dumps(version_event(Made(made.package, VERSION, "nobodys")))
    return said + stage.take_from_queue("PackagesIntakeQueue", function, elsewhere)


def version_event(made: Made) -> Event:
    [event] = events.fill(events.read(PUBLISHED), events.Values(datetime.now(UTC), iter(())))
    _, namespace, name = made.package.split("/")
    detail = {
        "packageNamespace": namespace,
        "packageName": name,
        "packageVersion": made.version,
        "repositoryName": made.repository,
    }
    return {**event, "detail": {**event["detail"], **detail}}


def retry_of(release: str) -> Event:
    return {
        "version": "0",
        "id": new_id(),
        "source": OWN_SOURCE,
        "detail-type": RETRY_REQUESTED,
        "account": ACCOUNT,
        "region": REGION,
        "time": iso(time.time()),
        "resources": [],
        "detail": {"release": release, "round": 1, "tries": 0, "acts": False},
    }


def rebuild_index(stage: "Stage") -> str:
    published(stage)
    function = "PackagesRebuildIndexFunction"
    return stage.invoke(function, {}) + stage.invoke(function, {PROBE: "rehearsal"})


def run_machine(stage: "Stage") -> str:
    """An execution that begins with each step, of a release that is over: nothing is left to be done."""
    states, arn = stage.stack.aws.client("stepfunctions"), stage.stack.outputs["PackagesStateMachineArn"]
    with changed_machine(stage.stack, impatient):
        begun = [
            states.start_execution(
                stateMachineArn=arn,
                name=new_id(),
                input=json.dumps({"release": over, "round": 1, "tries": 0, "next": step}),
            )["executionArn"]
            for step in Step
            for over in [entered(stage, state=State.PROMOTED)]
        ]
        running = [partial(states.describe_execution, executionArn=each) for each in begun]
        wait_until(
            lambda: all(describe()["status"] != "RUNNING" for describe in running), "the executions end"
        )
    pages = states.get_paginator("get_execution_history")
    return str([page["events"] for each in begun for page in pages.paginate(executionArn=each)])


def impatient(definition: dict[str, Any]) -> None:
    """Nothing is tried again: what a role may not invoke AWS reports as a failure of Lambda's."""
    for state in definition["States"].values():
        state.pop("Retry", None)


def run_job(stage: "Stage") -> str:
    """What the nightly build says: its log, and how its phases ended."""
    client = stage.stack.aws.client("codebuild")
    build = client.start_build(projectName=stage.stack.physical("PackagesRebuildIndexProject"))["build"]["id"]

    def ended() -> dict[str, Any]:
        [found] = client.batch_get_builds(ids=[build])["builds"]
        return dict(found) if found["buildComplete"] else {}

    done = wait_until(ended, "the job ends")
    logs = stage.stack.aws.client("logs")
    told = logs.get_log_events(
        logGroupName=done["logs"]["groupName"], logStreamName=done["logs"]["streamName"]
    )["events"]
    said = "\n".join([str(done["phases"]), *(each["message"] for each in told)])
    assert done["buildStatus"] == "SUCCEEDED" or "not authorized" in said, said
    return said


def schedule_job(stage: "Stage") -> str:
    """Has an event start what is due every night: the same target, the same role."""
    stack = stage.stack
    client, rule, log = (
        stack.aws.client("events"),
        stack.physical("PackagesRebuildIndexSchedule"),
        spine_log(stack),
    )
    before = client.describe_rule(Name=rule)
    begun = len(log.read_text())
    try:
        client.put_rule(Name=rule, EventPattern=json.dumps({"source": ["rehearsal"]}), State="ENABLED")
        stage.scene.send(
            {
                "id": new_id(),
                "source": "rehearsal",
                "detail-type": "rehearsal",
                "detail": {},
                "account": ACCOUNT,
                "region": REGION,
                "time": iso(time.time()),
                "resources": [],
            }
        )
    finally:
        client.put_rule(Name=rule, ScheduleExpression=before["ScheduleExpression"], State=before["State"])
    return log.read_text()[begun:]


def spine_log(stack: Stack) -> Path:
    return stack.aws.state / "logs" / "spine.log"


PACKAGE_REHEARSALS: Mapping[str, Callable[["Stage"], str]] = {
    "PackagesAdmitBuildsFunctionRole": admit_builds,
    "PackagesAdmitEventsFunctionRole": admit,
    "PackagesBuildWaveFunctionRole": build_wave,
    "PackagesInspectVersionFunctionRole": inspect,
    "PackagesPlanReleaseFunctionRole": plan,
    "PackagesPromoteVersionFunctionRole": promote,
    "PackagesRebuildIndexFunctionRole": rebuild_index,
    "PackagesRebuildIndexProjectRole": run_job,
    "PackagesRebuildIndexScheduleRole": schedule_job,
    "PackagesReleaseStateMachineRole": run_machine,
    "PackagesSettleReleaseFunctionRole": settle,
}
"""The role that needs it → the rehearsal."""
