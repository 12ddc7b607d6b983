"""Who may do what: identity policies from the spine, permissions policies from here.

The rules are those of "Interaction between repository and domain policies" (CodeArtifact User Guide).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING

from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

from local.codeartifact import policies
from local.codeartifact.errors import ServiceError, denied
from local.codeartifact.model import Domain, PackageKey, Repository, domain_arn, package_arn, repository_arn
from local.codeartifact.policies import Caller, Policy, Verdict
from local.estate.errors import AwsError
from local.identity import ROOT_OF_ACCOUNT
from local.settings import ACCESS_KEY, ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.codeartifact.registry import Call, Registry
    from local.identity import IdentitySource, Principal

# All accounts here are in one organisation, so that a policy may ask for it.
ORGANIZATION = "o-embedded00"
CACHE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Demand:
    """One permission a call needs. No domain: an action on the account as a whole."""

    action: str
    resource: str
    owner: str
    domain: Domain | None = None
    repository: Repository | None = None


class Access:
    """Knows callers by their access keys, and holds them to the policies.

    Without a source only the roots of accounts are known. What the source says is remembered for
    CACHE_SECONDS.
    """

    def __init__(
        self, source: IdentitySource | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._clock = clock
        self._lock = Lock()
        self._remembered: dict[str, tuple[float, Principal, list[object]]] = {}

    @property
    def knows_roles(self) -> bool:
        return self._source is not None

    def forget(self) -> None:
        """Asks the source again from now on."""
        with self._lock:
            self._remembered.clear()

    def caller(self, access_key: str) -> Caller:
        """Raises ServiceError 403 for a key nobody has, 503 when the source can't be asked."""
        if access_key == ACCESS_KEY:
            return root_of(ACCOUNT)
        if ROOT_OF_ACCOUNT.fullmatch(access_key):
            return root_of(access_key)
        principal, _ = self._identity(access_key)
        return Caller(principal.account, principal.arn, principal.role_arn, organization=ORGANIZATION)

    def check(self, call: Call, caller: Caller, access_key: str, registry: Registry) -> None:
        """Raises ServiceError 403, in AWS's words, for the first permission that is missing."""
        for demand in demands(call, registry):
            self._meet(demand, call, caller, access_key)
        if call.operation == "GetAuthorizationToken" and not caller.root:
            self._bearer_token(call, caller, access_key)

    def _meet(self, demand: Demand, call: Call, caller: Caller, access_key: str) -> None:
        administrator = demand.repository.administrator if demand.repository else demand.owner
        if caller.root and caller.account in (demand.owner, administrator):
            return
        identity = self._by_identity(demand, call, caller, access_key)
        resource = policies.evaluate(_policies(demand, call), caller, demand.action, demand.resource)
        if identity == "Deny":
            reason = "with an explicit deny in an identity-based policy"
        elif resource is Verdict.DENY:
            reason = "with an explicit deny in a resource-based policy"
        elif caller.account == demand.owner:
            if identity == "Allow" or resource is Verdict.ALLOW:
                return
            reason = f"because no identity-based policy allows the {demand.action} action"
        elif identity != "Allow":
            reason = f"because no identity-based policy allows the {demand.action} action"
        elif caller.account == administrator or resource in (Verdict.ALLOW, Verdict.ACCOUNT):
            return
        else:
            reason = f"because no resource-based policy allows the {demand.action} action"
        raise denied(caller.arn, demand.action, demand.resource, reason)

    def _bearer_token(self, call: Call, caller: Caller, access_key: str) -> None:
        demand = Demand("sts:GetServiceBearerToken", "*", caller.account)
        if self._by_identity(demand, call, caller, access_key) != "Allow":
            raise denied(
                caller.arn,
                demand.action,
                demand.resource,
                f"because no identity-based policy allows the {demand.action} action",
            )

    def _by_identity(self, demand: Demand, call: Call, caller: Caller, access_key: str) -> str:
        if caller.root:
            return "Allow"
        _, statements = self._identity(access_key)
        context = EvalContext(
            principal_arn=caller.arn,
            principal_type="AssumedRole",
            principal_account=caller.account,
            action=demand.action,
            resource_arn=demand.resource,
            region=call.region,
        )
        return str(evaluate(context, statements).decision)

    def _identity(self, access_key: str) -> tuple[Principal, list[object]]:
        if self._source is None:
            raise _unknown(f"'{access_key}' is no account's root, and roles are known only with --spine")
        now = self._clock()
        with self._lock:
            at, principal, statements = self._remembered.get(access_key, (None, None, None))
        if at is not None and principal is not None and statements is not None and now - at < CACHE_SECONDS:
            return principal, statements
        try:
            found = self._source.principal(access_key)
            if found is None:
                raise _unknown("The security token included in the request is invalid.")
            read = [parse_policy_document(one) for one in self._source.policies(found)]
        except AwsError as error:
            raise ServiceError(
                "ServiceUnavailable", error.message, status=HTTPStatus.SERVICE_UNAVAILABLE
            ) from error
        with self._lock:
            self._remembered[access_key] = (now, found, read)
        return found, read


def root_of(account: str) -> Caller:
    """The root of an account, which may do everything in it."""
    arn = f"arn:aws:iam::{account}:root"
    return Caller(account, arn, arn, root=True, organization=ORGANIZATION)


def demands(call: Call, registry: Registry) -> Iterator[Demand]:
    """The permissions a call needs, whether or not what it names is there."""
    action = f"codeartifact:{call.operation}"
    if call.operation == "CopyPackageVersions":
        yield _on_repository(call, registry, "codeartifact:ReadFromRepository", call.text("sourceRepository"))
        yield _on_repository(call, registry, action, call.text("destinationRepository"), call.key)
    elif "package" in call.parameters:
        yield _on_repository(call, registry, action, call.text("repository"), call.key)
    elif "repository" in call.parameters:
        yield _on_repository(call, registry, action, call.text("repository"))
    elif "domain" in call.parameters:
        yield _on_domain(call, registry, action)
    elif "resourceArn" in call.parameters:
        yield _on_arn(call, registry, action)
    else:
        yield Demand(action, "*", call.account)
    for upstream in call.parameters.get("upstreams") or []:
        name = upstream["repositoryName"]
        yield _on_repository(call, registry, "codeartifact:AssociateWithDownstreamRepository", name)


def _on_domain(call: Call, registry: Registry, action: str) -> Demand:
    domain = registry.domains.get((call.region, call.owner, call.text("domain")))
    return Demand(action, domain_arn(call.region, call.owner, call.text("domain")), call.owner, domain)


def _on_repository(
    call: Call, registry: Registry, action: str, name: str, key: PackageKey | None = None
) -> Demand:
    domain = registry.domains.get((call.region, call.owner, call.text("domain")))
    parts = (call.region, call.owner, call.text("domain"), name)
    resource = package_arn(*parts, key) if key else repository_arn(*parts)
    repository = domain.repositories.get(name) if domain else None
    return Demand(action, resource, call.owner, domain, repository)


def _on_arn(call: Call, registry: Registry, action: str) -> Demand:
    arn = call.text("resourceArn")
    match registry.holder(arn):
        case Domain() as domain:
            return Demand(action, arn, domain.owner, domain)
        case Repository() as repository:
            return Demand(action, arn, repository.domain.owner, repository.domain, repository)
        case None:
            return Demand(action, arn, call.account)


def _policies(demand: Demand, call: Call) -> list[Policy | None]:
    """Those that count: putting a policy doesn't ask the policy it replaces."""
    found: list[Policy | None] = []
    if demand.domain and call.operation != "PutDomainPermissionsPolicy":
        found.append(demand.domain.policy)
    if demand.repository and call.operation != "PutRepositoryPermissionsPolicy":
        found.append(demand.repository.policy)
    return found


def _unknown(message: str) -> ServiceError:
    return ServiceError("UnrecognizedClientException", message, status=HTTPStatus.FORBIDDEN)
