"""Pages of a list: a token names the last item given, and the question it belongs to."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from local.codeartifact.errors import invalid
from local.codeartifact.model import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from local.codeartifact.registry import Call

# AWS doesn't say how long a page is that nobody set a size for.
PAGE = 100


def page[Item](
    call: Call, items: Iterable[Item], key: Callable[[Item], list[Any]]
) -> tuple[list[Item], dict[str, str]]:
    """A page of `items`, sorted by `key`; and `{"nextToken": …}`, empty after the last page.

    What comes or goes between two pages neither repeats an item nor leaves one out. Raises ServiceError 400
    for a token that isn't this question's.
    """
    size = int(call.parameters.get("maxResults") or PAGE)
    waiting = sorted(items, key=key)
    if token := call.parameters.get("nextToken"):
        last = _last(call, str(token))
        waiting = [item for item in waiting if key(item) > last]
    given = waiting[:size]
    if len(waiting) <= size:
        return given, {}
    return given, {"nextToken": _token(call, key(given[-1]))}


def _question(call: Call) -> str:
    asked = {
        name: value for name, value in call.parameters.items() if name not in ("nextToken", "maxResults")
    }
    return digest([call.operation, call.account, sorted(asked.items())]).hex()[:16]


def _token(call: Call, last: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps([_question(call), last]).encode()).decode()


def _last(call: Call, token: str) -> list[Any]:
    try:
        question, last = json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        raise invalid("The nextToken is not one this service gave") from None
    if question != _question(call) or not isinstance(last, list):
        raise invalid("The nextToken belongs to another request: repeat the one it came from")
    return last
