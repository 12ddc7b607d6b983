"""An invocation waits for a worker that is warm, as long as that makes sense."""

import threading
from typing import Any

import pytest
from ministack.services import lambda_svc

from local import workers


class Pool:
    """Workers of one function, as ministack leases them."""

    def __init__(self) -> None:
        self.leased: list[int] = []
        self.free: list[int] = []

    def acquire(
        self, name: str, config: dict[str, Any], code: bytes, max_concurrency: int | None = None
    ) -> tuple[int | None, str]:
        if self.free:
            self.leased.append(self.free.pop())
            return self.leased[-1], "reused"
        if max_concurrency and len(self.leased) >= max_concurrency:
            return None, "func_cap"
        self.leased.append(len(self.leased))
        return self.leased[-1], "spawn"

    def release(self, worker: int) -> None:
        self.leased.remove(worker)
        self.free.append(worker)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Pool:
    pool = Pool()
    monkeypatch.setattr(lambda_svc, "acquire_worker", pool.acquire)
    monkeypatch.setattr(lambda_svc, "release_worker", pool.release)
    monkeypatch.setattr(workers, "MOST", 2)
    workers.install()
    return pool


def acquire() -> Any:
    return lambda_svc.acquire_worker("f", {}, b"")


def test_who_finds_all_workers_busy_gets_the_first_that_is_free(pool: Pool) -> None:
    first, second = acquire(), acquire()
    got: list[Any] = []
    waiting = threading.Thread(target=lambda: got.append(acquire()))
    waiting.start()
    lambda_svc.release_worker(first[0])
    waiting.join(5)
    assert got == [(first[0], "reused")]
    assert sorted(pool.leased) == sorted([first[0], second[0]])


def test_who_has_waited_long_enough_gets_another_one(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "LONGEST_WAIT_SECONDS", 0.0)
    acquire(), acquire()
    assert acquire() == (2, "spawn")
