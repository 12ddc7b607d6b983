"""Episodes: everything that AWS said about one instance, merged, and what was planned because of it.

Merging is a join: the severity is the gravest, the deadline the earliest. So the order in which notices
arrive does not matter, and one that says nothing new changes nothing. Once a window has decided, only
something graver is news.
"""

import msgspec

from signalbox.spot.notices import Notice, Severity

NEW_INTERRUPTION_SECONDS = 600.0
"""A notice whose deadline lies this much after the old one is a new interruption of the same instance:
a stopped or hibernated instance comes back under its old id."""


class Episode(msgspec.Struct, frozen=True, kw_only=True):
    """One instance's interruption.

    Attributes:
        opened_at: when AWS first said something; seconds since 1970.
        deadline: the earliest known; seconds since 1970.
        notices: the ids of the events that said something new.
        window: the number of the window that took it on last.
        planned: kind of action → number of the window that planned it.
        status: ``open``, ``settled``.
        outcome: once settled: ``handled``, ``late``, ``failed``, ``observed`` or ``ignored``.
        timings: what happened → seconds after ``opened_at``.
    """

    account: str
    region: str
    instance: str
    severity: Severity
    instance_action: str
    opened_at: float
    deadline: float
    notices: tuple[str, ...]
    window: int
    planned: dict[str, int] = {}
    group: str = ""
    mode: str = ""
    reasons: tuple[str, ...] = ()
    status: str = "open"
    outcome: str = ""
    timings: dict[str, float] = {}


def episode_key(account: str, region: str, instance: str) -> str:
    """The key of its record in the ledger."""
    return f"spot#{account}#{region}#{instance}"


def merge(episode: Episode | None, notice: Notice, window: int) -> Episode:
    """The episode with the notice in it. The very same object comes back where it says nothing new."""
    if episode is None or notice.deadline > episode.deadline + NEW_INTERRUPTION_SECONDS:
        return _opened(notice, window)
    of_an_earlier_one = notice.deadline < episode.deadline - NEW_INTERRUPTION_SECONDS
    if of_an_earlier_one or notice.event_id in episode.notices:
        return episode
    graver = notice.severity > episode.severity
    decided = bool(episode.mode)  # a little less time does not change what is under way
    if not graver and (decided or notice.deadline >= episode.deadline):
        return episode
    return msgspec.structs.replace(
        episode,
        severity=max(episode.severity, notice.severity),
        instance_action=notice.instance_action if graver else episode.instance_action,
        opened_at=min(episode.opened_at, notice.noticed_at),
        deadline=min(episode.deadline, notice.deadline),
        notices=(*episode.notices, notice.event_id),
        window=window,
        mode="",
        status="open",
        outcome="",
    )


def _opened(notice: Notice, window: int) -> Episode:
    return Episode(
        account=notice.account,
        region=notice.region,
        instance=notice.instance,
        severity=notice.severity,
        instance_action=notice.instance_action,
        opened_at=notice.noticed_at,
        deadline=notice.deadline,
        notices=(notice.event_id,),
        window=window,
    )
