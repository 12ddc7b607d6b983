"""Permissions policies of domains and repositories: read strictly, evaluated as IAM does.

What this evaluator doesn't understand is refused when the policy is put, never passed over when it is asked.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ACCOUNT_PRINCIPAL = re.compile(r"(?:arn:aws:iam::)?(\d{12})(?::root)?")
PRINCIPAL_ARN = re.compile(r"arn:aws:(?:iam|sts)::\d{12}:(?:role|user|assumed-role)/[^*?]+")
MEMBERS = {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}
CONDITION_KEYS = ("aws:principalarn", "aws:principalaccount", "aws:principalorgid")
# By operator: whether wildcards count, and whether it asks for the opposite.
OPERATORS = {
    "StringEquals": (False, False),
    "StringNotEquals": (False, True),
    "StringLike": (True, False),
    "StringNotLike": (True, True),
    "ArnEquals": (True, False),
    "ArnNotEquals": (True, True),
    "ArnLike": (True, False),
    "ArnNotLike": (True, True),
}


class PolicyError(ValueError):
    """A document that can't be used, with the place and what would be right."""


class Verdict(Enum):
    """What resource policies say of a call.

    Allowing the caller's account is less than allowing the caller: within one account it only hands the
    decision to the identity policies.
    """

    NONE = "none"
    ACCOUNT = "the caller's account is allowed"
    ALLOW = "the caller is allowed"
    DENY = "denied"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. `arn` is the session's or the root's, `role_arn` the role's behind a session."""

    account: str
    arn: str
    role_arn: str
    root: bool = False
    organization: str = ""

    @property
    def context(self) -> Mapping[str, str]:
        """The values of CONDITION_KEYS."""
        return {
            "aws:principalarn": self.role_arn,
            "aws:principalaccount": self.account,
            "aws:principalorgid": self.organization,
        }


@dataclass(frozen=True, slots=True)
class Statement:
    effect: str
    principals: tuple[str, ...]
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...]

    def verdict(self, caller: Caller, action: str, resource: str) -> Verdict:
        matches = (
            any(matches_wildcards(pattern.lower(), action.lower()) for pattern in self.actions)
            and any(matches_wildcards(pattern, resource) for pattern in self.resources)
            and all(_holds(condition, caller) for condition in self.conditions)
        )
        named = max((_names(principal, caller) for principal in self.principals), default=0)
        if not matches or not named:
            return Verdict.NONE
        if self.effect == "Deny":
            return Verdict.DENY
        return Verdict.ALLOW if named == 2 else Verdict.ACCOUNT


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as it was put, and as it is understood. `revision` names the document."""

    document: str
    revision: str
    statements: tuple[Statement, ...]


def evaluate(policies: Iterable[Policy | None], caller: Caller, action: str, resource: str) -> Verdict:
    """The verdict of all policies together: a Deny wins, an Allow of any of them is enough."""
    found = {
        statement.verdict(caller, action, resource)
        for policy in policies
        if policy is not None
        for statement in policy.statements
    }
    order = (Verdict.DENY, Verdict.ALLOW, Verdict.ACCOUNT)
    return next((verdict for verdict in order if verdict in found), Verdict.NONE)


def parse(document: str) -> tuple[Statement, ...]:
    """Raises PolicyError, naming the place."""
    try:
        content = json.loads(document)
    except ValueError as error:
        raise PolicyError(f"the policy is not JSON: {error}") from error
    match content:
        case {"Statement": dict() as one}:
            statements: list[Any] = [one]
        case {"Statement": [_, *_] as several}:
            statements = several
        case _:
            raise PolicyError("the policy has no Statement")
    if content.get("Version") not in ("2012-10-17", "2008-10-17"):
        raise PolicyError('Version: it is "2012-10-17"')
    return tuple(_statement(one, f"Statement[{place}]") for place, one in enumerate(statements))


def _statement(statement: Any, place: str) -> Statement:
    if not isinstance(statement, dict):
        raise PolicyError(f"{place}: a statement is an object")
    if unknown := sorted(statement.keys() - MEMBERS):
        raise PolicyError(
            f"{place}.{unknown[0]}: not understood here; known are {', '.join(sorted(MEMBERS))}"
        )
    if statement.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError(f'{place}.Effect: it is "Allow" or "Deny"')
    actions = _texts(statement.get("Action"), f"{place}.Action")
    for action in actions:
        if action != "*" and not action.lower().startswith("codeartifact:"):
            raise PolicyError(f"{place}.Action: {action!r} is no action of codeartifact")
    return Statement(
        effect=statement["Effect"],
        principals=_principals(statement.get("Principal"), f"{place}.Principal"),
        actions=actions,
        resources=_texts(statement.get("Resource"), f"{place}.Resource"),
        conditions=tuple(_conditions(statement.get("Condition", {}), f"{place}.Condition")),
    )


def _texts(value: Any, place: str) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, str) and one for one in values):
        raise PolicyError(f"{place}: it is a string, or a list of strings")
    return tuple(values)


def _principals(value: Any, place: str) -> tuple[str, ...]:
    if value == "*":
        return ("*",)
    if not isinstance(value, dict) or value.keys() != {"AWS"}:
        raise PolicyError(f'{place}: "*" or {{"AWS": …}} are understood here')
    principals = _texts(value["AWS"], f"{place}.AWS")
    for one in principals:
        if one != "*" and not ACCOUNT_PRINCIPAL.fullmatch(one) and not PRINCIPAL_ARN.fullmatch(one):
            raise PolicyError(f"{place}.AWS: {one!r} is no account, role, user, session or *")
    return principals


def _conditions(value: Any, place: str) -> Iterable[tuple[str, str, tuple[str, ...]]]:
    if not isinstance(value, dict):
        raise PolicyError(f"{place}: it is an object")
    for operator, tests in value.items():
        if operator not in OPERATORS:
            known = ", ".join(OPERATORS)
            raise PolicyError(f"{place}.{operator}: not understood here; known operators are {known}")
        if not isinstance(tests, dict):
            raise PolicyError(f"{place}.{operator}: it is an object of condition keys")
        for key, values in tests.items():
            if key.lower() not in CONDITION_KEYS:
                raise PolicyError(
                    f"{place}.{operator}.{key}: not understood here; known keys are "
                    "aws:PrincipalArn, aws:PrincipalAccount, aws:PrincipalOrgID"
                )
            yield operator, key.lower(), _texts(values, f"{place}.{operator}.{key}")


def _names(principal: str, caller: Caller) -> int:
    """2 for the caller itself, 1 for its account, 0 for others."""
    if principal == "*" or principal in (caller.arn, caller.role_arn):
        # The ARN of an account's root means the account, also when the root itself calls.
        return 2 if principal == "*" or not caller.root else 1
    account = ACCOUNT_PRINCIPAL.fullmatch(principal)
    return 1 if account and account[1] == caller.account else 0


def _holds(condition: tuple[str, str, tuple[str, ...]], caller: Caller) -> bool:
    operator, key, values = condition
    wildcards, opposite = OPERATORS[operator]
    actual = caller.context[key]
    found = any(matches_wildcards(one, actual) if wildcards else one == actual for one in values)
    return found is not opposite


def matches_wildcards(pattern: str, text: str) -> bool:
    """Whether `text` is what `pattern` says, * being any characters and ? being one."""
    return _wildcards(pattern).fullmatch(text) is not None


@cache
def _wildcards(pattern: str) -> re.Pattern[str]:
    parts = (".*" if one == "*" else "." if one == "?" else re.escape(one) for one in pattern)
    return re.compile("".join(parts), re.DOTALL)
