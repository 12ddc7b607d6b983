"""A window from close to plan: what was gathered, what it means for each instance, what is to be done."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import msgspec

from signalbox.clock import Clock, iso, iso_precise
from signalbox.errors import ConflictError, MemberClosedError
from signalbox.ledger.actions import Action
from signalbox.ledger.records import Plan, PlanStore, Record, RecordStore
from signalbox.ledger.windows import Window, WindowStore, close_and_read
from signalbox.spot.alerts import notice_alerts
from signalbox.spot.commands import COMMAND_KINDS, GroupCommands, commands_name, parameter_name
from signalbox.spot.configuration import Reason
from signalbox.spot.episodes import Episode, episode_key, merge
from signalbox.spot.estate import EstateReader, Snapshot
from signalbox.spot.notices import Notice, Severity
from signalbox.spot.planning import (
    Decision,
    Policy,
    actions_of,
    decide,
    parse_all_commands,
    undecided,
)
from signalbox.spot.rebalancing import (
    LastRebalance,
    Limits,
    groups_to_rebalance,
    limit_rebalances,
    rebalance_key,
)
from signalbox.spot.target_groups import to_look_up

CLAIM_ATTEMPTS = 5
BRANCHES = {
    "detach": ("detach",),
    "deregister": ("deregister", "deregister-classic"),
    "containers": ("containers",),
    "nodes": ("nodes",),
    "command": COMMAND_KINDS,
    "complete": ("complete", "terminate"),
    "alert": ("alert",),
}
"""What the state machine counts → the kinds of action that the branch's function performs."""


class Ledger(WindowStore, RecordStore, PlanStore, Protocol):
    """What planning asks of the ledger."""


class PlanWindow:
    """Closes a window and plans it. Planning the same window again answers the same plan.

    Args:
        ledger: windows, episodes and plans.
        estate: reads instances, groups and parameters.
        policy: the stack's settings.
        clock: seconds since 1970.
        new_id: makes the id of a plan.
        limits: what holds back acting on rebalance recommendations.
    """

    def __init__(
        self,
        ledger: Ledger,
        estate: EstateReader,
        policy: Policy,
        clock: Clock,
        new_id: "NewId",
        limits: Limits | None = None,
    ) -> None:
        self._ledger = ledger
        self._estate = estate
        self._policy = policy
        self._clock = clock
        self._new_id = new_id
        self._limits = limits or Limits()

    def plan(self, window: Window) -> Plan:
        """The window's committed plan."""
        entries = close_and_read(self._ledger, window)
        committed = self._ledger.plan(window)
        if committed is not None:
            return committed
        claims = self._claim(window, [msgspec.convert(entry, Notice) for entry in entries])
        try:
            decisions, commands = self._decide(window, claims)
        except MemberClosedError as error:  # trying again would not help: its instances have failed
            why = Reason(error.code, str(error))
            decisions = {key: undecided(claim.episode, why, self._policy) for key, claim in claims.items()}
            commands = {}
        return self._commit(window, self._note(window, claims, decisions), commands)

    def _claim(self, window: Window, notices: Iterable[Notice]) -> "dict[str, Claim]":
        """The episodes that are this window's to act on, by key.

        An echo of what another window took on stays that window's.
        """
        by_key: dict[str, list[Notice]] = {}
        for notice in notices:
            key = episode_key(notice.account, notice.region, notice.instance)
            by_key.setdefault(key, []).append(notice)
        claimed: dict[str, Claim] = {}
        remaining = set(by_key)
        for _ in range(CLAIM_ATTEMPTS):
            known = self._ledger.records(sorted(remaining))
            changed: list[Record] = []
            for key in sorted(remaining):
                record = known.get(key) or Record(key, {})
                before = msgspec.convert(record.body, Episode) if record.version else None
                after = _merged(before, by_key[key], window)
                if after is not before:
                    changed.append(Record(key, msgspec.to_builtins(after), record.version))
                if _is_ours(after, window):
                    claimed[key] = Claim(after, record.version + (after is not before))
            remaining = self._ledger.put_records(changed)
            for key in remaining:
                claimed.pop(key, None)
            if not remaining:
                return claimed
        raise ConflictError(f"{window}: {len(remaining)} episodes changed under every attempt to claim them")

    def _limit(self, window: Window, decisions: list[Decision], snapshot: Snapshot) -> list[Decision]:
        """Holds what is done about recommendations to its limits, and notes which groups had their turn.

        A group that another window noted in the meantime has had it.
        """
        keys = {
            rebalance_key(window.account, window.region, group): group
            for group in groups_to_rebalance(decisions)
        }
        for _ in range(CLAIM_ATTEMPTS):
            known = self._ledger.records(sorted(keys)) if keys else {}
            last = {keys[key]: msgspec.convert(r.body, LastRebalance) for key, r in known.items()}
            now = self._clock()
            limited = limit_rebalances(decisions, snapshot, last, self._limits, window.number, now)
            turn = msgspec.to_builtins(LastRebalance(at=now, window=window.number))
            acting = groups_to_rebalance(limited)
            records = [
                Record(key, turn, known[key].version if key in known else 0)
                for key, group in keys.items()
                if group in acting
            ]
            if not self._ledger.put_records(records):
                return limited
        raise ConflictError(f"{window}: the groups' last rebalance changed under every attempt to note it")

    def _decide(
        self, window: Window, claims: "dict[str, Claim]"
    ) -> tuple[dict[str, Decision], dict[str, GroupCommands | Reason]]:
        """Reads the estate and decides: by the episodes' keys, and the commands that were found."""
        episodes = [claim.episode for claim in claims.values()]
        at_risk = [e.instance for e in episodes if e.severity is Severity.REBALANCE]
        snapshot = self._estate.snapshot([episode.instance for episode in episodes], at_risk)
        commands = self._commands(snapshot)
        snapshot = self._with_target_groups(snapshot, commands)
        found = [decide(episode, snapshot, commands, self._policy) for episode in episodes]
        return dict(zip(claims, self._limit(window, found, snapshot), strict=True)), commands

    def _commands(self, snapshot: Snapshot) -> dict[str, GroupCommands | Reason]:
        prefix = self._policy.command_prefix
        names = sorted({name for i in snapshot.instances.values() if (name := commands_name(i))})
        parameters = [parameter for name in names if (parameter := parameter_name(prefix, name))]
        return parse_all_commands(names, self._estate.parameters(parameters), prefix)

    def _with_target_groups(
        self, snapshot: Snapshot, commands: dict[str, GroupCommands | Reason]
    ) -> Snapshot:
        found = self._estate.target_groups(to_look_up(snapshot, commands))
        return msgspec.structs.replace(snapshot, target_groups=found)

    def _note(
        self, window: Window, claims: "dict[str, Claim]", decisions: dict[str, Decision]
    ) -> list[Decision]:
        """Writes into each episode what this window plans, before the plan is committed.

        From then on other windows leave those kinds of action alone. Answers the decisions that stand:
        not those on an episode that another window took over in the meantime.
        """
        stand: dict[str, Decision] = {}
        remaining = dict(claims)
        for _ in range(CLAIM_ATTEMPTS):
            left = {
                key: _without_planned(decisions[key], claim.episode, window)
                for key, claim in remaining.items()
            }
            refused = self._ledger.put_records(
                [
                    Record(key, msgspec.to_builtins(_noted(claim.episode, left[key], window)), claim.version)
                    for key, claim in remaining.items()
                ]
            )
            stand |= {key: decision for key, decision in left.items() if key not in refused}
            if not refused:
                return [stand[key] for key in claims if key in stand]
            now = {
                key: Claim(msgspec.convert(record.body, Episode), record.version)
                for key, record in self._ledger.records(sorted(refused)).items()
            }
            remaining = {key: claim for key, claim in now.items() if _is_ours(claim.episode, window)}
        raise ConflictError(f"{window}: {len(remaining)} episodes changed under every attempt to note a plan")

    def _commit(
        self,
        window: Window,
        decisions: Sequence[Decision],
        commands: dict[str, GroupCommands | Reason],
    ) -> Plan:
        plan_id = self._new_id()
        actions = actions_of(plan_id, decisions, commands, self._policy)
        actions += notice_alerts(plan_id, window, decisions)
        plan = Plan(
            id=plan_id,
            planned_at=self._clock(),
            summary=_summary(actions, decisions),
            decisions=tuple(msgspec.to_builtins(decision) for decision in decisions),
        )
        return self._ledger.commit_plan(window, plan, actions)


class Claim(msgspec.Struct, frozen=True):
    """An episode as this window last wrote or read it."""

    episode: Episode
    version: int


class NewId(Protocol):
    def __call__(self) -> str:
        """A new id, of letters and digits."""
        ...


def _is_ours(episode: Episode, window: Window) -> bool:
    """The window took the episode on last, or has planned something for it that nobody else will do."""
    return episode.window == window.number or window.number in episode.planned.values()


def _merged(episode: Episode | None, notices: Iterable[Notice], window: Window) -> Episode:
    for notice in notices:
        episode = merge(episode, notice, window.number)
    if episode is None:
        raise ValueError("an episode needs a notice")
    return episode


def _without_planned(decision: Decision, episode: Episode, window: Window) -> Decision:
    """Leaves out what another window has planned for the same instance."""
    elsewhere = {kind: number for kind, number in episode.planned.items() if number != window.number}
    if not elsewhere.keys() & set(decision.kinds):
        return decision
    reasons = tuple(
        Reason("already-planned", f"{kind} was planned by window {elsewhere[kind]}")
        for kind in decision.kinds
        if kind in elsewhere
    )
    return msgspec.structs.replace(
        decision,
        kinds=tuple(kind for kind in decision.kinds if kind not in elsewhere),
        reasons=(*decision.reasons, *reasons),
    )


def _noted(episode: Episode, decision: Decision, window: Window) -> Episode:
    planned = dict.fromkeys(decision.kinds, window.number) if decision.mode == "act" else {}
    return msgspec.structs.replace(
        episode,
        planned={**episode.planned, **planned},
        group=decision.group,
        mode=decision.mode,
        reasons=tuple(str(reason) for reason in decision.reasons),
    )


def _summary(actions: Sequence[Action], decisions: Sequence[Decision]) -> dict[str, Any]:
    """What the state machine is told; see statemachines/spot_window.asl.yaml."""
    counts = {branch: sum(action.kind in kinds for action in actions) for branch, kinds in BRANCHES.items()}
    due = [action.due_at for action in actions if action.kind in BRANCHES["command"]]
    deadlines = [decision.deadline for decision in decisions]
    return {
        "actions": counts,
        "command_due": iso_precise(min(due)) if due else None,
        "deadline": iso(max(deadlines)) if deadlines else None,
    }
