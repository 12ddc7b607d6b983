"""The stub functions themselves: those of parallel branches share a diary."""

import fcntl
import json
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYetError
from pathlib import Path

import pytest

from tests.workflow import stub


def test_a_stub_waits_until_another_has_written_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stub, "DIARY", tmp_path)
    monkeypatch.setattr(stub, "STEP", "DrainNodes")
    event = {"window": {"number": 7, "script": {"DrainNodes": [{"succeeded": 1}, {"succeeded": 2}]}}}
    others = json.dumps({"step": "DetachInstances", "input": event}) + "\n"
    middle = len(others) // 2
    with ThreadPoolExecutor(1) as pool:
        with (tmp_path / "7.jsonl").open("a") as diary:
            fcntl.flock(diary, fcntl.LOCK_EX)
            diary.write(others[:middle])
            diary.flush()
            answered = pool.submit(stub.answer, event)
            with pytest.raises(NotYetError):
                answered.result(timeout=0.2)
            diary.write(others[middle:])
        assert answered.result() == {"succeeded": 1}
    assert stub.answer(event) == {"succeeded": 2}
    steps = [json.loads(line)["step"] for line in (tmp_path / "7.jsonl").read_text().splitlines()]
    assert steps == ["DetachInstances", "DrainNodes", "DrainNodes"]
