"""What a buildspec says, and where it can't be followed."""

import pytest

from local.builds.buildspec import Buildspec, BuildspecError, parse


def test_variables_and_the_commands_of_each_phase() -> None:
    text = """
        version: 0.2
        env:
          variables: {KEEP: "1"}
        phases:
          build:
            commands: [make, make test]
          install:
            commands: []
    """
    assert parse(text) == Buildspec({"KEEP": "1"}, {"INSTALL": (), "BUILD": ("make", "make test")})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "the buildspec is not YAML"),
        ("- make", "the buildspec is no mapping"),
        ("", "the buildspec is no mapping"),
        ("{version: 0.1, phases: {}}", r"version is 0.1: only 0\.2"),
        ("{phases: {}}", "version is None"),
        ("{version: 0.2}", "phases is no mapping"),
        ("{version: 0.2, phases: {}}", "phases: there is no command"),
        ("{version: 0.2, phases: {build: {commands: []}}}", "phases: there is no command"),
        ("{version: 0.2, phases: {}, artifacts: {}}", "the buildspec: artifacts is not understood"),
        ("{version: 0.2, phases: {deploy: {}}}", "phases: deploy is not understood, only install"),
        (
            "{version: 0.2, phases: {build: {on-failure: ABORT}}}",
            "phases.build: on-failure is not understood",
        ),
        ("{version: 0.2, phases: {build: [make]}}", "phases.build is no mapping"),
        ("{version: 0.2, phases: {build: {commands: make}}}", "phases.build.commands is no list"),
        (
            "{version: 0.2, phases: {build: {commands: [make, {a: b}]}}}",
            r"phases\.build\.commands\[1\] is no text",
        ),
        ("{version: 0.2, env: {shell: bash}, phases: {}}", "env: shell is not understood"),
        (
            "{version: 0.2, env: {variables: [A]}, phases: {build: {commands: [a]}}}",
            "env.variables is no mapping",
        ),
        (
            "{version: 0.2, env: {variables: {A: 1}}, phases: {build: {commands: [a]}}}",
            "env.variables.A is no text: put 1 into quotes",
        ),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(BuildspecError, match=complaint):
        parse(text)
