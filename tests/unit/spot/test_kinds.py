"""Every kind of instance against every kind of notice: what docs/spot.md says is what is decided."""

import re
from pathlib import Path
from typing import Any

import pytest

from signalbox.spot.commands import GroupCommands
from signalbox.spot.configuration import MODE_TAG, REBALANCE_TAG, TARGETS_TAG
from signalbox.spot.estate import Group, Instance, Snapshot, TargetGroup
from signalbox.spot.notices import Hook, Severity
from signalbox.spot.planning import FLEET_TAGS, Decision, Policy, decide
from tests.unit.spot.doubles import DOCUMENT, episode, instance_id, target_group

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "spot.md"
SPOT = ROOT / "layers" / "signalbox" / "signalbox" / "spot"
ACT = {MODE_TAG: "act"}
WEB = TargetGroup(arn=target_group("web"), name="web")
GROUP = Group(name="web", tags=ACT | {REBALANCE_TAG: "act"}, target_groups=(WEB.arn,))
ALONE: dict[str, Any] = {
    "group": "",
    "member_state": "",
    "lifecycle": "spot",
    "tags": ACT | {TARGETS_TAG: "web"},
}
COMMANDS = GroupCommands(shutdown=("systemctl stop web",))
DRAINS = ("deregister", "command")
NOTICES = {
    "is to be taken": Severity.INTERRUPTION,
    "scheduled change": Severity.SCHEDULED,
    "recommendation": Severity.REBALANCE,
}
HELD = {"member_state": "Terminating:Wait"}

type Changes = dict[str, Any]

KINDS: dict[str, tuple[Changes, Changes] | None] = {
    "in service, on Spot or On-Demand, protected from scale-in or not": ({}, {}),
    "in a group with CapacityRebalance on": ({}, {"capacity_rebalance": True}),
    "terminating already": ({"member_state": "Terminating:Proceed"}, {}),
    "terminating already, held by a lifecycle hook": (HELD, {}),
    "in Standby": ({"member_state": "Standby"}, {}),
    "in the warm pool": ({"member_state": "Warmed:Stopped"}, {}),
    "in another state than InService, as Pending": ({"member_state": "Pending:Wait"}, {}),
    "in a group with `Launch` suspended": ({}, {"suspended": frozenset({"Launch"})}),
    "tagged `act`, in a group that is not": ({"tags": ACT}, {"tags": {}}),
    "untagged, in an untagged group": ({}, {"tags": {}}),
    "of an EC2 Fleet or a Spot Fleet": ({**ALONE, "tags": ALONE["tags"] | {FLEET_TAGS[0]: "f"}}, {}),
    "stand-alone, on Spot": (ALONE, {}),
    "stand-alone, naming no target groups": ({**ALONE, "tags": ACT}, {}),
    "stand-alone, On-Demand": ({**ALONE, "lifecycle": ""}, {}),
    "shutting down or terminated": ({"state": "terminated"}, {}),
    "unknown to EC2, or of another account or Region than the event says": None,
}


def decided(kind: str, severity: Severity) -> Decision:
    hooks = (Hook("web", "drain", "token"),) if "hook" in kind else ()
    known = episode(1, severity=severity, hooks=hooks)
    changes = KINDS[kind]
    if changes is None:
        return decide(known, Snapshot({}, {}), {}, Policy())
    fields: Changes = {"id": instance_id(1), "state": "running", "lifecycle": "unknown", "group": "web"}
    each = Instance(**fields | {"member_state": "InService"} | changes[0])
    its_group: Changes = {"name": "web", "tags": GROUP.tags, "target_groups": GROUP.target_groups}
    group = Group(**its_group | changes[1])
    snapshot = Snapshot({each.id: each}, {"web": group} if each.group else {}, {"web": WEB})
    return decide(known, snapshot, {"web": COMMANDS}, Policy(command_document=DOCUMENT))


def cell(found: Decision) -> str:
    """What happens and the codes that say why not more, as the page writes it."""
    codes = [r.code for r in found.reasons if not r.code.startswith("mode-by-")]
    why = f" ({', '.join(f'`{code}`' for code in codes)})" if codes else ""
    if found.mode != "act":
        return {"observe": "observed", "ignore": "ignored"}[found.mode] + why
    drains = ("drained",) if set(found.kinds) & set(DRAINS) else ()
    rest = tuple(kind for kind in found.kinds if kind not in DRAINS)
    return (", ".join((*rest[:1], *drains) if "detach" in rest else (*drains, *rest)) or "nothing") + why


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_says_what_is_decided(kind: str) -> None:
    cells = " | ".join(cell(decided(kind, severity)) for severity in NOTICES.values())
    assert f"| {kind} | {cells} |" in PAGE.read_text().splitlines()


def test_the_page_has_no_further_kinds() -> None:
    heading = f"| the instance is | {' | '.join(NOTICES)} |"
    lines = PAGE.read_text().splitlines()
    table = lines[lines.index(heading) + 2 :]
    assert table[: len(KINDS) + 1][-1] == ""


def test_the_page_explains_every_reason() -> None:
    sources = "".join(path.read_text() for path in sorted(SPOT.glob("*.py")))
    codes = set(re.findall(r'Reason\(\s*"([a-z-]+)"', sources)) | set(
        re.findall(r'RejectedError\(\s*"(commands-[a-z]+)"', sources)
    )
    page = PAGE.read_text()
    assert len(codes) > 25
    assert [code for code in sorted(codes) if f"`{code}`" not in page] == []
