"""Recognises an AWS request: which operation of which service, by whom, with which parameters."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from botocore.exceptions import UnknownServiceError
from botocore.model import OperationNotFoundError
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.utils import get_service_model
from werkzeug.datastructures import Headers, MultiDict

from local.identity import ROOT_OF_ACCOUNT
from local.settings import ACCOUNT

if TYPE_CHECKING:
    from moto.core.model import OperationModel

    from local.estate.errors import Protocol

type Environ = dict[str, Any]
type Parameters = dict[str, Any]

CREDENTIAL = re.compile(r"Credential=([^/\s]+)/\d+/([^/\s]+)/([^/\s]+)/aws4_request")
# Classic and version 2 load balancers share a signing name; the API version tells them apart.
CLASSIC_LOAD_BALANCING = "2012-06-01"
MODELS = {"autoscaling", "comprehend", "ec2", "ecs", "rekognition", "ssm", "textract"}


@dataclass(frozen=True, slots=True)
class AwsRequest:
    """One call of an AWS API.

    `service` is IAM's prefix, which is also the signing name; `parameters` are named and shaped as in the
    service's model, whatever the protocol. `account` is the caller's, as far as its key alone says it.
    """

    service: str
    operation: str
    protocol: Protocol
    access_key: str
    region: str
    account: str = ACCOUNT
    parameters: Parameters = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As IAM writes an action: "autoscaling:DetachInstances"."""
        return f"{self.service}:{self.operation}"

    def ids(self, parameter: str) -> list[str]:
        """A parameter that is a list of strings; empty when it isn't given."""
        value = self.parameters.get(parameter)
        return [str(item) for item in value] if isinstance(value, list) else []

    def text(self, parameter: str) -> str:
        """A parameter that is a string; empty when it isn't given."""
        return str(self.parameters.get(parameter) or "")


def recognise(environ: Environ) -> AwsRequest | None:
    """The call in a WSGI environment; None for what isn't signed (moto's own API).

    The body is read and put back. A call of a service this project doesn't act on is named, its parameters
    are left out.
    """
    credential = CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    if credential is None:
        return None
    access_key, region, service = credential.groups()
    body = _peek(environ)
    if target := environ.get("HTTP_X_AMZ_TARGET", ""):
        operation, form = target.rpartition(".")[2], {}
        protocol: Protocol = "json"
    else:
        form = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
        operation = form.get("Action") or environ["REQUEST_METHOD"]
        protocol = "ec2" if service == "ec2" else "query"
    parameters = _parameters(_model(service, form), operation, protocol, form, body)
    account = access_key if ROOT_OF_ACCOUNT.fullmatch(access_key) else ACCOUNT
    return AwsRequest(service, operation, protocol, access_key, region, account, parameters)


def _peek(environ: Environ) -> bytes:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body: bytes = environ["wsgi.input"].read(length) if length else b""
    environ["wsgi.input"] = BytesIO(body)
    return body


def _model(service: str, form: dict[str, str]) -> str | None:
    if service == "elasticloadbalancing":
        return "elb" if form.get("Version") == CLASSIC_LOAD_BALANCING else "elbv2"
    return service if service in MODELS else None


def _parameters(
    model: str | None, operation: str, protocol: Protocol, form: dict[str, str], body: bytes
) -> Parameters:
    found = _operation_model(model, operation) if model else None
    if found is None:
        return {}
    parser = PROTOCOL_PARSERS[protocol](found)
    try:
        parsed = parser.parse(
            {
                "method": "POST",
                "url_path": "/",
                "url_params": {},
                "headers": Headers(),
                "values": MultiDict(form),
                "body": body,
            }
        )
    except (ValueError, TypeError, AttributeError, json.JSONDecodeError):
        # Malformed: nothing to hold a cap or a permission to; moto answers it with its own error.
        return {}
    return dict(parsed)


@cache
def _operation_model(model: str, operation: str) -> OperationModel | None:
    try:
        found: OperationModel = get_service_model(model).operation_model(operation)
    except (OperationNotFoundError, UnknownServiceError):
        return None
    return found
