"""What the demo tells of a window: who fared alike shares a line, and what is told once is not told again."""

import io
from typing import Any

from rich.console import Console

from local import timeline
from local.account import WindowAccount
from local.demo.inspection import Expectation
from signalbox.ledger.actions import Action, Deviation
from signalbox.ledger.records import Plan
from signalbox.ledger.windows import Pointer, Window
from signalbox.spot.configuration import Reason
from signalbox.spot.episodes import Episode
from signalbox.spot.notices import Severity
from signalbox.spot.planning import Decision

NOTICED = 1_000.0
DEADLINE = NOTICED + 120
FIRST, SECOND, THIRD = "i-11111111111111111", "i-22222222222222222", "i-33333333333333333"


def decision(instance: str, mode: Any = "act", why: str = "a tag says so") -> Decision:
    return Decision(
        instance=instance,
        group="web",
        mode=mode,
        kinds=("detach", "command"),
        reasons=(Reason("any", why),),
        instance_action="terminate",
        noticed_at=NOTICED,
        deadline=DEADLINE,
    )


def action(kind: str, *subjects: str, **fields: Any) -> Action:
    ended: dict[str, Any] = {"status": "succeeded", "finished_at": 1_090.0} | fields
    return Action(
        id=f"p#{kind}", kind=kind, group="web", target="", subjects=subjects, deadline=DEADLINE, **ended
    )


def episode(instance: str, outcome: str, **timings: float) -> Episode:
    return Episode(
        account="123456789012",
        region="us-east-1",
        instance=instance,
        severity=Severity.INTERRUPTION,
        instance_action="terminate",
        opened_at=NOTICED,
        deadline=DEADLINE,
        notices=(),
        window=1,
        group="web",
        outcome=outcome,
        timings=timings,
    )


def window(
    *decisions: Decision, actions: tuple[Action, ...] = (), episodes: tuple[Episode, ...] = ()
) -> WindowAccount:
    settled = {"settled_at": 1_100.0} if episodes else None
    return WindowAccount(
        window=Window("spot", "123456789012", "us-east-1", 1),
        pointer=Pointer(1, open=False, opened_at=NOTICED),
        plan=Plan(id="p", planned_at=1_085.0, summary={}, settled=settled),
        decisions=decisions,
        actions=actions,
        episodes={each.instance: each for each in episodes},
    )


def told(account: WindowAccount) -> list[tuple[str, str, bool]]:
    return [(line.who, line.text, line.bad) for line in timeline.lines([account])]


def test_instances_that_are_decided_alike_share_a_line() -> None:
    planned = window(decision(FIRST), decision(SECOND), decision(THIRD, "observe", "too young"))
    assert told(planned) == [
        ("2 instances", "act: detach, command (a tag says so)", False),
        (THIRD, "observe: detach, command (too young)", False),
    ]


def test_an_instance_that_fares_otherwise_has_its_own_line() -> None:
    failed = {SECOND: Deviation("failed", "not-managed")}
    account = window(actions=(action("command", FIRST, SECOND, THIRD, deviations=failed),))
    assert sorted(told(account)) == [
        ("2 instances", "shutdown commands sent, 30 s before the deadline", False),
        (SECOND, "command failed: not-managed", True),
    ]


def test_what_is_still_to_come_is_not_told() -> None:
    assert told(window(actions=(action("detach", FIRST, status="running", finished_at=0.0),))) == []


def test_a_kind_that_has_no_words_yet_is_told_all_the_same() -> None:
    assert told(window(actions=(action("juggle", FIRST),))) == [(FIRST, "juggle done", False)]


def test_the_outcome_comes_with_the_least_time_that_was_left() -> None:
    ends = (episode(FIRST, "handled", seconds_left=31.0), episode(SECOND, "handled", seconds_left=29.0))
    assert told(window(episodes=(*ends, episode(THIRD, "failed")))) == [
        (THIRD, "failed", True),
        ("2 instances", "handled, 29 s before the deadline", False),
    ]


def test_lines_come_in_the_order_of_their_times_and_once_each() -> None:
    actions = (action("detach", FIRST, finished_at=1_095.0), action("deregister", FIRST))
    account = window(decision(FIRST), actions=actions, episodes=(episode(FIRST, "handled"),))
    lines = timeline.lines([account])
    assert [line.at for line in lines] == [1_085.0, 1_090.0, 1_095.0, 1_100.0]
    assert len({line.key for line in lines}) == len(lines)
    assert [line.key for line in timeline.lines([account])] == [line.key for line in lines]


def test_a_line_keeps_to_the_terminal() -> None:
    out = io.StringIO()
    [line] = timeline.lines([window(decision(FIRST, why="a long story " * 20))])
    Console(file=out, width=80).print(timeline.row(line, NOTICED))
    shown = out.getvalue().splitlines()
    assert len(shown) > 1
    assert max(map(len, shown)) <= 80
    assert all(text.startswith(" " * (sum(timeline.COLUMNS) + len(timeline.COLUMNS))) for text in shown[1:])


def test_what_is_expected_of_each_instance_follows_from_what_aws_said_and_refused() -> None:
    expectation = Expectation(
        members={name: frozenset({name, f"{name}-2", f"{name}-3"}) for name in ("web", "batch", "queue")},
        interrupted={"web": frozenset({"web"}), "batch": frozenset({"batch"})},
        recommended={"queue": frozenset({"queue", "queue-2"})},
        refused=frozenset({"batch"}),
        noticed_at=NOTICED,
        deadline=DEADLINE,
    )
    assert expectation.outcomes({"queue": frozenset({"queue-2"})}) == {
        "web": {"web": "handled"},
        "batch": {"batch": "failed"},
        "queue": {"queue": "observed", "queue-2": "handled"},
    }
