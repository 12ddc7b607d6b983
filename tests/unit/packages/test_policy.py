import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.errors import RejectedError
from signalbox.packages.coordinates import PackageVersion
from signalbox.packages.dependents import Kind
from signalbox.packages.findings import Finding, Level, Objection
from signalbox.packages.planning import Reach
from signalbox.packages.policy import (
    MOST_RECORDED,
    Inspected,
    Judgement,
    Policy,
    judge_findings,
    judge_version,
    parse_policy,
)
from signalbox.packages.repositories import License
from tests.unit.packages.graphs_of_packages import dependency, key


def policy(**members: Any) -> Policy:
    return parse_policy(json.dumps(members))


def inspected(
    version: str, *on: str, licenses: tuple[License, ...] = (License("MIT"),), format_: str = "npm"
) -> Inspected:
    return Inspected(
        version=PackageVersion.parse_key(f"{key('core', format_)}/{version}"),
        licenses=licenses,
        dependencies=tuple(dependency(each, format_) for each in on),
    )


def codes(judgement: Judgement) -> list[tuple[str, str]]:
    return [(each.code, each.level.value) for each in judgement.objections]


def test_the_default_policy_allows_a_usual_version() -> None:
    assert judge_version(policy(), inspected("1.1.0", "ui ^1.0.0")) == Judgement(Level.ALLOW)
    assert policy() == Policy()
    assert policy().rebuild == Reach()


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        ("", "unreadable", "$"),
        ("{", "unreadable", "$"),
        ('{"licenses": ' * 2_000, "malformed", "$.licenses"),
        (b"\xff", "unreadable", "$"),
        ("[]", "malformed", "$"),
        ('{"license": {}}', "malformed", "$"),
        ('{"licenses": {"allow": "MIT"}}', "malformed", "$.licenses.allow"),
        ('{"licenses": {"allowed": []}}', "malformed", "$.licenses"),
        ('{"licenses": {"unknown": "ignore"}}', "malformed", "$.licenses.unknown"),
        ('{"licenses": {"allow": ["MIT", "Apache License"]}}', "unknown-license", "$.licenses.allow[1]"),
        ('{"licenses": {"deny": ["mit"]}}', "unknown-license", "$.licenses.deny[0]"),
        ('{"licenses": {"allow": ["MIT OR Apache-2.0"]}}', "unknown-license", "$.licenses.allow[0]"),
        ('{"licenses": {"aliases": {"x": "y"}}}', "unknown-license", "$.licenses.aliases['x']"),
        ('{"denied": [{"versions": "1"}]}', "malformed", "$.denied[0]"),
        ('{"denied": [{"package": "left-pad"}]}', "malformed-pattern", "$.denied[0].package"),
        ('{"denied": [{"package": "cargo//x"}]}', "malformed-pattern", "$.denied[0].package"),
        (
            '{"denied": [{"package": "npm//x"}, {"package": "npm//x", "versions": "one"}]}',
            "malformed-range",
            "$.denied[1].versions",
        ),
        ('{"denied": [{"package": "*/*/x", "versions": "1.0"}]}', "malformed-range", "$.denied[0].versions"),
        ('{"dependencies": {"pinned": "loose"}}', "malformed", "$.dependencies.pinned"),
        ('{"findings": {"cycles": "deny"}}', "malformed", "$.findings"),
        ('{"findings": {"cycle-in-tests": "no"}}', "malformed", "$.findings.cycle-in-tests"),
        ('{"rebuild": {"most": 0}}', "bad-limit", "$.rebuild.most"),
        ('{"rebuild": {"most": 1001}}', "bad-limit", "$.rebuild.most"),
        ('{"rebuild": {"kinds": ["prod"]}}', "malformed", "$.rebuild.kinds[0]"),
        ('{"promise": {"minor": "deny"}}', "malformed", "$.promise"),
    ],
)
def test_a_policy_with_an_error_is_refused_with_its_place(text: str | bytes, code: str, where: str) -> None:
    with pytest.raises(RejectedError) as rejected:
        parse_policy(text)
    assert (rejected.value.code, rejected.value.where) == (code, where)
    assert rejected.value.what


def test_of_a_range_it_is_said_what_is_wrong_with_it() -> None:
    with pytest.raises(RejectedError) as rejected:
        parse_policy('{"denied": [{"package": "npm//x", "versions": ">>1"}]}')
    assert rejected.value.what.startswith("'>>1' is no semver range")


NAMES = st.sampled_from(["licenses", "denied", "findings", "allow", "package", "rebuild"]) | st.text()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(NAMES, x)
)


@given(st.text() | JSON.map(json.dumps))
def test_whatever_the_text_it_is_a_policy_or_refused(text: str) -> None:
    with contextlib.suppress(RejectedError):
        assert isinstance(parse_policy(text), Policy)


LICENSES: dict[str, Any] = {
    "allow": ["MIT", "Apache-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"],
    "deny": ["GPL-2.0-only"],
    "unlisted": "warn",
    "unknown": "deny",
    "missing": "deny",
    "aliases": {"Apache License 2.0": "Apache-2.0"},
}


@pytest.mark.parametrize(
    ("names", "verdict", "told"),
    [
        (["MIT"], Level.ALLOW, []),
        (["Apache License 2.0"], Level.ALLOW, []),
        (["apache license 2.0 "], Level.ALLOW, []),
        (["MPL-2.0"], Level.WARN, [("license", "warn")]),
        (["MPL-2.0 OR MIT"], Level.ALLOW, []),
        (["MPL-2.0 AND MIT"], Level.WARN, [("license", "warn")]),
        (["GPL-2.0-only"], Level.DENY, [("license", "deny")]),
        (["GPL-2.0-only WITH Classpath-exception-2.0"], Level.ALLOW, []),
        (["GPL-2.0-only WITH GCC-exception-2.0"], Level.DENY, [("license", "deny")]),
        (["MIT WITH GCC-exception-2.0"], Level.ALLOW, []),
        (["MIT", "GPL-2.0-only"], Level.DENY, [("license", "deny")]),
        (["Acme's own"], Level.DENY, [("license-unknown", "deny")]),
        ([], Level.DENY, [("license-missing", "deny")]),
    ],
)
def test_licences(names: list[str], verdict: Level, told: list[tuple[str, str]]) -> None:
    version = inspected("1.0.0", licenses=tuple(map(License, names)))
    judgement = judge_version(policy(licenses=LICENSES), version)
    assert judgement.verdict is verdict
    assert codes(judgement) == told


def test_without_a_list_only_what_is_denied_is() -> None:
    only_denied = policy(licenses={"deny": ["AGPL-3.0-only"]})
    assert (
        judge_version(only_denied, inspected("1.0.0", licenses=(License("MPL-2.0"),))).verdict is Level.ALLOW
    )
    assert (
        judge_version(only_denied, inspected("1.0.0", licenses=(License("AGPL-3.0-only"),))).verdict
        is Level.DENY
    )


DENIED = [
    {"package": "npm//core", "versions": "<1.2.0", "why": "leaks tokens"},
    {"package": "npm//left-pad"},
    {"package": "npm//lodash", "versions": "<4.17.21"},
]


@pytest.mark.parametrize(
    ("version", "on", "told"),
    [
        ("1.2.0", "ui", []),
        ("1.1.9", "ui", ["denied"]),
        ("one", "ui", ["denied"]),
        ("1.2.0", "left-pad", ["denied-dependency"]),
        ("1.2.0", "left-pad latest dev", ["denied-dependency"]),
        ("1.2.0", "lodash ^4.17.21", []),
        ("1.2.0", "lodash ^4.17.0", ["denied-dependency"]),
        ("1.2.0", "lodash 4.17.20", ["denied-dependency"]),
        ("1.2.0", "lodash ^4.17.21||^3.0.0", ["denied-dependency"]),
    ],
)
def test_denied_names_and_versions(version: str, on: str, told: list[str]) -> None:
    judgement = judge_version(policy(denied=DENIED), inspected(version, on))
    assert [each.code for each in judgement.objections] == told
    assert judgement.verdict is (Level.DENY if told else Level.ALLOW)


def test_who_is_denied_is_told_why() -> None:
    judgement = judge_version(policy(denied=DENIED), inspected("1.0.0"))
    assert judgement.objections[0].text == "core 1.0.0 is denied (leaks tokens)"


def test_dependencies_that_are_missing() -> None:
    version = inspected("1.0.0", "ui", "gone", "tool * dev")
    assert codes(judge_version(policy(), version, known={"npm//ui"})) == [("missing-dependency", "deny")]
    assert judge_version(policy(), version).verdict is Level.ALLOW
    warned = policy(dependencies={"missing": "warn"})
    assert codes(judge_version(warned, version, known=set())) == [("missing-dependency", "warn")] * 2


@pytest.mark.parametrize(
    ("pinned", "on", "told"),
    [
        ("bounded", ["a ^1.0.0", "b 1.0.0"], []),
        ("bounded", ["a >=1.0.0"], ["unpinned-dependency"]),
        ("bounded", ["a *"], ["unpinned-dependency"]),
        ("bounded", ["a * dev"], []),
        ("exact", ["a ^1.0.0", "b 1.0.0"], ["unpinned-dependency"]),
        ("open", ["a *"], []),
    ],
)
def test_dependencies_that_are_unpinned(pinned: str, on: list[str], told: list[str]) -> None:
    strict = policy(dependencies={"pinned": pinned, "unpinned": "deny"})
    assert [each.code for each in judge_version(strict, inspected("1.0.0", *on)).objections] == told


def test_a_requirement_that_nobody_can_read() -> None:
    assert codes(judge_version(policy(), inspected("1.0.0", "ui latest"))) == [("unparsable-range", "deny")]
    lenient = policy(findings={"unparsable-range": "allow"})
    assert judge_version(lenient, inspected("1.0.0", "ui latest")).verdict is Level.ALLOW


@pytest.mark.parametrize(
    ("format_", "before", "after", "told"),
    [
        ("npm", ("1.0.0", "react ^17.0.0 peer"), ("1.1.0", "react ^18.0.0 peer"), ["breaking-dependency"]),
        ("npm", ("1.0.0", "react ^17.0.0 peer"), ("2.0.0", "react ^18.0.0 peer"), ["major-version"]),
        ("npm", ("0.1.0", "react ^17.0.0 peer"), ("0.2.0", "react ^18.0.0 peer"), ["major-version"]),
        ("npm", ("1.0.0", "react ^17.0.0 peer"), ("1.1.0", "react ^17.0.0||^18.0.0 peer"), []),
        ("npm", ("1.0.0", "react ^17.0.0 peer"), ("1.1.0", "react ^17.2.0 peer"), []),
        ("npm", ("1.0.0",), ("1.0.1", "react ^17.0.0 peer"), ["breaking-dependency"]),
        ("npm", ("1.0.0", "react ^17.0.0 peer"), ("1.0.1",), []),
        ("npm", ("1.0.0", "ms ^1.0.0"), ("1.1.0", "ms ^2.0.0"), []),
        ("npm", ("1.0.0", "react latest peer"), ("1.1.0", "react next peer"), ["breaking-dependency"]),
        ("npm", ("1.0.0", "react latest peer"), ("1.1.0", "react latest peer"), []),
        ("pypi", ("1.0", "six >=1,<2"), ("1.1", "six >=2,<3"), ["breaking-dependency"]),
        ("pypi", ("1.0", "six >=1,<2"), ("1.1", "six >=1.5,<3"), []),
        ("pypi", ("1.0", "six >=1"), ("1.1", "six >=2"), []),
        ("pypi", ("1.0",), ("1.1", "six >=2"), []),
        ("pypi", ("1.0", "six >=1,<2 test"), ("1.1", "six >=2 test"), []),
        ("maven", ("1.0", "log 1.2"), ("1.1", "log 1.9"), []),
        ("maven", ("1.0", "log 1.2"), ("1.1", "log 2.0"), ["breaking-dependency"]),
        ("nuget", ("1.0", "json [9.0,10.0)"), ("1.1", "json [13.0,14.0)"), ["breaking-dependency"]),
        ("generic", ("1.0",), ("2.0",), []),
        ("npm", ("1.0.0",), ("one",), []),
    ],
)
def test_the_promise_of_semantic_versioning(
    format_: str, before: tuple[str, ...], after: tuple[str, ...], told: list[str]
) -> None:
    if format_ == "generic":
        version = PackageVersion.parse("generic", "acme", "core", after[0])
        new, old = Inspected(version=version), Inspected(version=version)
    else:
        new, old = inspected(*after, format_=format_), inspected(*before, format_=format_)
    strict = policy(promise={"major": "warn", "breaking": "deny"}, licenses={"missing": "allow"})
    judgement = judge_version(strict, new, old)
    assert [each.code for each in judgement.objections if not each.code.startswith("unparsable")] == told


CODES = [
    "cycle",
    "cycle-in-tests",
    "cycle-with-published",
    "too-many-affected",
    "unknown-package",
    "unparsable-range",
    "unparsable-version",
]


def test_findings_of_the_plan() -> None:
    cycle, tests = Finding("cycle", "npm//a", "a, b"), Finding("cycle-in-tests", "npm//c", "c, d")
    assert judge_findings(policy(), []).verdict is Level.ALLOW
    assert judge_findings(policy(), [tests]) == Judgement(Level.ALLOW)
    judgement = judge_findings(policy(findings={"cycle-in-tests": "warn"}), [tests, cycle])
    assert judgement.verdict is Level.DENY
    assert codes(judgement) == [("cycle", "deny"), ("cycle-in-tests", "warn")]


def test_a_finding_that_nobody_has_thought_of_stops_the_release() -> None:
    assert judge_findings(policy(), [Finding("new", "npm//a", "?")]).verdict is Level.DENY


def test_a_policy_may_speak_of_each_finding() -> None:
    found = [Finding(code, "npm//a", "?") for code in CODES]
    assert judge_findings(policy(findings=dict.fromkeys(CODES, "allow")), found).verdict is Level.ALLOW
    assert {each.code for each in judge_findings(policy(), found).objections} == set(CODES) - {
        "cycle-in-tests"
    }


def test_what_is_found_where_a_dependency_is_read_or_nothing_builds_a_dependent_stops_the_release() -> None:
    found = [Finding(code, "npm//a", "?") for code in ("malformed-dependency", "no-project")]
    assert all(each.level is Level.DENY for each in judge_findings(policy(), found).objections)
    lenient = policy(findings={"malformed-dependency": "allow", "no-project": "warn"})
    assert codes(judge_findings(lenient, found)) == [("no-project", "warn")]


def test_the_record_has_the_gravest_objections_and_how_many_more_there_are() -> None:
    said = [
        *(Objection("license-missing", Level.WARN, f"w{number}") for number in range(MOST_RECORDED)),
        *(Objection("cycle", Level.DENY, f"d{number}") for number in range(7)),
    ]
    judgement = Judgement.of(said)
    assert judgement.recorded[:7] == tuple(said[-7:])
    assert judgement.recorded[MOST_RECORDED] == Objection(
        "more-objections", Level.WARN, "and 7 more like these"
    )
    assert judgement.detail == "d0; d1; d2; d3; d4; and 2 more"
    assert Judgement.of(said[:3]).recorded == tuple(said[:3])
    assert Judgement.of(said[:3]).detail == ""


def test_which_dependents_are_rebuilt() -> None:
    narrow = policy(rebuild={"kinds": ["runtime", "peer"], "most": 50}).rebuild
    assert narrow == Reach(kinds=frozenset({Kind.RUNTIME, Kind.PEER}), most=50)
