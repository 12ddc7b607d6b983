"""Why an execution failed, as a person reads it."""

import pytest

from signalbox.failures import Failure, said


@pytest.mark.parametrize(
    ("cause", "shown"),
    [
        ('{"errorMessage": "no such key", "errorType": "NotFoundError"}', "S: E: no such key"),
        ('{"errorMessage": "cut of', 'S: E: {"errorMessage": "cut of'),
        ("Lambda timed out", "S: E: Lambda timed out"),
        ('"just text"', 'S: E: "just text"'),
        ("", "S: E: "),
        ("x" * 5_000, "S: E: " + "x" * 994),
    ],
    ids=lambda text: text[:20],
)
def test_what_it_says(cause: str, shown: str) -> None:
    assert said(Failure(step="S", error="E", cause=cause), 1_000) == shown
