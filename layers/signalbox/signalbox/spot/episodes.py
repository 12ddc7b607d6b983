"""Episodes: everything that AWS said about one instance, merged, and what was planned because of it.

Merging is a join: the severity is the gravest, the deadline the earliest known. So the order in which notices
arrive does not matter, and one that says nothing new changes nothing. Once a window has decided, only
something graver is news, or a lifecycle hook that waits to be completed.
"""

import msgspec

from signalbox.spot.notices import End, Hook, Notice, Severity, Withdrawal

NEW_INTERRUPTION_SECONDS = 600.0
"""A notice whose deadline lies this much after the old one is a new interruption of the same instance:
a stopped or hibernated instance comes back under its old id. One that was sent this much before the episode
began belongs to an earlier one."""
REBALANCE_SECONDS = 3_600.0
"""A rebalance recommendation this much after the last one is a new one."""


class Episode(msgspec.Struct, frozen=True, kw_only=True):
    """One instance's interruption.

    Attributes:
        opened_at: when AWS first said something; seconds since 1970.
        deadline: the earliest known; seconds since 1970; None where AWS has named no time.
        notices: the ids of the events that said something new.
        hooks: the lifecycle hooks that hold the instance.
        window: the number of the window that took it on last.
        planned: kind of action → number of the window that planned it.
        status: ``open``, ``settled`` or ``withdrawn``.
        outcome: once settled: ``handled``, ``late``, ``failed``, ``observed`` or ``ignored``.
        ended: EC2's ending state → when it was reached; seconds since 1970.
        timings: what happened → seconds after ``opened_at``.
        found_running_at: when a late look found it running in no group; 0 for never.
    """

    account: str
    region: str
    instance: str
    severity: Severity
    instance_action: str
    opened_at: float
    deadline: float | None
    notices: tuple[str, ...]
    window: int
    cause: str = ""
    hooks: tuple[Hook, ...] = ()
    planned: dict[str, int] = {}
    group: str = ""
    mode: str = ""
    reasons: tuple[str, ...] = ()
    status: str = "open"
    outcome: str = ""
    ended: dict[str, float] = {}
    timings: dict[str, float] = {}
    found_running_at: float = 0.0


def episode_key(account: str, region: str, instance: str) -> str:
    """The key of its record in the ledger."""
    return f"spot#{account}#{region}#{instance}"


def merge(episode: Episode | None, notice: Notice, window: int) -> Episode:
    """The episode with the notice in it. The very same object comes back where it says nothing new."""
    if episode is None or _is_a_new_one(episode, notice):
        return _opened(notice, window)
    of_an_earlier_one = notice.noticed_at < episode.opened_at - NEW_INTERRUPTION_SECONDS
    if of_an_earlier_one or notice.event_id in episode.notices or not _is_news(episode, notice):
        return episode
    graver = notice.severity > episode.severity
    return msgspec.structs.replace(
        episode,
        severity=max(episode.severity, notice.severity),
        instance_action=notice.instance_action if graver else episode.instance_action,
        opened_at=min(episode.opened_at, notice.noticed_at),
        deadline=_earliest(episode.deadline, notice.deadline),
        notices=(*episode.notices, notice.event_id),
        hooks=(*episode.hooks, notice.hook) if _brings_hook(episode, notice) else episode.hooks,
        cause=notice.cause or episode.cause,
        window=window,
        mode="",
        status="open",
        outcome="",
    )


def end(episode: Episode, news: End) -> Episode:
    """The episode with the instance's end in it; the same object where it was known."""
    if news.state in episode.ended or news.at < episode.opened_at:
        return episode
    timings = {**episode.timings, news.state: news.at - episode.opened_at}
    return msgspec.structs.replace(episode, ended={**episode.ended, news.state: news.at}, timings=timings)


def withdraw(episode: Episode, news: Withdrawal) -> Episode:
    """The episode without its cause, where nothing graver has come of it; else the same object."""
    scheduled = episode.severity is Severity.SCHEDULED and episode.cause == news.cause
    if not scheduled or episode.status != "open":
        return episode
    return msgspec.structs.replace(episode, status="withdrawn", outcome="ignored")


def _is_a_new_one(episode: Episode, notice: Notice) -> bool:
    if any(notice.noticed_at > at for at in episode.ended.values()):
        return True
    if episode.severity is notice.severity is Severity.REBALANCE:
        return notice.noticed_at > episode.opened_at + REBALANCE_SECONDS
    if episode.deadline is None or notice.deadline is None:
        return False
    return notice.deadline > episode.deadline + NEW_INTERRUPTION_SECONDS


def _is_news(episode: Episode, notice: Notice) -> bool:
    if notice.severity > episode.severity or _brings_hook(episode, notice):
        return True
    decided = bool(episode.mode)  # a little less time does not change what is under way
    return not decided and _earliest(episode.deadline, notice.deadline) != episode.deadline


def _brings_hook(episode: Episode, notice: Notice) -> bool:
    return notice.hook is not None and notice.hook not in episode.hooks


def _earliest(*deadlines: float | None) -> float | None:
    return min((deadline for deadline in deadlines if deadline is not None), default=None)


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
        cause=notice.cause,
        hooks=(notice.hook,) if notice.hook else (),
        window=window,
    )
