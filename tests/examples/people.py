"""Roles that the local CodeArtifact knows, with what their own policies allow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from local.identity import Principal
from tests.examples.example_templates import Node


@dataclass
class People:
    """Roles and their policies, by the access key of a session."""

    roles: dict[str, tuple[Principal, str]] = field(default_factory=dict)

    def add(self, account: str, role: str, statements: Sequence[Node]) -> str:
        """The access key of a session of a new role."""
        key = f"ASIA{role.upper()}{account}"
        principal = Principal(
            f"arn:aws:sts::{account}:assumed-role/{role}/run", f"arn:aws:iam::{account}:role/{role}", account
        )
        self.roles[key] = principal, json.dumps({"Version": "2012-10-17", "Statement": [*statements]})
        return key

    def principal(self, access_key: str) -> Principal | None:
        found = self.roles.get(access_key)
        return found[0] if found else None

    def policies(self, principal: Principal) -> list[str]:
        return [document for known, document in self.roles.values() if known == principal]
