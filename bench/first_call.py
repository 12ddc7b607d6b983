"""Imports a function's handler and calls it once, as Lambda does at a cold start; prints what that took.

Run by bench.start in an interpreter of its own: `python -I -S -B`, which finds nothing but what it is told.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from typing import Any


class Context:
    """What the handlers and the libraries read of the Lambda context."""

    function_name = "function"
    function_version = "1"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id = "00000000-0000-0000-0000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def remember_calls(calls: list[tuple[str, str, dict[str, Any]]]) -> None:
    """Has botocore add every call of every client to the list: service, operation, parameters."""
    import botocore  # noqa: PLC0415 - only where calls are remembered: it is part of what is measured

    def remember(**call: Any) -> None:
        operation = call["model"]
        calls.append((operation.service_model.service_name, operation.name, call["params"]))

    botocore.register_initializer(lambda session: session.register("provide-client-params.*.*", remember))


def set_clock(at: float) -> None:
    """Makes it the time at which the answers were given: leases in them are told from the clock."""
    now = time.time
    moved = at - now()
    time.time = lambda: now() + moved


def main() -> None:
    """Reads the task from standard input; the last line of standard output is the account."""
    task = json.load(sys.stdin)
    sys.path[:0] = task["paths"]
    set_clock(task["at"])
    calls: list[tuple[str, str, dict[str, Any]]] = []
    if task["remember"]:
        remember_calls(calls)
    before = set(sys.modules)
    began, began_cpu = time.perf_counter(), time.process_time()
    handler = import_module("handler")
    imported = time.perf_counter()
    modules = len(set(sys.modules) - before)
    answer = handler.lambda_handler(task["event"], Context())
    ended, ended_cpu = time.perf_counter(), time.process_time()
    account = {
        "import_seconds": imported - began,
        "call_seconds": ended - imported,
        "cpu_seconds": ended_cpu - began_cpu,
        "modules_imported": modules,
        "modules": len(set(sys.modules) - before),
        "calls": calls,
        "answer": answer,
    }
    sys.stdout.write(f"\n{json.dumps(account)}\n")


if __name__ == "__main__":
    main()
