"""Domains, repositories, their upstreams, external connections and permissions policies."""

from __future__ import annotations

import base64
import secrets
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from local.codeartifact.errors import conflict, invalid, not_found, quota_exceeded
from local.codeartifact.model import Domain, Repository, digest
from local.codeartifact.paging import page
from local.codeartifact.policies import Policy, PolicyError, parse
from local.codeartifact.registry import repository_in

if TYPE_CHECKING:
    from local.codeartifact.registry import Call, Registry

# "Quotas in AWS CodeArtifact".
DOMAINS_PER_ACCOUNT = 10
REPOSITORIES_PER_DOMAIN = 1_000
UPSTREAMS = 10
TOKEN_SECONDS = range(900, 43_201)
# A role's session lasts an hour unless somebody says otherwise; a token of 0 seconds lives as long.
SESSION_SECONDS = 3_600
EXTERNAL_CONNECTIONS = {
    "public:npmjs": "npm",
    "public:nuget-org": "nuget",
    "public:pypi": "pypi",
    "public:maven-central": "maven",
    "public:maven-googleandroid": "maven",
    "public:maven-gradleplugins": "maven",
    "public:maven-commonsware": "maven",
    "public:maven-clojars": "maven",
    "public:ruby-gems-org": "ruby",
    "public:crates-io": "cargo",
}


def create_domain(registry: Registry, call: Call) -> dict[str, Any]:
    name = call.text("domain")
    key = (call.region, call.account, name)
    if key in registry.domains:
        raise conflict(f"Domain '{name}' already exists", name, "domain")
    if sum(owned[:2] == key[:2] for owned in registry.domains) >= DOMAINS_PER_ACCOUNT:
        raise quota_exceeded(f"An account has at most {DOMAINS_PER_ACCOUNT} domains", name, "domain")
    own_key = f"arn:aws:kms:{call.region}:{call.account}:key/{uuid.uuid5(uuid.NAMESPACE_DNS, name)}"
    domain = Domain(
        region=call.region,
        owner=call.account,
        name=name,
        created_at=call.now,
        encryption_key=call.text("encryptionKey") or own_key,
        tags=_tags(call),
    )
    registry.domains[key] = domain
    return {"domain": _described(domain)}


def describe_domain(registry: Registry, call: Call) -> dict[str, Any]:
    return {"domain": _described(registry.domain(call))}


def list_domains(registry: Registry, call: Call) -> dict[str, Any]:
    owned = [
        one for one in registry.domains.values() if (one.region, one.owner) == (call.region, call.account)
    ]
    given, more = page(call, owned, lambda domain: [domain.name])
    return {"domains": [_summary(domain) for domain in given], **more}


def delete_domain(registry: Registry, call: Call) -> dict[str, Any]:
    """A domain that is gone already counts as deleted: AWS names no ResourceNotFoundException here."""
    domain = registry.domains.get((call.region, call.owner, call.text("domain")))
    if domain is None:
        return {}
    if domain.repositories:
        message = f"Domain '{domain.name}' has repositories: delete them first"
        raise conflict(message, domain.name, "domain")
    del registry.domains[domain.region, domain.owner, domain.name]
    return {"domain": _described(domain) | {"status": "Deleted"}}


def create_repository(registry: Registry, call: Call) -> dict[str, Any]:
    domain, name = registry.domain(call), call.text("repository")
    if name in domain.repositories:
        raise conflict(f"Repository '{name}' already exists", name, "repository")
    if len(domain.repositories) >= REPOSITORIES_PER_DOMAIN:
        message = f"A domain has at most {REPOSITORIES_PER_DOMAIN} repositories"
        raise quota_exceeded(message, name, "repository")
    repository = Repository(
        domain, name, call.account, call.now, description=call.text("description"), tags=_tags(call)
    )
    repository.upstreams = _upstreams(call, repository)
    domain.repositories[name] = repository
    return {"repository": _repository(repository)}


def describe_repository(registry: Registry, call: Call) -> dict[str, Any]:
    return {"repository": _repository(registry.repository(call))}


def update_repository(registry: Registry, call: Call) -> dict[str, Any]:
    """What isn't given stays; an empty list of upstreams takes them away."""
    repository = registry.repository(call)
    if "upstreams" in call.parameters:
        repository.upstreams = _upstreams(call, repository)
    if "description" in call.parameters:
        repository.description = call.text("description")
    return {"repository": _repository(repository)}


def delete_repository(registry: Registry, call: Call) -> dict[str, Any]:
    """With all that is in it. AWS documents no event for that, so there is none."""
    repository = registry.repository(call)
    downstream = [
        one.name for one in repository.domain.repositories.values() if repository.name in one.upstreams
    ]
    if downstream:
        message = f"Repository '{repository.name}' is an upstream of {', '.join(sorted(downstream))}"
        raise conflict(message, repository.name, "repository")
    del repository.domain.repositories[repository.name]
    return {"repository": _repository(repository)}


def list_repositories(registry: Registry, call: Call) -> dict[str, Any]:
    """Those the caller's account administers, in whichever domain."""
    found = [
        repository
        for domain in registry.domains.values()
        if domain.region == call.region
        for repository in domain.repositories.values()
        if repository.administrator == call.account
    ]
    return _listed(call, found)


def list_repositories_in_domain(registry: Registry, call: Call) -> dict[str, Any]:
    administrator = call.text("administratorAccount")
    found = [
        repository
        for repository in registry.domain(call).repositories.values()
        if administrator in ("", repository.administrator)
    ]
    return _listed(call, found)


def associate_external_connection(registry: Registry, call: Call) -> dict[str, Any]:
    """One a repository, and none beside upstreams; refused with 400, as AWS does."""
    repository, name = registry.repository(call), call.text("externalConnection")
    if name not in EXTERNAL_CONNECTIONS:
        raise invalid(f"'{name}' is none of {', '.join(EXTERNAL_CONNECTIONS)}")
    if repository.external_connection is not None:
        raise invalid("ExternalConnections for repositories are currently limited to 1", "OTHER")
    if repository.upstreams:
        raise invalid("A repository has upstreams or an external connection, not both", "OTHER")
    repository.external_connection = name
    return {"repository": _repository(repository)}


def disassociate_external_connection(registry: Registry, call: Call) -> dict[str, Any]:
    repository, name = registry.repository(call), call.text("externalConnection")
    if repository.external_connection != name:
        message = f"Repository '{repository.name}' has no external connection '{name}'"
        raise not_found(message, repository.name, "repository")
    repository.external_connection = None
    return {"repository": _repository(repository)}


def put_policy(registry: Registry, call: Call) -> dict[str, Any]:
    holder = _holder(registry, call)
    _expect_revision(call, holder)
    document = call.text("policyDocument")
    try:
        statements = parse(document)
    except PolicyError as error:
        raise invalid(f"policyDocument: {error}", "CANNOT_PARSE") from error
    revision = base64.b64encode(digest([document, call.now.isoformat()])).decode()
    holder.policy = Policy(document, revision, statements)
    return {"policy": _policy(holder, holder.policy)}


def get_policy(registry: Registry, call: Call) -> dict[str, Any]:
    holder = _holder(registry, call)
    return {"policy": _policy(holder, _held(holder))}


def delete_policy(registry: Registry, call: Call) -> dict[str, Any]:
    holder = _holder(registry, call)
    policy = _held(holder)
    _expect_revision(call, holder)
    holder.policy = None
    return {"policy": _policy(holder, policy)}


def get_authorization_token(registry: Registry, call: Call) -> dict[str, Any]:
    """A token that opens nothing: no package manager is answered here."""
    registry.domain(call)
    asked = call.parameters.get("durationSeconds", TOKEN_SECONDS[-1])
    if asked and asked not in TOKEN_SECONDS:
        raise invalid(f"duration: 0, or {TOKEN_SECONDS[0]} to {TOKEN_SECONDS[-1]} seconds, not {asked}")
    return {
        "authorizationToken": secrets.token_urlsafe(48),
        "expiration": call.now + timedelta(seconds=asked or SESSION_SECONDS),
    }


def get_repository_endpoint(registry: Registry, call: Call) -> dict[str, Any]:
    """AWS's own name for it; nothing listens there for a local repository."""
    repository = registry.repository(call)
    domain, suffix = repository.domain, f"{call.text('format')}/{repository.name}/"
    if call.text("endpointType") == "dualstack":
        host = f"{domain.name}-{domain.owner}.d.codeartifact.{domain.region}.on.aws"
    else:
        host = f"{domain.name}-{domain.owner}.d.codeartifact.{domain.region}.amazonaws.com"
    return {"repositoryEndpoint": f"https://{host}/{suffix}"}


def tag_resource(registry: Registry, call: Call) -> dict[str, Any]:
    _tagged(registry, call).tags.update(_tags(call))
    return {}


def untag_resource(registry: Registry, call: Call) -> dict[str, Any]:
    tags = _tagged(registry, call).tags
    for key in call.parameters["tagKeys"]:
        tags.pop(key, None)
    return {}


def list_tags(registry: Registry, call: Call) -> dict[str, Any]:
    tags = _tagged(registry, call).tags
    return {"tags": [{"key": key, "value": value} for key, value in sorted(tags.items())]}


def _tagged(registry: Registry, call: Call) -> Domain | Repository:
    arn = call.text("resourceArn")
    found = registry.holder(arn)
    if found is None:
        raise not_found(f"'{arn}' is no domain or repository here", arn, "repository")
    return found


def _tags(call: Call) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in call.parameters.get("tags") or []}


def _upstreams(call: Call, repository: Repository) -> list[str]:
    names = [one["repositoryName"] for one in call.parameters.get("upstreams") or []]
    if len(names) > UPSTREAMS:
        message = f"A repository has at most {UPSTREAMS} direct upstreams, not {len(names)}"
        raise quota_exceeded(message, repository.name, "repository")
    if repository.name in names or len(set(names)) < len(names):
        raise invalid("upstreams: each repository once, and not the repository itself")
    if names and repository.external_connection:
        raise invalid("A repository has upstreams or an external connection, not both", "OTHER")
    return [repository_in(repository.domain, name).name for name in names]


def _holder(registry: Registry, call: Call) -> Domain | Repository:
    return registry.repository(call) if "repository" in call.parameters else registry.domain(call)


def _held(holder: Domain | Repository) -> Policy:
    if holder.policy is None:
        kind = "domain" if isinstance(holder, Domain) else "repository"
        raise not_found(f"No policy is set on {kind} '{holder.name}'", holder.name, kind)
    return holder.policy


def _expect_revision(call: Call, holder: Domain | Repository) -> None:
    """The optimistic lock: a revision that is given must be the current one's."""
    expected = call.text("policyRevision")
    if expected and (holder.policy is None or holder.policy.revision != expected):
        kind = "domain" if isinstance(holder, Domain) else "repository"
        raise conflict("The policy has another revision by now: read it again", holder.name, kind)


def _listed(call: Call, found: list[Repository]) -> dict[str, Any]:
    matching = [one for one in found if one.name.startswith(call.text("repositoryPrefix"))]
    given, more = page(call, matching, lambda one: [one.domain.owner, one.domain.name, one.name])
    return {"repositories": [_repository_summary(one) for one in given], **more}


def _policy(holder: Domain | Repository, policy: Policy) -> dict[str, Any]:
    return {"resourceArn": holder.arn, "revision": policy.revision, "document": policy.document}


def _summary(domain: Domain) -> dict[str, Any]:
    return {
        "name": domain.name,
        "owner": domain.owner,
        "arn": domain.arn,
        "status": "Active",
        "createdTime": domain.created_at,
        "encryptionKey": domain.encryption_key,
    }


def _described(domain: Domain) -> dict[str, Any]:
    return _summary(domain) | {
        "repositoryCount": len(domain.repositories),
        "assetSizeBytes": domain.asset_bytes(),
    }


def _repository_summary(repository: Repository) -> dict[str, Any]:
    described = {
        "name": repository.name,
        "administratorAccount": repository.administrator,
        "domainName": repository.domain.name,
        "domainOwner": repository.domain.owner,
        "arn": repository.arn,
        "createdTime": repository.created_at,
    }
    return described | ({"description": repository.description} if repository.description else {})


def _repository(repository: Repository) -> dict[str, Any]:
    connection = repository.external_connection
    connections = [
        {
            "externalConnectionName": connection,
            "packageFormat": EXTERNAL_CONNECTIONS[connection],
            "status": "Available",
        }
        for connection in ([connection] if connection else [])
    ]
    return _repository_summary(repository) | {
        "upstreams": [{"repositoryName": name} for name in repository.upstreams],
        "externalConnections": connections,
    }
