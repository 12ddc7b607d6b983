"""Licences, as packages name them and as SPDX does."""

import re
from collections.abc import Callable, Mapping

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

LONGEST = 256
TOKEN = re.compile(r"[()]|[^\s()]+")
ADDRESS = re.compile(
    r"https?://(?:www\.)?(?:spdx|opensource)\.org/licenses?/([^/?#]+?)/?(?:\.html|\.txt)?", re.IGNORECASE
)

type Expression = str


def read_expression(name: str, url: str = "", aliases: Mapping[str, str] | None = None) -> Expression | None:
    """The SPDX expression that a licence is named by, in canonical form; None where nobody knows.

    Most packages say something like ``Apache License 2.0``, which is none. The address may help, if it is
    SPDX's or the Open Source Initiative's; and whoever knows better may say so.

    Args:
        aliases: what else licences are called, in lower case → their expression.
    """
    matched = ADDRESS.fullmatch(url.strip())
    said = (aliases or {}).get(name.strip().lower(), "")
    return next(filter(None, map(_canonical, (said, name, matched[1] if matched else ""))), None)


def _canonical(text: str) -> Expression | None:
    if not text.strip() or len(text) > LONGEST:
        return None
    try:
        return canonicalize_license_expression(text)
    except InvalidLicenseExpression:
        return None


def weigh(expression: Expression, weight: Callable[[str], int]) -> int:
    """What an expression weighs, by the weights of its licences: of alternatives the lightest, of what must
    be kept together the heaviest. A licence with an exception is asked about as a whole.

    Args:
        expression: in canonical form.
    """
    return _Weighing(TOKEN.findall(expression), weight).alternatives()


class _Weighing:
    """WITH binds closest, then AND, then OR ("SPDX license expressions", SPDX Specification)."""

    def __init__(self, tokens: list[str], weight: Callable[[str], int]) -> None:
        self._tokens = [*tokens, ""]
        self._place = 0
        self._weight = weight

    def alternatives(self) -> int:
        found = [self._together()]
        while self._taken("OR"):
            found.append(self._together())
        return min(found)

    def _together(self) -> int:
        found = [self._one()]
        while self._taken("AND"):
            found.append(self._one())
        return max(found)

    def _one(self) -> int:
        if self._taken("("):
            inside = self.alternatives()
            self._taken(")")
            return inside
        name = self._next()
        return self._weight(f"{name} WITH {self._next()}" if self._taken("WITH") else name)

    def _taken(self, token: str) -> bool:
        if self._tokens[self._place] != token:
            return False
        self._place += 1
        return True

    def _next(self) -> str:
        self._place += 1
        return self._tokens[self._place - 1]
