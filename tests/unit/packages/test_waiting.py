from typing import Any

import msgspec
import pytest

from signalbox.errors import UnavailableError
from signalbox.ledger.memory import MemoryLedger
from signalbox.packages.entries import Entry, Releases, Waiting
from signalbox.packages.releases import Build, Progress, Release, State
from signalbox.packages.waiting import let_go

VERSION = "npm/acme/ui/1.0.0"
WAVES = (("npm/acme/a",), ("npm/acme/b",))


class Tokens:
    """The executions that wait, and those that were let go."""

    def __init__(self) -> None:
        self.answered: list[tuple[str, dict[str, Any]]] = []
        self.fails = False

    def succeed(self, token: str, output: dict[str, Any]) -> None:
        if self.fails:
            raise UnavailableError("no answer")
        self.answered.append((token, output))


def entry(wave: int) -> Entry:
    release = Release(
        version=VERSION,
        revision="r1",
        sequence=3,
        acts=True,
        state=State.BUILDING,
        waves=WAVES,
        wave=wave,
        builds={package: Build(Progress.RUNNING, 1, "b:1") for each in WAVES for package in each},
    )
    told = Waiting(token="t1", round=1, tries=0, wave=0)
    return Entry(release=release, version="1.0.0", repository="team", waiting=told)


def stored(known: Entry) -> Releases:
    releases = Releases(MemoryLedger())
    releases.change(VERSION, lambda _: known)
    return releases


def test_while_the_wave_is_built_nobody_is_let_go() -> None:
    tokens = Tokens()
    releases = stored(entry(0))
    assert let_go(entry(0), releases, tokens) == entry(0)
    assert tokens.answered == []
    assert releases.known(VERSION).waiting is not None


def test_after_the_wave_the_execution_goes_on_once() -> None:
    tokens = Tokens()
    releases = stored(entry(1))
    after = let_go(entry(1), releases, tokens)
    assert tokens.answered == [("t1", {"release": VERSION, "round": 1, "tries": 0, "next": "build"})]
    assert after.waiting is None
    assert releases.known(VERSION).waiting is None
    let_go(after, releases, tokens)
    assert len(tokens.answered) == 1


def test_a_token_that_could_not_be_answered_is_left_to_the_next() -> None:
    tokens = Tokens()
    tokens.fails = True
    releases = stored(entry(1))
    with pytest.raises(UnavailableError):
        let_go(entry(1), releases, tokens)
    assert releases.known(VERSION).has_waited


def test_who_waits_for_the_next_wave_meanwhile_is_not_forgotten() -> None:
    tokens = Tokens()
    next_one = Waiting(token="t2", round=1, tries=0, wave=1)
    releases = stored(msgspec.structs.replace(entry(1), waiting=next_one))
    let_go(entry(1), releases, tokens)  # as it was read before
    assert [token for token, _ in tokens.answered] == ["t1"]
    assert releases.known(VERSION).waiting == next_one
