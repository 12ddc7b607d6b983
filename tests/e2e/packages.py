"""The Packages domain on the deployed stack, as a scenario sees it: its own family of packages."""

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from local.deployment import STACK
from local.inbox import Heard
from local.workshop import Made, Workshop
from operations import cli
from signalbox.packages.entries import Entry
from signalbox.packages.releases import State
from tests.e2e.stack import Stack, wait_until

OWNERS = {"platform": ("*/*/*",), "apps": ("npm/*/app",)}
"""What the stack of the end-to-end tests is told, before its first version."""
PROJECT = "rebuild-{namespace}-{name}"
GREEN, RED = "true", "echo '3 tests have failed'; false"
FIRST = "1.0.0"


def open_workshop(stack: Stack) -> None:
    """Makes the repositories and declares the owners. A function asks for these again after a minute only."""
    workshop = Workshop(stack.aws, stack.outputs)
    workshop.open()
    for owner, packages in OWNERS.items():
        workshop.declare_owner(owner, packages, PROJECT)


@dataclass(slots=True)
class Family:
    """One scenario's packages: their namespace is a word of its own."""

    stack: Stack
    name: str = field(default_factory=lambda: f"f{uuid.uuid4().hex[:10]}")
    told: list[dict[str, Any]] = field(default_factory=list)
    said: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def begin(cls, stack: Stack) -> "Family":
        """When nothing is on its way. What was said before is not heard, all switches are as they were."""
        family = cls(stack)
        stack.aws.ask_spine("POST", "builds", {"hold": False, "duplicated": False})
        stack.aws.ask_codeartifact("POST", "delivery", {})
        family.quiet()
        stack.inbox.drain()
        return family

    @property
    def workshop(self) -> Workshop:
        return Workshop(self.stack.aws, self.stack.outputs)

    def key(self, name: str) -> str:
        """The key of one of this scenario's packages."""
        return f"npm/{self.name}/{name}"

    def project(self, name: str) -> str:
        return f"rebuild-{self.name}-{name}"

    def made(self, name: str, version: str = FIRST, *needs: str, range_: str = "^1.0.0", **more: Any) -> Made:
        """A version of one of them, and which of the others it needs."""
        return Made(self.key(name), version, depends_on={self.key(each): range_ for each in needs}, more=more)

    def stock(self, **needs: Sequence[str]) -> None:
        """Has these packages be there from before, each with a project: name → what it needs."""
        for name in needs:
            self.workshop.put_project(self.project(name), GREEN)
        self.workshop.stock(*(self.made(name, FIRST, *others) for name, others in needs.items()))

    def stock_diamond(self) -> None:
        """``app`` needs ``left`` and ``right``, and these ``core``."""
        self.stock(core=(), left=("core",), right=("core",), app=("left", "right"))

    def publish(self, name: str, version: str, *needs: str, **more: Any) -> str:
        """Publishes a version; the key of its release."""
        made = self.made(name, version, *needs, **more)
        self.workshop.publish(made)
        return f"{made.package}/{version}"

    # Builds

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Builds that begin meanwhile wait until they are let go."""
        self.stack.aws.ask_spine("POST", "builds", {"hold": True})
        try:
            yield
        finally:
            self.stack.aws.ask_spine("POST", "builds", {"hold": False})

    def held(self, *names: str) -> dict[str, str]:
        """Waits until just these have a build that is held: name → its id."""

        def found() -> dict[str, str]:
            held = {self._named(build): build for build in self._doors()["held"]}
            return held if held.keys() == {*names} else {}

        return wait_until(found, f"builds of {', '.join(names)} are held", self._seen)

    def let_go(self, *names: str) -> None:
        """Waits until just these are held, and lets them go."""
        for build in self.held(*names).values():
            self.stack.aws.ask_spine("POST", "builds/release", {"id": build})

    def builds(self, name: str) -> list[str]:
        """How the builds of one of the packages ended, the first one first."""
        return [build["buildStatus"] for build in self.workshop.builds(self.project(name))]

    # What became of it

    def entry(self, release: str) -> Entry:
        return self.workshop.releases.known(release)

    def settled(self, release: str, state: State, *, tries: int | None = None) -> Entry:
        """Waits until the release is in that state, and its last try is settled."""

        def found() -> Entry | None:
            entry = self.workshop.releases.read(release)
            if entry is None or entry.settled != entry.release.execution or entry.release.state is not state:
                return None
            return entry if tries in {None, entry.release.tries} else None

        entry = wait_until(found, f"{release} is {state}", self._seen)
        assert entry is not None
        return entry

    def quiet(self) -> None:
        """Waits until no event is on its way, and no execution runs."""
        self.stack.aws.ask_codeartifact("POST", "deliver")
        wait_until(self.workshop.is_quiet, "the workshop is quiet", self._seen)

    def shared(self, name: str) -> list[str]:
        """The versions that the shared repository has."""
        return sorted(self.workshop.shared(self.key(name)))

    def executions(self, release: str) -> list[str]:
        """How those of a release ended, of every round and try."""
        name = self.entry(release).release.execution.rpartition("-")[0].rpartition("-")[0]
        return [status for each, status in self.workshop.executions().items() if each.startswith(name)]

    def heard(self) -> Heard:
        """What the stack has said of this scenario's packages so far."""
        heard = self.stack.inbox.drain()
        self.told += filter(self._is_mine, heard.alerts)
        self.said += filter(self._is_mine, heard.events)
        return Heard(tuple(self.told), tuple(self.said))

    def alerts(self) -> list[tuple[str, str, str]]:
        """Outcome, owner and release of each alert so far."""
        attributes = [alert["MessageAttributes"] for alert in self.heard().alerts]
        return sorted(
            (each["outcome"]["Value"], each["owner"]["Value"], each["release"]["Value"])
            for each in attributes
        )

    def announced(self) -> list[str]:
        """The detail types of the domain events so far."""
        return [event["detail-type"] for event in self.heard().events]

    def last_invocation(self) -> float:
        """When a function of the domain was invoked last, by anybody; in seconds since 1970."""
        named = f"{STACK}-Packages"
        invoked = (s for s in self.stack.aws.segments() if s.get("origin") == "AWS::Lambda::Function")
        return float(max(each["start_time"] for each in invoked if each["name"].startswith(named)))

    def calls(self) -> object:
        """How often CodeArtifact and Systems Manager have been asked so far."""
        estate = self.stack.guard.calls()
        return (
            self.stack.aws.ask_codeartifact("GET", "calls")["calls"],
            {name: count for name, count in estate.items() if name.startswith("ssm:")},
        )

    def _doors(self) -> dict[str, Any]:
        return self.stack.aws.ask_spine("GET", "builds")

    def _named(self, build: str) -> str:
        return build.partition(":")[0].removeprefix(f"rebuild-{self.name}-")

    def _is_mine(self, said: dict[str, Any]) -> bool:
        return self.name in json.dumps(said)

    def _seen(self) -> object:
        open_ = self.workshop.releases.versions(self.key("core"))
        return self.workshop.entries(*open_), self._doors(), self.stack.account.queues()


@contextmanager
def changed_machine(stack: Stack, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Changes the definition of the state machine, for a while."""
    states, arn = stack.aws.client("stepfunctions"), stack.outputs["PackagesStateMachineArn"]
    before = states.describe_state_machine(stateMachineArn=arn)["definition"]
    definition = json.loads(before)
    change(definition)
    try:
        states.update_state_machine(stateMachineArn=arn, definition=json.dumps(definition))
        yield
    finally:
        states.update_state_machine(stateMachineArn=arn, definition=before)


def operate(verb: str, *arguments: str) -> int:
    """What an operator asks for with `make releases`. SIGNALBOX_STATE says of which stack."""
    return cli.main(["releases", verb, "--local", *arguments])
