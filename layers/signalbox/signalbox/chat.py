"""What a chat channel shows of an alert: the custom notifications of Amazon Q Developer in chat applications.

That service subscribes to the alert topic by HTTPS, and passes over what has not this form ("Custom
notifications using Amazon Q Developer in chat applications", Amazon Q Developer in chat applications
Administrator Guide). It names limits for title and description; the rest is kept short enough to be read.
"""

from typing import Any

import msgspec

TITLE_CHARACTERS = 250
DESCRIPTION_CHARACTERS = 8_000
STEPS, STEP_CHARACTERS = 5, 350
KEYWORDS, KEYWORD_CHARACTERS = 5, 75
RESOURCES, NAME_CHARACTERS = 10, 250
MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
"""What Slack reads as links and mentions ("Formatting text for app surfaces", Slack API)."""


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One message in a channel.

    Attributes:
        id: the same for the same message.
        next_steps: what to do, a line each.
        thread: messages of the same one stand together, where the channel's preferences have it so.
        summary: a sentence, for the list of threads.
        event_type: of a kind of its own, in Pascal case.
        resources: what it is about.
        context: for programs, and for custom actions: name → text.
    """

    id: str
    title: str
    description: str
    next_steps: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    thread: str
    summary: str
    event_type: str
    resources: tuple[str, ...] = ()
    context: dict[str, str] = {}


def custom_notification(told: Notification) -> str:
    """The notification as the service wants it, cut to its limits."""
    custom: dict[str, Any] = {
        "version": "1.0",
        "source": "custom",
        "id": told.id,
        "content": {
            "textType": "client-markdown",
            "title": _cut(told.title, TITLE_CHARACTERS),
            "description": _cut(told.description, DESCRIPTION_CHARACTERS),
            "nextSteps": [_cut(step, STEP_CHARACTERS) for step in told.next_steps[:STEPS]],
            "keywords": [_cut(word, KEYWORD_CHARACTERS) for word in told.keywords[:KEYWORDS]],
        },
        "metadata": {
            "threadId": _cut(told.thread, NAME_CHARACTERS),
            "summary": _cut(told.summary, NAME_CHARACTERS),
            "eventType": told.event_type,
            "relatedResources": [_cut(name, NAME_CHARACTERS) for name in told.resources[:RESOURCES]],
            "additionalContext": {name: _cut(text, NAME_CHARACTERS) for name, text in told.context.items()},
        },
    }
    return msgspec.json.encode(custom).decode()


def plain(text: str) -> str:
    """A text of somebody else's, so that a channel shows it and does not obey it: no mentions, no links."""
    return text.translate(MARKUP)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
