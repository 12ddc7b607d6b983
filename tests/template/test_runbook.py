"""What the runbook says to type, to look for and to follow is there."""

import re
import shlex
from typing import Any

import jmespath  # type: ignore[import-untyped] # ships no types

from tests.template.sources import ROOT

CALLED_OTHERWISE = {"s3api": "s3"}
"""By the AWS CLI."""
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()


def blocks() -> list[str]:
    """The commands of the runbook, a line each."""
    indented = re.findall(r"(?:^    .*\n?)+", RUNBOOK, re.MULTILINE)
    return [line.strip() for block in indented for line in block.splitlines() if line.strip()]


def test_the_make_commands_that_the_runbook_gives_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    given = set(re.findall(r"(?:^    |`)make ([a-z-]+)", RUNBOOK, re.MULTILINE))
    assert given
    assert given <= targets


def test_the_aws_commands_that_the_runbook_gives_exist() -> None:
    """Service, operation and options, against botocore's own model of the API."""
    session = boto_session()
    given = [match[1] for line in blocks() if (match := re.fullmatch(r"(?:\w+=\$\()?(aws .*?)\)?", line))]
    assert len(given) > 10
    for line in given:
        _, service, operation, *rest = shlex.split(line)
        model = session.get_service_model(CALLED_OTHERWISE.get(service, service))
        names = {kebab(name): name for name in model.operation_names}
        assert operation in names, line
        shape = model.operation_model(names[operation]).input_shape
        options = {f"--{kebab(name)}" for name in shape.members} if shape else set()
        assert {word for word in rest if word.startswith("--")} - options <= {"--query", "--output"}, line
        for query in (rest[n + 1] for n, word in enumerate(rest) if word == "--query"):
            jmespath.compile(query)


def boto_session() -> Any:
    import botocore.session  # noqa: PLC0415 - a second; for this test only

    return botocore.session.get_session()


def kebab(name: str) -> str:
    """As the AWS CLI calls an operation or a member."""
    from botocore import xform_name  # noqa: PLC0415 - see above

    return str(xform_name(name, "-"))


def test_the_log_lines_that_the_runbook_looks_for_are_written() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "layers" / "signalbox").rglob("*.py"))
    looked_for = set(re.findall(r"message = '([^']+)'", RUNBOOK))
    assert looked_for
    assert [text for text in looked_for if f'"{text}"' not in source] == []
