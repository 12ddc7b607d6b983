"""Makes an example's CodeArtifact resources through the API, in the order of what they refer to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any

from tests.examples.example_templates import Example, Node

DOMAIN, REPOSITORY = "AWS::CodeArtifact::Domain", "AWS::CodeArtifact::Repository"
KEY_ARN = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"


@dataclass
class Applied:
    """A domain and its repositories, made of a template with these parameters."""

    example: Example
    parameters: Mapping[str, str]
    client: Any
    made: list[str] = field(default_factory=list)
    """Logical ids, in the order in which they were made."""

    @property
    def domain(self) -> str:
        return str(self._parameter("DomainName"))

    def make(self) -> None:
        for name in TopologicalSorter(self._references()).static_order():
            resource = self._resources[name]
            make = self._make_domain if resource["Type"] == DOMAIN else self._make_repository
            make(self.value(resource["Properties"]))
            self.made.append(name)

    def delete(self, name: str) -> None:
        """One resource, by its logical id."""
        resource = self._resources[name]
        if resource["Type"] == DOMAIN:
            self.client.delete_domain(domain=self.domain)
        else:
            repository = resource["Properties"]["RepositoryName"]
            self.client.delete_repository(domain=self.domain, repository=repository)

    @property
    def _resources(self) -> dict[str, Node]:
        """All but the key: there is no KMS here."""
        return self.example.resources(DOMAIN) | self.example.resources(REPOSITORY)

    def repositories(self) -> set[str]:
        listed = self.client.list_repositories_in_domain(domain=self.domain)["repositories"]
        return {repository["name"] for repository in listed}

    def value(self, node: Any) -> Any:
        """A part of the template, its functions worked out."""
        if isinstance(node, list):
            return [self.value(each) for each in node]
        if not isinstance(node, dict):
            return node
        match dict(node):
            case {"Ref": name}:
                return self._parameter(str(name))
            case {"Fn::GetAtt": [name, attribute]}:
                return self._attribute(str(name), str(attribute))
        return {str(key): self.value(each) for key, each in node.items()}

    def _parameter(self, name: str) -> Any:
        declared = self.example.template["Parameters"][name]
        given = str(self.parameters.get(name, declared.get("Default", "")))
        values = given.split(",") if declared["Type"] == "CommaDelimitedList" else [given]
        assert all(re.fullmatch(declared.get("AllowedPattern", ".*"), each) for each in values), name
        return values if declared["Type"] == "CommaDelimitedList" else given

    def _attribute(self, name: str, attribute: str) -> str:
        properties = self.example.template["Resources"][name]["Properties"]
        if attribute == "Name":
            return str(self.value(properties.get("RepositoryName") or properties["DomainName"]))
        assert (name, attribute) == ("Key", "Arn")
        return KEY_ARN

    def _references(self) -> dict[str, set[str]]:
        resources = self._resources
        return {name: set(_named(resource)) & resources.keys() for name, resource in resources.items()}

    def _make_domain(self, properties: Node) -> None:
        tags = [{"key": tag["Key"], "value": tag["Value"]} for tag in properties["Tags"]]
        name = properties["DomainName"]
        self.client.create_domain(domain=name, encryptionKey=properties["EncryptionKey"], tags=tags)
        document = json.dumps(properties["PermissionsPolicyDocument"])
        self.client.put_domain_permissions_policy(domain=name, policyDocument=document)

    def _make_repository(self, properties: Node) -> None:
        where = {"domain": properties["DomainName"], "repository": properties["RepositoryName"]}
        upstreams = [{"repositoryName": name} for name in properties.get("Upstreams", [])]
        self.client.create_repository(**where, description=properties["Description"], upstreams=upstreams)
        for connection in properties.get("ExternalConnections", []):
            self.client.associate_external_connection(**where, externalConnection=connection)
        if document := properties.get("PermissionsPolicyDocument"):
            self.client.put_repository_permissions_policy(**where, policyDocument=json.dumps(document))


def _named(node: Any) -> Iterator[str]:
    """What a part of a template refers to."""
    if isinstance(node, list):
        for each in node:
            yield from _named(each)
    elif isinstance(node, dict):
        for key, each in node.items():
            if key == "Ref":
                yield str(each)
            elif key == "Fn::GetAtt":
                yield str(each[0])
            yield from _named(each)
