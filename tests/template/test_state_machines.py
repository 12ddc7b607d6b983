"""cfn-lint never opens a DefinitionUri file: what it would check there, and more, is checked here."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import jsonata  # type: ignore[import-untyped] # ships no types
import pytest
from cfnlint.api import lint  # type: ignore[import-untyped] # ships no types
from cfnlint.config import ManualArgs  # type: ignore[import-untyped] # ships no types

from signalbox import errors
from signalbox.spot.verification import LONGEST_SECONDS, PAUSES_SECONDS
from tests.template.sources import (
    PLACEHOLDER,
    Node,
    StateMachine,
    as_list,
    resources,
    scopes,
    state_machines,
    states,
    template,
)

MACHINES = state_machines()
TASKS = [
    pytest.param(machine, name, id=f"{machine.name}-{name}")
    for machine in MACHINES
    for name, state in states(machine.definition).items()
    if state["Type"] == "Task"
]
ARN = "arn:aws:lambda:us-east-1:123456789012:function:stub"
TRANSIENTS = [
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    "ThrottledError",
    "UnavailableError",
]
DIED = ["Lambda.Unknown", "Sandbox.Timedout"]
"""A function that ran out of memory or time ("Handling errors in Step Functions workflows")."""
TRIED_AGAIN_THOUGH_IT_DIED = {"PackagesReleaseStateMachine"}  # nobody else would take a release up
LONGEST_EXPRESS_SECONDS = 300  # "Step Functions service quotas", Step Functions Developer Guide
# States that call a function under another name than its own, and why.
SAME_FUNCTION_AGAIN = {
    ("Spot", "PublishOutcomes"): "PublishAlerts",  # settling adds alerts to those of the act phase
    ("Spot", "KeepHooks"): "VerifyWindow",  # which goes on with it
    ("Documents", "SettleFailure"): "SettleDocument",  # a try that failed is settled too
    ("Packages", "SettleFailure"): "SettleRelease",  # the same
}
QUICKLY = {"IntervalSeconds": 1, "MaxAttempts": 3, "BackoffRate": 2, "MaxDelaySeconds": 5}
PATIENTLY = {"IntervalSeconds": 2, "MaxAttempts": 6, "BackoffRate": 2, "MaxDelaySeconds": 60}
PACES = {
    "SpotWindowStateMachine": QUICKLY,  # there are two minutes
    "DocumentsObjectStateMachine": QUICKLY,  # the message comes again
    "PackagesReleaseStateMachine": PATIENTLY,  # after the last try a person has to come
}
PACES_OF_THEIR_OWN = {
    "PromoteVersion": PATIENTLY | {"MaxAttempts": 10},  # five copies a second are allowed to all releases
}
ALSO_TRIED_AGAIN = {"BuildWave": [["BuildsHeldBackError"]]}  # CodeBuild's queue is full: that takes its time

machines = pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)


def findings(definition: Node) -> list[str]:
    """What cfn-lint says about a definition that it is given to see."""
    embedded = {
        "Resources": {
            "Machine": {
                "Type": "AWS::StepFunctions::StateMachine",
                "Properties": {
                    "RoleArn": "arn:aws:iam::123456789012:role/stub",
                    "Definition": definition,
                },
            }
        }
    }
    matches = lint(json.dumps(embedded), config=ManualArgs(regions=["us-east-1"]))
    return [f"{match.rule.id} {match.message}" for match in matches]


def substituted(machine: StateMachine) -> Node:
    return machine.substituted(
        {name: "2" if name.endswith("Seconds") else ARN for name in machine.substitutions}
    )


@machines
def test_the_definition_is_valid(machine: StateMachine) -> None:
    assert findings(substituted(machine)) == []


@machines
def test_cfn_lint_would_tell(machine: StateMachine) -> None:
    broken = substituted(machine)
    next(state for state in broken["States"].values() if state["Type"] == "Task")["InputPath"] = "$.window"
    assert findings(broken) != []


def test_every_definition_belongs_to_a_state_machine() -> None:
    folder = MACHINES[0].path.parent
    assert sorted(folder.glob("*")) == sorted(machine.path for machine in MACHINES)


@machines
def test_the_placeholders_are_the_substitutions(machine: StateMachine) -> None:
    found = PLACEHOLDER.findall(machine.text)
    assert set(found) == machine.substitutions.keys()
    assert len(found) == machine.text.count("${")


@machines
def test_a_function_keeps_its_name_all_the_way(machine: StateMachine) -> None:
    domain = machine.path.name.partition("_")[0].capitalize()
    for placeholder, value in machine.substitutions.items():
        if placeholder.endswith("FunctionArn"):
            assert value == {"Ref": f"{placeholder.removesuffix('Arn')}.Alias"}
        else:
            assert value == {"Ref": placeholder}
    for name, state in states(machine.definition).items():
        if state["Type"] == "Task":
            function = SAME_FUNCTION_AGAIN.get((domain, name), name)
            assert state["Arguments"]["FunctionName"] == f"${{{domain}{function}FunctionArn}}"


def following(state: Node) -> Iterator[str]:
    """Every state that may come next, after an error too."""
    yield from (state[key] for key in ("Next", "Default") if key in state)
    yield from (rule["Next"] for key in ("Choices", "Catch") for rule in state.get(key, []))


@machines
def test_every_state_can_be_reached_and_none_leads_nowhere(machine: StateMachine) -> None:
    for scope in scopes(machine.definition):
        reached: set[str] = set()
        waiting = [scope["StartAt"]]
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting += following(scope["States"][name])
        assert reached == scope["States"].keys()


@machines
def test_every_state_goes_on_or_ends(machine: StateMachine) -> None:
    for name, state in states(machine.definition).items():
        ends = state.get("End", False) or state["Type"] in {"Succeed", "Fail"}
        assert ends != ("Next" in state or state["Type"] == "Choice"), name
        assert ("Default" in state) == (state["Type"] == "Choice"), name


@machines
def test_names_are_unique_in_the_whole_machine(machine: StateMachine) -> None:
    names = [name for scope in scopes(machine.definition) for name in scope["States"]]
    assert len(names) == len(set(names))


@machines
def test_every_state_says_what_it_is_for(machine: StateMachine) -> None:
    assert machine.definition["QueryLanguage"] == "JSONata"
    for name, state in {"the machine": machine.definition, **states(machine.definition)}.items():
        assert state["Comment"].endswith("."), name


@pytest.mark.parametrize(("machine", "name"), TASKS)
def test_a_task_is_tried_again_on_named_transients_only(machine: StateMachine, name: str) -> None:
    state = states(machine.definition)[name]
    *others, retry = state["Retry"]
    assert [each["ErrorEquals"] for each in others] == ALSO_TRIED_AGAIN.get(name, [])
    assert {each["JitterStrategy"] for each in others} <= {"FULL"}
    pace = PACES_OF_THEIR_OWN.get(name, PACES[machine.name])
    named = TRANSIENTS + (DIED if machine.name in TRIED_AGAIN_THOUGH_IT_DIED else [])
    assert retry == {"ErrorEquals": named, **pace, "JitterStrategy": "FULL"}


def transient(catch: Node) -> str:
    """What a catch says about trying again, in its Output or in an expression of its Assign."""
    said: list[str] = re.findall(r'Transient\\*": (true|false)', json.dumps(catch))
    return ",".join(said)


def tells_transients_apart(_name: str, catches: list[Node]) -> None:
    """A window goes on whatever failed, and says of each error whether it could have passed."""
    specific, everything = catches
    assert {*TRANSIENTS, "States.Timeout", "Sandbox.Timedout"} == set(specific["ErrorEquals"])
    assert everything["ErrorEquals"] == ["States.ALL"]
    assert [transient(specific), transient(everything)] == ["true", "false"]


def notes_the_failure(name: str, catches: list[Node]) -> None:
    """An object's execution ends, whatever failed: the message comes again."""
    [everything] = catches
    settles_the_failure(name, everything, "TryFailed")


def settles_or_looks_again(name: str, catches: list[Node]) -> None:
    """A release's execution ends, whatever failed. A wave that takes longer than its state is looked at."""
    *waiting, everything = catches
    late = {"ErrorEquals": ["States.Timeout"], "Output": {"next": "build"}, "Next": "NextStep"}
    assert waiting == ([late] if name == "BuildWave" else [])
    settles_the_failure(name, everything, "ReleaseFailed")


def settles_the_failure(name: str, everything: Node, end: str) -> None:
    """What failed is told to the state that records it; what fails there, to the end itself."""
    assert everything["ErrorEquals"] == ["States.ALL"]
    assert everything["Next"] == (end if name == "SettleFailure" else "SettleFailure")
    failure = everything["Assign"]["failure"]
    if name != "SettleFailure":
        assert (failure["step"], failure["error"]) == (name, "{% $states.errorOutput.Error %}")
        assert re.search(r"\$substring\(.*, 0, 2000\)", failure["cause"])


CATCHES: dict[str, Callable[[str, list[Node]], None]] = {
    "SpotWindowStateMachine": tells_transients_apart,
    "DocumentsObjectStateMachine": notes_the_failure,
    "PackagesReleaseStateMachine": settles_or_looks_again,
}


@pytest.mark.parametrize(("machine", "name"), TASKS)
def test_a_task_catches_everything(machine: StateMachine, name: str) -> None:
    CATCHES[machine.name](name, states(machine.definition)[name]["Catch"])


@pytest.mark.parametrize(("machine", "name"), TASKS)
def test_a_function_times_out_before_its_task_does(machine: StateMachine, name: str) -> None:
    """Its own timeout says more than the task's, which is there for an answer that never comes."""
    state = states(machine.definition)[name]
    function = PLACEHOLDER.findall(state["Arguments"]["FunctionName"])[0].removesuffix("Arn")
    properties = resources("AWS::Serverless::Function")[function]["Properties"]
    timeout = properties.get("Timeout", template()["Globals"]["Function"]["Timeout"])
    others = 3600 if state["Resource"].endswith(".waitForTaskToken") else 10  # whoever has the token, too
    assert timeout < state["TimeoutSeconds"] <= timeout + others


@machines
def test_every_error_that_is_named_is_a_transient_one_of_ours(machine: StateMachine) -> None:
    named = {
        error
        for state in states(machine.definition).values()
        for rule in (*state.get("Retry", []), *state.get("Catch", []))
        for error in as_list(rule["ErrorEquals"])
    }
    for name in named:
        if "." not in name:
            assert issubclass(getattr(errors, name), errors.TransientError)


def pass_seconds(state: Node) -> int:
    """The longest that a task may take with all its retries: full jitter waits no longer than the backoff."""
    [retry] = state["Retry"]
    waits = [
        min(retry["IntervalSeconds"] * retry["BackoffRate"] ** attempt, retry["MaxDelaySeconds"])
        for attempt in range(retry["MaxAttempts"])
    ]
    return int((retry["MaxAttempts"] + 1) * state["TimeoutSeconds"] + sum(waits))


def test_the_times_of_a_spot_window_add_up_as_its_comment_says() -> None:
    [machine] = [machine for machine in MACHINES if machine.name == "SpotWindowStateMachine"]
    top = machine.definition["States"]

    def allowed(state: str, variable: str) -> int:
        """What an Assign, of a state or of one of its choices, adds to the time it is."""
        places = (top[state], *top[state].get("Choices", []))
        [expression] = [p["Assign"][variable] for p in places if variable in p.get("Assign", {})]
        return int(re.findall(r"\+\s*(\d+)", expression)[-1]) // 1000

    parameters = template()["Parameters"]
    [ahead] = re.findall(r"\$millis\(\) \+ (\d+)", top["PlanWindow"]["Assign"]["act_until"])
    assert int(ahead) // 1000 == parameters["SpotScheduledLeadSeconds"]["MaxValue"]
    act = [state for branch in top["Act"]["Branches"] for state in branch["States"].values()]
    act_pass = max(pass_seconds(state) for state in act if state["Type"] == "Task")
    figures = {
        "GatherEvents": parameters["SpotWindowSeconds"]["MaxValue"],
        "PlanWindow": pass_seconds(top["PlanWindow"]),
        "Act": int(ahead) // 1000 + allowed("PlanWindow", "act_until") + act_pass,
        "VerifyWindow": allowed("CollectErrors", "verify_until") + pass_seconds(top["VerifyWindow"]),
        "CompleteHooks": allowed("HasCompleteHooks", "complete_until") + pass_seconds(top["CompleteHooks"]),
        "SettleWindow": pass_seconds(top["SettleWindow"]),
        "PublishOutcomes": allowed("SettleWindow", "publish_until") + pass_seconds(top["PublishOutcomes"]),
    }
    stated = {
        name: int(seconds) for name, seconds in re.findall(r"^#   (\w+) +(\d+) ", machine.text, re.MULTILINE)
    }
    assert stated == figures
    [total] = re.findall(r"^# {10,}(\d+) ", machine.text, re.MULTILINE)
    assert int(total) == sum(figures.values())
    assert sum(figures.values()) < machine.definition["TimeoutSeconds"] <= 1.5 * sum(figures.values())


def longest(definition: Node, name: str) -> int:
    """The seconds of the slowest way from a state on, with no step tried again."""
    state = definition["States"][name]
    own: int = state.get("TimeoutSeconds", 0)
    return own + max((longest(definition, after) for after in following(state)), default=0)


def test_an_object_is_settled_in_time_however_slow_its_steps_are() -> None:
    [machine] = [machine for machine in MACHINES if machine.name == "DocumentsObjectStateMachine"]
    definition = machine.definition
    stated = dict(re.findall(r"^#   (\w+) +(\d+)$", machine.text, re.MULTILINE))
    assert {name: definition["States"][name]["TimeoutSeconds"] for name in stated} == {
        name: int(seconds) for name, seconds in stated.items()
    }
    [total] = re.findall(r"^# {10,}(\d+) ", machine.text, re.MULTILINE)
    assert int(total) == sum(map(int, stated.values())) == longest(definition, definition["StartAt"])
    assert machine.properties["Type"] == "EXPRESS"
    assert int(total) < definition["TimeoutSeconds"] < LONGEST_EXPRESS_SECONDS


def test_the_looks_end_before_the_state_machine_stops_them() -> None:
    [machine] = [machine for machine in MACHINES if machine.name == "SpotWindowStateMachine"]
    assigned = machine.definition["States"]["CollectErrors"]["Assign"]["verify_until"]
    [allowed] = re.findall(r"\+ (\d+)", assigned)
    assert int(allowed) / 1000 > LONGEST_SECONDS
    in_steps = LONGEST_SECONDS - sum(PAUSES_SECONDS[:-1])
    assert len(PAUSES_SECONDS) + in_steps / PAUSES_SECONDS[-1] < 100  # passes


def expressions(node: Any) -> Iterator[str]:
    """Every JSONata expression of a part of a definition."""
    if isinstance(node, str) and node.startswith("{%"):
        yield node.removeprefix("{%").removesuffix("%}").strip()
    elif isinstance(node, dict):
        for value in node.values():
            yield from expressions(value)
    elif isinstance(node, list):
        for value in node:
            yield from expressions(value)


@machines
def test_every_expression_is_jsonata(machine: StateMachine) -> None:
    for expression in expressions(machine.definition):
        jsonata.Jsonata.jsonata(expression)


def assigned(states: dict[str, Node]) -> set[str]:
    """The variables that the states of one scope assign."""
    return {
        variable
        for state in states.values()
        for place in (state, *state.get("Choices", []), *state.get("Catch", []))
        for variable in place.get("Assign", {})
    }


@machines
def test_variables_are_assigned_and_branches_keep_to_their_own(machine: StateMachine) -> None:
    """A branch may read the machine's variables; assigning one of the same name is an error on AWS."""
    outer, *branches = scopes(machine.definition)
    common = assigned(outer["States"])
    own = [assigned(branch["States"]) for branch in branches]
    assert not any(common & variables for variables in own)
    assert sum(map(len, own)) == len(set().union(*own))
    for scope, variables in [(outer, common), *zip(branches, [common | v for v in own], strict=True)]:
        alone = {name: {k: v for k, v in s.items() if k != "Branches"} for name, s in scope["States"].items()}
        used = {
            name
            for expression in expressions(alone)
            for name in re.findall(r"\$([a-z_]+)\b(?!\()", expression)
        }
        assert used - {"states"} <= variables
