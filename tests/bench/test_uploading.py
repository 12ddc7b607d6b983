"""The bench of uploads: the assumed line holds connections back, each and all together; all bytes arrive."""

import pytest

from bench import uploading
from bench.uploading import MIB, SINGLE, Line, StandIn, Timed, results
from local.display import terminal


def test_a_connection_gets_a_window_a_round_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.uploading.time.monotonic", lambda: 100.0)
    stand_in = StandIn(Line(window_bytes=1 * MIB, round_trip=0.1, line_bytes_a_second=1_000 * MIB))
    until, own = stand_in.may_go_on_at(5 * MIB, 100.0)
    assert until == own == pytest.approx(100.5)
    until, own = stand_in.may_go_on_at(5 * MIB, own)
    assert until == pytest.approx(101.0)


def test_all_connections_together_get_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.uploading.time.monotonic", lambda: 100.0)
    stand_in = StandIn(Line(window_bytes=1 * MIB, round_trip=0.1, line_bytes_a_second=20 * MIB))
    untils = [stand_in.may_go_on_at(1 * MIB, 100.0)[0] for _ in range(4)]
    assert untils == pytest.approx([100.1, 100.1, 100.15, 100.2])


def test_every_way_sends_the_whole_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploading, "FILE_BYTES", 11 * MIB)
    monkeypatch.setattr(uploading, "JOBS", (2,))
    steps: list[str] = []
    fast = Line(window_bytes=64 * MIB, round_trip=0.001, line_bytes_a_second=1_000 * MIB)
    found = uploading.measure(steps.append, fast)
    assert [(timed.who, timed.parts) for timed in found] == [(SINGLE, 1), ("2 at a time", 3)]
    assert len(steps) == 2
    terminal().print(uploading.upload_table(found))


def test_results_have_names() -> None:
    found = [Timed(SINGLE, 1, 1, 12.0), Timed("4 at a time", 4, 24, 3.0)]
    assert dict(results(found)) == {
        "upload.single-stream.seconds": 12.0,
        "upload.single-stream.times_single_stream": 1.0,
        "upload.4-at-a-time.seconds": 3.0,
        "upload.4-at-a-time.times_single_stream": 4.0,
    }
