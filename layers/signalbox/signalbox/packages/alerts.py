"""What owners are told of a release: one message each, about what is theirs.

Told is whose version it is, and whose dependents have failed. What nobody owns goes to ``nobody``, so that
somebody can listen to that.
"""

from collections.abc import Iterator, Sequence

import msgspec

from signalbox.chat import Notification, custom_notification, plain
from signalbox.packages.advice import Place, what_to_do
from signalbox.packages.entries import DOMAIN
from signalbox.packages.outcomes import Outcome, Settlement
from signalbox.packages.owners import Owner, Owners
from signalbox.packages.releases import Reason

NOBODY = "nobody"
"""The owner of what has none."""
SUBJECT_CHARACTERS = 99  # SNS takes fewer than 100 ASCII characters
SHOWN_CHARACTERS = 45
LINE_CHARACTERS = 500
WAVE_CHARACTERS = 1_000
LISTED_OBJECTIONS = 30
LISTED_PACKAGES = 30
LISTED_WAVES = 20
"""With these a message stays below the 256 KB of SNS, whatever the names are."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one owner.

    Attributes:
        attributes: for the filter policies of subscriptions.
        chat: the same for a chat channel (`signalbox.chat`).
    """

    subject: str
    message: str
    attributes: dict[str, str]
    chat: str


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a message is for, and of what.

    Attributes:
        releases: whether the version itself is theirs.
        failed: those of their packages whose builds did not go well.
        trouble: why nobody knows the owners; "" where they are known.
    """

    settlement: Settlement
    place: Place
    owners: Owners
    owner: Owner | None
    releases: bool
    failed: tuple[str, ...]
    trouble: str

    @property
    def name(self) -> str:
        return self.owner.name if self.owner else NOBODY

    @property
    def release(self) -> str:
        return self.settlement.entry.release.version

    @property
    def package(self) -> str:
        return self.settlement.entry.package_version.package.key


def alerts_of(settlement: Settlement, owners: Owners, place: Place, trouble: str = "") -> tuple[Alert, ...]:
    """The messages, by the owners' names; none where nobody is to be told.

    Args:
        trouble: why the owners can't be read; then all is nobody's.
    """
    if settlement.outcome is Outcome.OUTDATED:
        return ()
    return tuple(_alert(told) for told in _told(settlement, owners, place, trouble))


def _told(settlement: Settlement, owners: Owners, place: Place, trouble: str) -> Iterator[_Told]:
    package = settlement.entry.package_version.package.key
    known = {each: owners.of(each) for each in (package, *settlement.failed)}
    names = {each: owner.name if owner else NOBODY for each, owner in known.items()}
    for name in sorted(set(names.values())):
        yield _Told(
            settlement=settlement,
            place=place,
            owners=owners,
            owner=next(known[each] for each in known if names[each] == name),
            releases=names[package] == name,
            failed=tuple(each for each in settlement.failed if names[each] == name),
            trouble=trouble,
        )


def _alert(told: _Told) -> Alert:
    settlement = told.settlement
    headline, why, steps = _headline(settlement, told.place), [*_why(told)], [*_steps(told)]
    waves = [*_waves(settlement)]
    message = [
        f"Packages: {headline}.",
        "",
        *_theirs(told),
        *_section("Why:", why),
        *_section("Waves:", waves),
        *_section("What to do:", steps),
        *_section("The release:", _facts(settlement, told.place)),
    ]
    yours = f" ({len(told.failed)} of yours)" if told.failed else ""
    attributes = {
        "domain": DOMAIN,
        "owner": told.name,
        "release": told.release,
        "package": told.package,
        "outcome": str(settlement.outcome),
    }
    return Alert(
        subject=_for_subject(f"[Signalbox] Packages: {_title(settlement)}{yours}"),
        message="\n".join(_printable(line) for line in message),
        attributes=attributes | ({"reason": settlement.reason} if settlement.reason else {}),
        chat=_chat(told, headline, [*_theirs(told), *why, *waves], steps),
    )


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", title, *(f"- {line}" for line in lines)] if lines else []


def _title(settlement: Settlement) -> str:
    """The end of a long name says more than its beginning: the version stands there."""
    shown = settlement.entry.package_version.shown
    cut = shown if len(shown) <= SHOWN_CHARACTERS else f"...{shown[-SHOWN_CHARACTERS:]}"
    return f"{settlement.outcome}: {cut}"


def _headline(settlement: Settlement, place: Place) -> str:
    entry, outcome = settlement.entry, settlement.outcome
    shown, release = entry.package_version.shown, entry.release
    match outcome:
        case Outcome.PLANNED:
            return f"{shown} would be released: a dry run, nothing was built or promoted"
        case Outcome.PROMOTED:
            return f"{shown} is in {place.shared} now"
        case Outcome.SUPERSEDED:
            return f"the release of {shown} is over: {release.by} takes its place"
        case Outcome.STUCK:
            return f"the release of {shown} can't go on: {settlement.reason}"
    return f"{shown} is not promoted: {_REASONS[Reason(settlement.reason)]}"


_REASONS = {
    Reason.POLICY: "the policy says no",
    Reason.WITHDRAWN: "it was withdrawn",
    Reason.BUILD_FAILED: "dependents failed to build",
    Reason.BUILD_STOPPED: "builds of dependents were stopped",
    Reason.REFUSED: "CodeArtifact did not take it",
}


def _theirs(told: _Told) -> Iterator[str]:
    package = told.package
    mine = [f"{package} (the version)"] if told.releases else []
    mine += [f"{each} (its build)" for each in told.failed if each != package]
    if told.owner is None:
        yield f"Nobody owns {_listed(mine)}, so this message goes to the owner {NOBODY}."
    else:
        yield f"{told.name} owns {_listed(mine)}."
    if told.trouble:
        yield f"The owners can't be read: {_short(told.trouble)}"


def _why(told: _Told) -> Iterator[str]:
    settlement = told.settlement
    entry = settlement.entry
    if settlement.detail:
        yield _short(settlement.detail)
    objections = entry.objections
    for each in objections[:LISTED_OBJECTIONS]:
        yield _short(f"policy, {each.level}: {each.code}: {each.text}")
    if len(objections) > LISTED_OBJECTIONS:
        yield f"and {len(objections) - LISTED_OBJECTIONS} more of the policy's"
    failed = told.failed or settlement.failed
    for package in failed[:LISTED_PACKAGES]:
        yield _short(_trouble(told, package))
    if len(failed) > LISTED_PACKAGES:
        yield f"and {len(failed) - LISTED_PACKAGES} more builds"


def _trouble(told: _Told, package: str) -> str:
    entry = told.settlement.entry
    build = entry.release.builds[package]
    named = f" of {entry.projects[package]}" if package in entry.projects else ""
    said = entry.troubles.get(package, "")
    which = f"build {build.id}{named}" if build.id else f"no build{named} was begun"
    whose = "" if package in told.failed else f" ({_owner(told.owners.of(package))})"
    why = said if build.id and build.id in said else ": ".join(filter(None, (which, said)))
    return f"{package}{whose}: {build.progress}, attempt {build.attempt}: {why}"


def _owner(owner: Owner | None) -> str:
    """For those who may have to ask them."""
    if owner is None:
        return "owned by nobody"
    contact = owner.declared.contact
    return f"owned by {owner.name}{contact and ', ' + contact}"


def _waves(settlement: Settlement) -> Iterator[str]:
    """How far each wave is; of a dry run, what it would be."""
    dry = settlement.outcome is Outcome.PLANNED
    for number, wave in enumerate(settlement.progress[:LISTED_WAVES], 1):
        shown = [name if dry else f"{name} {progress}" for name, progress in wave]
        yield _short(f"wave {number}: {_listed(shown)}", WAVE_CHARACTERS)
    if len(settlement.progress) > LISTED_WAVES:
        yield f"and {len(settlement.progress) - LISTED_WAVES} more waves"


def _steps(told: _Told) -> Iterator[str]:
    yield from what_to_do(told.settlement, told.place, releases=told.releases, failed=told.failed)
    if told.owner is None and not told.trouble:
        named = told.place.command("owners", "put", "OWNER", "FILE", "--yes")
        yield f"Name an owner: {named} (docs/packages.md, Owners)"


def _facts(settlement: Settlement, place: Place) -> list[str]:
    entry = settlement.entry
    release = entry.release
    return [
        f"{release.version}, round {release.round}, try {release.tries + 1}, revision {release.revision}",
        f"from {place.domain}/{entry.repository} to {place.domain}/{place.shared}",
    ]


def _chat(told: _Told, headline: str, lines: Sequence[str], steps: Sequence[str]) -> str:
    settlement = told.settlement
    release = settlement.entry.release
    return custom_notification(
        Notification(
            id=f"{release.execution}-{settlement.outcome}-{told.name}",
            title=plain(_printable(f"{_MARKS[settlement.outcome]} {_title(settlement)}")),
            description="\n".join(plain(_printable(line)) for line in [f"{headline}.", *lines]),
            next_steps=tuple(plain(_printable(step)) for step in steps),
            keywords=tuple(plain(each) for each in (told.name, told.package, str(settlement.outcome))),
            thread=told.release,
            summary=plain(_printable(headline)),
            event_type=f"PackageRelease{settlement.outcome.capitalize()}",
            resources=tuple(plain(each) for each in (told.release, *told.failed)),
            context={"owner": told.name, "release": told.release, "outcome": str(settlement.outcome)},
        )
    )


_MARKS = {
    Outcome.PLANNED: ":memo:",
    Outcome.PROMOTED: ":white_check_mark:",
    Outcome.FAILED: ":x:",
    Outcome.STOPPED: ":double_vertical_bar:",
    Outcome.SUPERSEDED: ":fast_forward:",
    Outcome.STUCK: ":rotating_light:",
}
"""Seen at a glance in a channel."""


def _listed(names: Sequence[str]) -> str:
    more = len(names) - LISTED_PACKAGES
    return ", ".join(names[:LISTED_PACKAGES]) + (f" and {more} more" if more > 0 else "")


def _short(text: str, most: int = LINE_CHARACTERS) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _for_subject(subject: str) -> str:
    """ASCII, on one line ("Publish", SNS API Reference)."""
    return _printable(subject).encode("ascii", "replace").decode()[:SUBJECT_CHARACTERS]


def _printable(line: str) -> str:
    """What builds and CodeArtifact say may hold line breaks: nobody shall write lines of an alert so."""
    return "".join(character if character.isprintable() else "?" for character in line)
