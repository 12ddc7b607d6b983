"""Cold starts: the answers come again as they were, and the figures are those of the medians."""

import http.client
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from bench.answers import Answers
from bench.first_calls import FIRST_CALLS, LEFT_OUT
from bench.functions import functions_of
from bench.start import OURS, PLAIN, UNCOMPILED, Start
from bench.start_report import results
from tests.template.sources import template


class Counting:
    """An application that says how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.asked += 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"answer {self.asked}".encode()]


@pytest.fixture
def application() -> Counting:
    return Counting()


@pytest.fixture
def answers(application: Counting) -> Iterator[Answers]:
    with Answers(application) as started:
        yield started


def ask(answers: Answers, operation: str = "", body: str = "") -> str:
    connection = http.client.HTTPConnection(answers.url.removeprefix("http://"), timeout=10)
    try:
        connection.request("POST", "/", body, {"X-Amz-Target": operation} if operation else {})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def test_the_same_answers_come_again_without_the_application(answers: Answers, application: Counting) -> None:
    answers.remember("one")
    told = [ask(answers, "Get"), ask(answers, "Put"), ask(answers, body="Action=Get&Version=1")]
    for _ in range(2):
        answers.repeat("one")
        assert [ask(answers, "Put"), ask(answers, "Get"), ask(answers, body="Version=1&Action=Get")] == [
            told[1],
            *told[::2],
        ]
    assert application.asked == 3
    assert not answers.lacking


def test_the_last_answer_is_for_whoever_asks_more_often(answers: Answers) -> None:
    answers.remember("one")
    told = [ask(answers, "Get"), ask(answers, "Get")]
    answers.repeat("one")
    assert [ask(answers, "Get") for _ in range(3)] == [*told, told[-1]]


def test_what_was_never_asked_is_told(answers: Answers) -> None:
    answers.remember("one")
    answers.repeat("one")
    assert "NotRemembered" in ask(answers, "Delete")
    assert answers.lacking == ["one: Delete"]


def test_every_function_of_the_template_has_a_first_call_or_a_reason() -> None:
    assert functions_of(template(), {}).keys() == FIRST_CALLS.keys() | LEFT_OUT.keys()
    assert not FIRST_CALLS.keys() & LEFT_OUT.keys()


def test_the_figures_are_ratios_of_medians_and_the_layer_of_one_function_is_apart() -> None:
    start = Start("Drain", 4, {"Drain": 1, "DependenciesLayer": 20, "KubernetesLayer": 300})
    for who, seconds in ((OURS, (1.0, 2.0, 9.0)), (PLAIN, (4.0, 5.0, 4.0)), (UNCOMPILED, (8.0, 8.0, 1.0))):
        for taken in seconds:
            start.add(
                who, {"import_seconds": taken, "call_seconds": 0.0, "cpu_seconds": taken / 2, "modules": 7}
            )
    named = dict(results([start]))
    assert named["start.Drain.ratio_to_plain_compiled"] == 0.5
    assert named["start.Drain.ratio_to_plain_as_sam"] == 0.25
    assert named["start.Drain.cpu_ratio_to_plain_as_sam"] == 0.25
    assert named["start.Drain.unzipped_bytes"] == 21
    assert named["start.Drain.unzipped_bytes.KubernetesLayer"] == 300
