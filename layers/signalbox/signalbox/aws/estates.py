"""The estate of a window: the hub's own account and Region, or another place that lets the hub in.

Any other place has a role for the hub's functions, made by `examples/member`, one for all Regions of an
account. Another Region of the hub's own account is entered through the role too: the functions' own roles are
held to the Region that they run in.

Sources: "How to use an external ID", IAM User Guide; AssumeRole, STS API Reference.
"""

from functools import lru_cache
from typing import Any

import msgspec
from botocore.credentials import CredentialProvider, CredentialResolver, DeferredRefreshableCredentials
from botocore.session import Session

from signalbox.aws.calls import call
from signalbox.aws.clients import SDK_ATTEMPTS, client, client_config, session
from signalbox.errors import MemberClosedError, RefusedError
from signalbox.ledger.windows import Window

SESSION_SECONDS = 1_800
"""How long a session is good for. The SDK takes another one when 15 minutes of it are left."""
SESSION_NAME_CHARACTERS = 64  # RoleSessionName, STS API Reference
ESTATES_KEPT = 8
"""How many windows' clients a function keeps: a member's are of one window, since its sessions are."""


type Estate = Home | Member
"""The account and Region that a window is about. Making a client of it calls nobody: the client's first call
does."""


class Hub(msgspec.Struct, frozen=True, kw_only=True):
    """Where the functions run, and how they get elsewhere.

    Attributes:
        name: for the members' CloudTrail: the stack's.
        region: its Region.
        role_arn: what the members' role would be in the hub's own account; a member's differs in the account.
        external_id: what the members' roles ask for; "" where there are no members.
    """

    name: str
    region: str
    role_arn: str
    external_id: str = ""

    @property
    def account(self) -> str:
        return self.role_arn.split(":")[4]

    def estate(self, window: Window) -> Estate:
        """The estate that the window is about."""
        if (window.account, window.region) == (self.account, self.region):
            return Home()
        return Member(
            account=window.account,
            region=window.region,
            role_arn=self.role_arn.replace(f":{self.account}:", f":{window.account}:", 1),
            external_id=self.external_id,
            session_name=_session_name(self.name, window.execution_name),
        )


class Home(msgspec.Struct, frozen=True):
    """The hub's own account and Region: the function's own role, and no call more than without members."""

    def client(self, service: str, *, attempts: int = SDK_ATTEMPTS) -> Any:
        return client(service, attempts=attempts)


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """Another account or Region, for one window: by the session's name, its CloudTrail tells which."""

    account: str
    region: str
    role_arn: str
    external_id: str
    session_name: str

    def client(self, service: str, *, attempts: int = SDK_ATTEMPTS) -> Any:
        return _session(self).create_client(service, self.region, config=client_config(attempts))

    def assume(self) -> dict[str, str]:
        """A new session of the role, as the SDK keeps it.

        Raises:
            MemberClosedError: the member does not let us in.
            TransientError: worth trying again.
        """
        if not self.external_id:
            raise self._closed("the hub has no external id: set SpotMemberExternalId")
        try:
            given = call(
                client("sts").assume_role,
                RoleArn=self.role_arn,
                RoleSessionName=self.session_name,
                ExternalId=self.external_id,
                DurationSeconds=SESSION_SECONDS,
            )["Credentials"]
        except RefusedError as error:
            advice = "deploy examples/member there, with this hub's account, stack name and external id"
            raise self._closed(f"{advice} ({error})") from error
        return {
            "access_key": given["AccessKeyId"],
            "secret_key": given["SecretAccessKey"],
            "token": given["SessionToken"],
            "expiry_time": given["Expiration"].isoformat(),
        }

    def _closed(self, what: str) -> MemberClosedError:
        place = f"account {self.account}, Region {self.region}"
        return MemberClosedError(f"{place} does not let us in through {self.role_arn}: {what}")


def _session_name(hub: str, window: str) -> str:
    return f"{hub[: SESSION_NAME_CHARACTERS - len(window) - 1]}.{window}"


class _Assumed(CredentialProvider):
    """The SDK's way to credentials that are taken when first needed, and again before they expire."""

    METHOD = "signalbox-member"

    def __init__(self, member: Member) -> None:
        super().__init__()
        self._member = member

    def load(self) -> DeferredRefreshableCredentials:
        return DeferredRefreshableCredentials(self._member.assume, self.METHOD)


@lru_cache(maxsize=ESTATES_KEPT)
def _session(member: Member) -> Session:
    """One of the member's own, over the models that the hub's own clients read too."""
    own = Session()
    own.register_component("credential_provider", CredentialResolver([_Assumed(member)]))
    own.register_component("data_loader", session().get_component("data_loader"))
    return own
