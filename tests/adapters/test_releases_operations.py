"""The operator's command of the Packages domain on moto: releases, the policy, the owners."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import msgspec
import pytest
from botocore.exceptions import NoCredentialsError, NoRegionError
from moto import mock_aws

from operations import cli
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.packages.dependents import Dependency, Kind
from signalbox.packages.dependents import Entry as Seen
from signalbox.packages.entries import Entry, Releases
from signalbox.packages.index_store import IndexStore
from signalbox.packages.planning import Decision, Reason
from signalbox.packages.preparation import write_decisions
from tests.adapters.tables import create_ledger_table
from tests.unit.packages.settlements import ENTRIES, FORMS, KEY, SHOP, UI

STACK = "signalbox-test"
HERE = f'STACK="--stack {STACK}"'
POLICY, OWNERS = "/signalbox/test/packages/policy", "/signalbox/test/packages/owners/"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:releases"
TEMPLATE = {
    "Parameters": {"PackagesDomain": {"Type": "String", "Default": "acme"}},
    "Resources": {"PackagesIntakeQueue": {"Type": "AWS::SQS::Queue"}},
    "Outputs": {
        "LedgerTableName": {"Value": "ledger"},
        "PackagesPolicyParameter": {"Value": POLICY},
        "PackagesOwnersPath": {"Value": OWNERS},
        "PackagesStateMachineArn": {"Value": MACHINE},
        "PackagesIntakeQueueUrl": {"Value": {"Ref": "PackagesIntakeQueue"}},
    },
}
TEAM_UI = {"packages": [UI], "project": "rebuild-{name}", "contact": "#ui"}


class Deployed:
    """A stack, its ledger, and the clients that the commands get."""

    def client(self, service: str) -> Any:
        return boto3.client(  # type: ignore[call-overload]  # any service
            service, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
        )

    @property
    def ledger(self) -> DynamoLedger:
        return DynamoLedger(self.client("dynamodb"), "ledger", time.time)

    def release(self, name: str, key: str = KEY) -> Entry:
        """Puts one there, as it ends, and answers it."""
        entry = ENTRIES[name]
        release = msgspec.structs.replace(entry.release, version=key)
        entry = msgspec.structs.replace(
            entry, release=release, version=key.rpartition("/")[2], published_at=time.time() - 7_300
        )
        Releases(self.ledger).change(key, lambda _: entry)
        return entry

    def execute(self, entry: Entry, *, running: bool = False, again: int = 0) -> None:
        """As if the intake had begun it."""
        states = self.client("stepfunctions")
        name = entry.release.execution + (f"{again}" if again else "")
        started = states.start_execution(
            stateMachineArn=MACHINE, name=name, input=json.dumps({"release": entry.release.version})
        )
        if not running:
            states.stop_execution(executionArn=started["executionArn"])

    def declare(self, name: str, value: object) -> None:
        text = value if isinstance(value, str) else json.dumps(value)
        self.client("ssm").put_parameter(Name=name, Value=text, Type="String", Overwrite=True)

    def declared(self, name: str) -> Any:
        return json.loads(self.client("ssm").get_parameter(Name=name)["Parameter"]["Value"])

    def received(self) -> list[dict[str, Any]]:
        sqs = self.client("sqs")
        url = sqs.list_queues()["QueueUrls"][0]
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in messages]


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    with mock_aws():
        made = Deployed()
        monkeypatch.setattr(cli, "client", made.client)
        made.client("cloudformation").create_stack(StackName=STACK, TemplateBody=json.dumps(TEMPLATE))
        create_ledger_table(made.client("dynamodb"), "ledger")
        role = made.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        definition = '{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}'
        made.client("stepfunctions").create_state_machine(
            name="releases", definition=definition, roleArn=role
        )
        yield made


def run(*arguments: str | Path, stack: bool = True) -> int:
    return cli.main(["releases", *map(str, arguments), *(["--stack", STACK] if stack else [])])


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed, without the breaks of tables."""
    return " ".join(capsys.readouterr().out.split())


@pytest.fixture
def written(tmp_path: Path) -> Any:
    def write(value: object) -> Path:
        path = tmp_path / "declaration.json"
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return path

    return write


class TestList:
    def test_each_release_is_shown_once(self, deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
        first = deployed.release("build-failed")
        deployed.execute(first)
        deployed.execute(first, again=1)
        deployed.execute(deployed.release("promoted", "npm/acme/forms/2.0.0"))
        assert run("list") == 0
        shown = said(capsys)
        assert shown.count(KEY) == 1
        for part in ("failed: build-failed", "npm/acme/forms/2.0.0", "promoted", "1.1", "1 of 2", "2 h ago"):
            assert part in shown

    def test_those_of_which_something_may_yet_come(
        self, deployed: Deployed, capsys: pytest.CaptureFixture[str]
    ) -> None:
        deployed.execute(deployed.release("planned"))
        deployed.execute(deployed.release("promoted", "npm/acme/forms/2.0.0"))
        assert run("list", "--open") == 0
        shown = said(capsys)
        assert "planned (dry run)" in shown
        assert "npm/acme/forms" not in shown

    def test_no_more_than_asked_for(self, deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
        for number in range(3):
            deployed.execute(deployed.release("promoted", f"npm/acme/ui/{number}.0.0"))
        assert run("list", "--limit", "2") == 0
        assert said(capsys).count("npm/acme/ui/") == 2

    def test_where_there_are_none(self, deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("list") == 0
        assert "None among the newest 500 executions" in said(capsys)


class TestShow:
    def test_all_that_is_known(self, deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
        deployed.declare(f"{OWNERS}team-ui", TEAM_UI)
        deployed.release("build-failed")
        assert run("show", KEY) == 0
        shown = said(capsys)
        for part in (
            f"@acme/ui 1.1.0 ({KEY}): failed: build-failed",
            "Round 1, try 1, revision r1",
            "Owner: team-ui, #ui",
            "Told of this try: nothing yet",
            f"{SHOP} 1 failed 1 rebuild-shop rebuild-shop:0001 nobody BUILD: exit status 1",
        ):
            assert part in shown

    def test_what_the_policy_says(self, deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
        deployed.release("denied")
        assert run("show", KEY) == 0
        assert "license deny @acme/ui 1.1.0 has the licence GPL-3.0-only" in said(capsys)

    def test_the_plan_with_its_reasons(self, deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
        entry = deployed.release("planned")
        decisions = (
            Decision(package=FORMS, version="1.0.0", wave=0, reasons=(Reason("admitted", "^1.0 admits it"),)),
            Decision(package=SHOP, version="3.0.0", wave=None, reasons=(Reason("not-admitted", "too old"),)),
        )
        write_decisions(deployed.ledger, entry, decisions)
        Releases(deployed.ledger).change(
            KEY, lambda known: msgspec.structs.replace(known, decisions=2) if known else None
        )
        assert run("show", KEY, "--plan") == 0
        shown = said(capsys)
        assert f"{FORMS} 1.0.0 1 - ^1.0 admits it" in shown
        assert f"{SHOP} 3.0.0 - - too old" in shown

    @pytest.mark.parametrize(
        ("name", "why"),
        [
            ("promoted", "Nothing depends on it."),
            ("denied", "It was not planned: that was decided before."),
            ("stuck", "It is not planned yet."),
        ],
    )
    def test_a_plan_without_dependents_says_so(
        self, deployed: Deployed, capsys: pytest.CaptureFixture[str], name: str, why: str
    ) -> None:
        deployed.release(name)
        assert run("show", KEY, "--plan") == 0
        assert why in said(capsys)

    @pytest.mark.parametrize(
        ("name", "what", "comes"),
        [
            ("planned", "planned", f'built and promoted: make releases {HERE} ARGS="approve {KEY}"'),
            ("stuck", "stuck", f'once that is mended: make releases {HERE} ARGS="retry {KEY}"'),
            ("promoted", "promoted", ""),
        ],
    )
    def test_what_may_be_asked_for_next(
        self, deployed: Deployed, capsys: pytest.CaptureFixture[str], name: str, what: str, comes: str
    ) -> None:
        entry = deployed.release(name)
        told = {"settled": entry.release.execution, "outcome": what, "stuck": "PlanRelease: a bug"}
        Releases(deployed.ledger).change(
            KEY, lambda known: msgspec.structs.replace(known, **told) if known else None
        )
        assert run("show", KEY) == 0
        shown = said(capsys)
        assert comes in shown
        assert ("ARGS=" in shown) is bool(comes)
        assert ("Why it stands: PlanRelease: a bug" in shown) is (what == "stuck")

    def test_one_that_is_not_there(self, deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("show", KEY) == 2
        assert f"There is no release of {KEY}" in capsys.readouterr().err

    def test_owners_that_make_no_sense_do_not_hide_the_rest(
        self, deployed: Deployed, capsys: pytest.CaptureFixture[str]
    ) -> None:
        deployed.declare(f"{OWNERS}team-ui", "{}")
        deployed.release("promoted")
        assert run("show", KEY) == 0
        printed = capsys.readouterr()
        assert "Owner: nobody" in printed.out
        assert f"{OWNERS}team-ui" in printed.err


class TestAnotherTry:
    @pytest.mark.parametrize(
        ("action", "name", "acts"), [("retry", "build-failed", False), ("approve", "planned", True)]
    )
    def test_is_asked_for_only_when_that_is_said(
        self,
        deployed: Deployed,
        capsys: pytest.CaptureFixture[str],
        action: str,
        name: str,
        acts: bool,  # noqa: FBT001 - pytest passes it by name
    ) -> None:
        deployed.execute(deployed.release(name))
        assert run(action, KEY) == 0
        shown = said(capsys)
        assert f"Another try builds wave 1 of 2: {FORMS}, {SHOP}." in shown
        assert "Nothing was changed" in shown
        assert deployed.received() == []

        assert run(action, KEY, "--yes") == 0
        [message] = deployed.received()
        assert message["detail"] == {"release": KEY, "round": 1, "tries": 0, "acts": acts}
        assert (message["account"], message["region"]) == ("123456789012", "us-east-1")

    def test_of_a_try_that_is_under_way_nobody_asks(
        self, deployed: Deployed, capsys: pytest.CaptureFixture[str]
    ) -> None:
        deployed.execute(deployed.release("stuck"), running=True)
        assert run("retry", KEY, "--yes") == 1
        assert "under way" in said(capsys)
        assert deployed.received() == []

    def test_of_what_is_over_nobody_asks(
        self, deployed: Deployed, capsys: pytest.CaptureFixture[str]
    ) -> None:
        deployed.release("superseded")
        assert run("retry", KEY, "--yes") == 1
        assert "has taken its place" in said(capsys)
        assert deployed.received() == []

    def test_whose_execution_is_gone_can_be_tried_again(
        self, deployed: Deployed, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Step Functions forgets executions after 90 days; the ledger remembers the release for longer."""
        deployed.release("refused")
        assert run("retry", KEY, "--yes") == 0
        assert "Another try promotes it." in said(capsys)
        assert len(deployed.received()) == 1


class TestWho:
    def test_depends_on_a_package(self, deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
        deployed.declare(f"{OWNERS}team-shop", {"packages": [SHOP]})
        index = IndexStore(deployed.ledger, "acme")
        index.merge(UI, Seen("1.1.0", 1, 1.0))
        index.merge(SHOP, Seen("3.0.0", 2, 1.0, (Dependency(UI, "^1.0.0", Kind.DEV),)))
        index.merge(FORMS, Seen("2.0.0", 3, 1.0, (Dependency(UI, "", Kind.RUNTIME),)))
        assert run("who", UI) == 0
        shown = said(capsys)
        for part in (
            f"{UI}: 1.1.0 is the newest.",
            f"{SHOP} 3.0.0 ^1.0.0 dev team-shop",
            f"{FORMS} 2.0.0 any runtime nobody",
            "2 of 3 packages depend on it directly.",
        ):
            assert part in shown

    def test_on_one_that_nobody_has_seen(
        self, deployed: Deployed, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("who", UI) == 0
        shown = said(capsys)
        assert "the index has not seen it" in shown
        assert "0 of 0 packages" in shown


class TestPolicy:
    def test_the_default_can_be_put(
        self, deployed: Deployed, written: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("policy", "default", stack=False) == 0
        path = written(capsys.readouterr().out)
        assert run("policy", "check", path, stack=False) == 0
        assert run("policy", "show") == 0
        assert "by default" in said(capsys)
        assert run("policy", "put", path) == 0
        assert "Nothing was changed" in said(capsys)
        assert run("policy", "put", path, "--yes") == 0
        assert deployed.declared(POLICY)["licenses"]["unknown"] == "warn"
        assert run("policy", "put", path, "--yes") == 0
        assert "says so already" in said(capsys)
        assert run("policy", "show") == 0
        assert f"as declared in {POLICY}" in said(capsys)

    @pytest.mark.parametrize("action", ["check", "put"])
    def test_one_with_an_error_is_named_with_its_place(
        self, deployed: Deployed, written: Any, capsys: pytest.CaptureFixture[str], action: str
    ) -> None:
        path = written({"rebuild": {"most": 0}})
        assert run("policy", action, path, stack=action == "put") == 2
        told = capsys.readouterr().err
        assert "$.rebuild.most" in told
        assert str(path) in told
        assert "policy default" in told
        with pytest.raises(deployed.client("ssm").exceptions.ParameterNotFound):
            deployed.declared(POLICY)

    def test_a_broken_one_is_shown_as_broken_and_can_be_mended(
        self, deployed: Deployed, written: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        deployed.declare(POLICY, "no JSON")
        assert run("policy", "show") == 1
        assert POLICY in capsys.readouterr().err
        assert run("policy", "put", written({}), "--yes") == 0
        assert run("policy", "show") == 0


class TestOwners:
    def test_are_named_and_listed(
        self, deployed: Deployed, written: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("owners", "list") == 0
        assert f"none below {OWNERS}" in said(capsys)
        path = written(TEAM_UI)
        assert run("owners", "check", path, stack=False) == 0
        assert f"an owner of {UI}" in said(capsys)
        assert run("owners", "put", "team-ui", path) == 0
        assert "Nothing was changed" in said(capsys)
        assert run("owners", "put", "team-ui", path, "--yes") == 0
        assert deployed.declared(f"{OWNERS}team-ui") == TEAM_UI
        assert run("owners", "list") == 0
        assert f"team-ui {UI} rebuild-{{name}} #ui" in said(capsys)

    def test_two_of_the_same_packages_are_refused(
        self, deployed: Deployed, written: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        deployed.declare(f"{OWNERS}team-ui", TEAM_UI)
        assert run("owners", "put", "others", written(TEAM_UI), "--yes") == 2
        told = capsys.readouterr().err
        assert "declared by others and by team-ui" in told
        assert "Take the pattern from one of them" in told
        assert run("owners", "put", "team-ui", written(TEAM_UI | {"contact": "#new"}), "--yes") == 0

    def test_one_that_makes_no_sense_is_listed_and_can_be_mended(
        self, deployed: Deployed, written: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        deployed.declare(f"{OWNERS}broken", '{"packages": []}')
        deployed.declare(f"{OWNERS}team-ui", TEAM_UI)
        assert run("owners", "list") == 1
        shown = said(capsys)
        assert "$.packages" in shown
        assert "team-ui" in shown
        assert run("owners", "put", "broken", written({"packages": [SHOP]}), "--yes") == 0
        assert run("owners", "list") == 0

    @pytest.mark.parametrize("name", ["nobody", "a/b", "", "a b"])
    def test_names_that_no_owner_can_have(
        self, deployed: Deployed, written: Any, capsys: pytest.CaptureFixture[str], name: str
    ) -> None:
        assert run("owners", "put", name, written(TEAM_UI), "--yes") == 2
        assert "can't be an owner" in capsys.readouterr().err

    def test_a_file_with_an_error_is_named_with_its_place(
        self, written: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("owners", "check", written({"packages": ["ui"]}), stack=False) == 2
        assert "$.packages[0]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["show", "ui"], "expected format/namespace/name/version"),
        (["who", "npm/ui"], "expected format/namespace/name"),
        (["show", "cargo/acme/ui/1.0.0"], "'cargo' is a format"),
    ],
)
def test_what_is_no_package_says_what_to_write(
    arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(*arguments)
    assert part in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "absent.json"
    assert run("policy", "check", path, stack=False) == 2
    assert capsys.readouterr().err == f"{path} can't be read: No such file or directory\n"


@pytest.mark.parametrize(
    ("error", "part"), [(NoRegionError(), "Set AWS_REGION"), (NoCredentialsError(), "Log in first")]
)
def test_where_there_is_no_account_it_is_said_how_to_name_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, part: str
) -> None:
    def client(_: str) -> Any:
        raise error

    monkeypatch.setattr(cli, "client", client)
    assert run("list") == 1
    told = capsys.readouterr().err
    assert part in told
    assert "STAGE=local" in told
