"""What the functions of a Spot window answer, and how an execution is run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local.settings import ACCOUNT, REGION
from tests.workflow.scripted import Answer, Execution, Machine, soon

WORKERS = {
    "detach": "DetachInstances",
    "deregister": "DeregisterTargets",
    "containers": "DrainContainers",
    "nodes": "DrainNodes",
    "command": "SendCommands",
    "alert": "PublishAlerts",
}
"""Count in the plan → who works on it, in the order of the branches."""
DONE: Answer = {"succeeded": 1, "failed": 0, "skipped": 0, "unfinished": False, "next_due": None}


def planned(
    each: int = 1, counts: Mapping[str, int] | None = None, *, command_due: str | None = None
) -> Answer:
    """What PlanWindow answers: so many actions of each kind but of those that are counted. No hooks."""
    return {
        "plan": "plan-1",
        "actions": {**dict.fromkeys(WORKERS, each), "complete": 0, **(counts or {})},
        "command_due": command_due,
        "deadline": soon(120),
    }


def outcomes(**counts: int) -> Answer:
    """What SettleWindow answers."""
    none = dict.fromkeys(("handled", "late", "failed", "observed", "ignored"), 0)
    return {"outcomes": none | counts, "alerts": sum(counts.values())}


@dataclass(frozen=True, slots=True)
class Windows:
    """Runs windows on the deployed state machine."""

    machine: Machine

    def run(self, **script: Sequence[Answer] | Answer) -> Execution:
        """Runs a window to its end. `script`: step → its answer or answers; the others do all there is."""
        number = next(self.machine.numbers)
        answers: dict[str, Any] = {
            "PlanWindow": planned(),
            **dict.fromkeys((*WORKERS.values(), "CompleteHooks"), DONE),
            "VerifyWindow": {"verified": True, "check_again": None},
            "SettleWindow": outcomes(handled=1),
        }
        window = {"domain": "spot", "account": ACCOUNT, "region": REGION, "number": number}
        name = f"spot-{ACCOUNT}-{REGION}-{number:08d}"
        done = self.machine.run(number, name, "window", {"window": window}, answers | script)
        if done.error:  # shown with a test that fails; the window would fill the page with the script
            print(done.error, {**done.told, "window": number}, done.steps)
        return done
