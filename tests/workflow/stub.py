"""The program of every stub function: it answers from the script that its input carries, and keeps a diary.

One part of the input, such as the window, has a `script`: step → its answers, in order; the last one repeats.
An answer is what to return, or {"raise": name, "message": text}. {"tells": [[call, output], …]} answers task
tokens before it returns: that of this step's first call is of call 0, its own of call -1. The diary is shared
by the functions: a line for each call, with what Step Functions said to its answers, appended.

It is a custom runtime (`provided.al2023`), since ministack 1.5.33 reports each exception of its own Python
runtime as Runtime.HandlerError; AWS's names the class, and so does this one.
"""

import fcntl
import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

STEP = os.environ.get("STEP", "")
DIARY = Path(os.environ.get("DIARY", "."))
STEP_FUNCTIONS = os.environ.get("STEP_FUNCTIONS", "")
RUNTIME = f"http://{os.environ.get('AWS_LAMBDA_RUNTIME_API', '')}/2018-06-01/runtime/invocation"


def answer(event: dict[str, Any]) -> dict[str, Any]:
    """Notes the call; what the script says comes next."""
    subject = next(part for part in event.values() if isinstance(part, dict) and "script" in part)
    with (DIARY / f"{subject['number']}.jsonl").open("a+") as diary:
        # Who reads while another branch appends sees half a line. Closing lets go, after the last byte.
        fcntl.flock(diary, fcntl.LOCK_EX)
        diary.seek(0)
        inputs = [call["input"] for call in map(json.loads, diary) if call["step"] == STEP] + [event]
        answers = subject["script"][STEP]
        found: dict[str, Any] = answers[min(len(inputs), len(answers)) - 1]
        tokens = [tell(inputs[call]["token"], output) for call, output in found.get("tells", [])]
        diary.write(json.dumps({"step": STEP, "input": event, "tokens": tokens}) + "\n")
    return found


def tell(token: str, output: object) -> str:
    """Answers a task token (SendTaskSuccess): "", or the code of the refusal."""
    request = urllib.request.Request(  # noqa: S310 - http, ministack's
        STEP_FUNCTIONS,
        json.dumps({"taskToken": token, "output": json.dumps(output)}).encode(),
        {"X-Amz-Target": "AWSStepFunctions.SendTaskSuccess", "Content-Type": "application/x-amz-json-1.0"},
    )
    try:
        urllib.request.urlopen(request).close()  # noqa: S310 - http, ministack's
    except urllib.error.HTTPError as refused:
        return str(json.load(refused)["__type"])
    return ""


def post(path: str, body: object) -> None:
    """Hands an answer to the runtime API."""
    request = urllib.request.Request(f"{RUNTIME}/{path}", json.dumps(body).encode())  # noqa: S310 - http, ministack's
    urllib.request.urlopen(request).close()  # noqa: S310 - http, ministack's


def serve() -> None:
    """One invocation after another, until ministack ends the process."""
    while True:
        with urllib.request.urlopen(f"{RUNTIME}/next") as invocation:  # noqa: S310 - http, ministack's
            request_id = invocation.headers["Lambda-Runtime-Aws-Request-Id"]
            event = json.load(invocation)
        said = answer(event)
        if "raise" in said:
            post(f"{request_id}/error", {"errorType": said["raise"], "errorMessage": said["message"]})
        else:
            post(f"{request_id}/response", said)


if __name__ == "__main__":
    serve()
