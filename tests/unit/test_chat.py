"""A chat channel's message: in the form that AWS's chat integration takes, and within its limits."""

import json
from typing import Any

import pytest

from signalbox.chat import (
    DESCRIPTION_CHARACTERS,
    KEYWORDS,
    RESOURCES,
    STEPS,
    TITLE_CHARACTERS,
    Notification,
    custom_notification,
    plain,
)

SMALL = Notification(
    id="x-1",
    title="A title",
    description="What happened.",
    next_steps=("Do this.",),
    keywords=("team-ui",),
    thread="npm/acme/ui/1.0.0",
    summary="A sentence",
    event_type="PackageReleaseFailed",
    resources=("npm/acme/ui",),
    context={"owner": "team-ui"},
)
LARGE = Notification(
    id="x-2",
    title="t" * 1_000,
    description="d" * 20_000,
    next_steps=("s" * 1_000,) * 20,
    keywords=("k" * 1_000,) * 20,
    thread="r" * 1_000,
    summary="s" * 1_000,
    event_type="PackageReleaseFailed",
    resources=("r" * 1_000,) * 20,
    context={"owner": "o" * 1_000},
)


def sent(notification: Notification) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(custom_notification(notification))
    return made


def test_it_has_the_documented_form() -> None:
    assert sent(SMALL) == {
        "version": "1.0",
        "source": "custom",
        "id": "x-1",
        "content": {
            "textType": "client-markdown",
            "title": "A title",
            "description": "What happened.",
            "nextSteps": ["Do this."],
            "keywords": ["team-ui"],
        },
        "metadata": {
            "threadId": "npm/acme/ui/1.0.0",
            "summary": "A sentence",
            "eventType": "PackageReleaseFailed",
            "relatedResources": ["npm/acme/ui"],
            "additionalContext": {"owner": "team-ui"},
        },
    }


def test_what_is_too_long_is_cut_and_looks_it() -> None:
    content = sent(LARGE)["content"]
    assert (len(content["title"]), len(content["description"])) == (TITLE_CHARACTERS, DESCRIPTION_CHARACTERS)
    assert content["title"].endswith("t…")
    assert (len(content["nextSteps"]), len(content["keywords"])) == (STEPS, KEYWORDS)
    metadata = sent(LARGE)["metadata"]
    assert len(metadata["relatedResources"]) == RESOURCES
    assert max(map(len, [*content["nextSteps"], *content["keywords"], metadata["threadId"]])) <= 350


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<!channel> look", "&lt;!channel&gt; look"),
        ("<https://example.com|free money>", "&lt;https://example.com|free money&gt;"),
        ("a & b", "a &amp; b"),
        ("@acme/ui 1.0.0", "@acme/ui 1.0.0"),
    ],
)
def test_somebody_elses_text_is_shown_and_not_obeyed(text: str, shown: str) -> None:
    assert plain(text) == shown
