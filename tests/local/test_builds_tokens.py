"""How long a token of StartBuild is good, and for what."""

import pytest

from local.builds.tokens import SECONDS, MismatchError, Tokens

KEY = ("account", "region", "project", "token")


def test_within_five_minutes_the_same_request_is_the_same_build() -> None:
    now = [0.0]
    tokens = Tokens(lambda: now[0])
    assert tokens.begun(KEY, {"a": 1}) is None
    tokens.keep(KEY, {"a": 1}, "build")
    now[0] = SECONDS
    assert tokens.begun(KEY, {"a": 1}) == "build"
    assert tokens.begun((*KEY[:3], "another"), {"a": 2}) is None
    with pytest.raises(MismatchError, match="other parameters"):
        tokens.begun(KEY, {"a": 2})
    now[0] += 1
    assert tokens.begun(KEY, {"a": 2}) is None
