"""What the functions of the Packages workflow answer, and how an execution is run."""

from dataclasses import dataclass
from typing import Any

from signalbox.packages.entries import Step
from tests.workflow.scripted import Answer, Execution, Machine, Script

VERSION = "npm/acme/ui/1.0.0"


def goes_on(step: str, **more: Any) -> Answer:
    """What a step answers, or a token is answered with, when that comes next."""
    return {"release": VERSION, "round": 1, "tries": 0, "next": step, **more}


def built(step: str) -> Answer:
    """BuildWave finds that the wave is through, and answers the token itself."""
    return {"tells": [[-1, goes_on(step)]]}


STARTED: Answer = {}
"""BuildWave has begun the wave: somebody else answers the token."""
SETTLED: Answer = {"outcome": "promoted"}
USUAL: dict[str, Any] = {
    "InspectVersion": goes_on(Step.PLAN),
    "PlanRelease": goes_on(Step.BUILD),
    "BuildWave": built(Step.PROMOTE),
    "PromoteVersion": goes_on(Step.SETTLE),
    "SettleRelease": SETTLED,
}
"""Step → what it answers where all goes well."""
STATES = {
    Step.INSPECT: "InspectVersion",
    Step.PLAN: "PlanRelease",
    Step.BUILD: "BuildWave",
    Step.PROMOTE: "PromoteVersion",
    Step.SETTLE: "SettleRelease",
}
"""What comes next → the state that does it."""


@dataclass(frozen=True, slots=True)
class Tries:
    """Runs tries to release a version through the deployed state machine."""

    machine: Machine

    def run(
        self,
        script: Script | None = None,
        *,
        begin: str = Step.INSPECT,
        tries: int = 0,
        number: int | None = None,
    ) -> Execution:
        """Runs one to its end. What the script has no answer of does all there is."""
        number = number or next(self.machine.numbers)
        task = {"release": {"version": VERSION}, "round": 1, "tries": tries, "next": begin}
        done = self.machine.run(number, f"release-{number}", "release", task, USUAL | dict(script or {}))
        if done.error:  # shown with a test that fails
            print(done.error, done.cause, done.steps)
        return done
