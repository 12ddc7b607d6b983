"""Whose permission AWS asks for and ministack doesn't: put back into ministack, for the spine.

* Step Functions invokes a function as the state machine's role ("Creating an IAM role for your state
  machine", Step Functions Developer Guide). What that role isn't allowed fails the task.
* Lambda takes messages from a queue as the function's role ("Configuring an event source mapping for Amazon
  SQS", Lambda Developer Guide). What went wrong stands in the mapping's LastProcessingResult.

Nobody is asked where IAM is not enforced.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ministack import app as ministack
from ministack.core import iam_evaluator
from ministack.services import lambda_svc, sqs, stepfunctions

if TYPE_CHECKING:
    from collections.abc import Iterable

TAKING = ("sqs:ReceiveMessage", "sqs:GetQueueAttributes")
DELETING = "sqs:DeleteMessage"
PROBLEM = "PROBLEM"

_machine_role: ContextVar[str] = ContextVar("role of the state machine that runs", default="")
"""Copied, with the rest of its context, into the threads of an execution's branches."""


def install() -> None:
    """Makes ministack ask, if it enforces IAM at all."""
    if ministack.AUTH:
        _ask_for_invocations()
        _ask_for_messages()


def denial(role_arn: str, action: str, resource: str) -> str | None:
    """What AWS says where the role's policies don't allow the action; None where they do."""
    account, name = role_arn.split(":")[4], role_arn.rpartition("/")[2]
    session = f"arn:aws:sts::{account}:assumed-role/{name}/service"
    context = iam_evaluator.EvalContext(
        principal_arn=session,
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource,
        region=resource.split(":")[3],
    )
    policies = iam_evaluator._gather_role_policies(name, account)
    if iam_evaluator.evaluate(context, policies).decision == "Allow":
        return None
    return (
        f"User: {session} is not authorized to perform: {action} on resource: {resource} "
        f"because no identity-based policy allows the {action} action"
    )


def _ask_for_invocations() -> None:
    run_execution, call_lambda = stepfunctions._run_execution, stepfunctions._call_lambda

    def run_as_role(arn: str) -> None:
        machine = stepfunctions._state_machines.get(stepfunctions._executions[arn]["stateMachineArn"])
        token = _machine_role.set((machine or {}).get("roleArn", ""))
        try:
            run_execution(arn)
        finally:
            _machine_role.reset(token)

    def call_if_allowed(reference: str, event: Any) -> Any:
        role = _machine_role.get()
        if role and (refusal := denial(role, "lambda:InvokeFunction", reference)):
            raise stepfunctions._ExecutionError("Lambda.AWSLambdaException", refusal)
        return call_lambda(reference, event)

    stepfunctions._run_execution = run_as_role
    stepfunctions._call_lambda = call_if_allowed


def _ask_for_messages() -> None:
    receive, delete, run = (
        sqs._receive_messages_for_esm,
        sqs._delete_messages_for_esm,
        lambda_svc._run_sqs_batch,
    )

    def receive_if_allowed(queue_url: str, size: int) -> list[Any]:
        return [] if _refused(queue_url, TAKING) else list(receive(queue_url, size))

    def delete_if_allowed(queue_url: str, receipts: set[str]) -> None:
        if not _refused(queue_url, [DELETING]):
            delete(queue_url, receipts)

    def run_and_say(mapping: dict[str, Any], *batch: Any) -> None:
        run(mapping, *batch)
        queue_url = batch[-2]
        _refused(queue_url, [DELETING])

    sqs._receive_messages_for_esm = receive_if_allowed
    sqs._delete_messages_for_esm = delete_if_allowed
    lambda_svc._run_sqs_batch = run_and_say


def _refused(queue_url: str, actions: Iterable[str]) -> bool:
    """Whether the role of a function that reads the queue lacks one of the actions; its mapping says so."""
    arn = sqs._queues[queue_url]["attributes"]["QueueArn"]
    for mapping in lambda_svc._esms.values():
        if mapping.get("EventSourceArn") == arn:
            _, config = lambda_svc._get_func_record_for_qualifier(mapping["FunctionName"], None)
            for action in actions:
                if refusal := denial(config["Role"], action, arn):
                    mapping["LastProcessingResult"] = f"{PROBLEM}: {refusal}"
                    return True
            said = mapping["LastProcessingResult"]
            if said.startswith(PROBLEM) and any(action in said for action in actions):
                mapping["LastProcessingResult"] = "No records processed"
    return False
