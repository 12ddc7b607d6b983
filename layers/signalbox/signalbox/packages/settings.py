"""The environment of each function, read once: one frozen class a function, named after its folder."""

from typing import Literal

from signalbox.eventbridge import Scope
from signalbox.settings import Settings


class DomainSettings(Settings, frozen=True, kw_only=True):
    """What most functions of the domain are told.

    Attributes:
        packages_domain: the CodeArtifact domain.
        packages_domain_owner: its account.
        packages_source_repositories: where versions are published, separated by commas. The first that has
            a package speaks for it.
        packages_shared_repository: what versions are promoted to.
    """

    ledger_table: str
    packages_domain: str
    packages_domain_owner: str
    packages_source_repositories: str
    packages_shared_repository: str

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(name for name in self.packages_source_repositories.split(",") if name)


class QueueSettings(DomainSettings, frozen=True, kw_only=True):
    """What the functions are told that take in messages of a queue.

    Attributes:
        packages_maximum_receives: after how many a message goes to the dead-letter queue.
    """

    aws_region: str
    hub_account: str
    packages_maximum_receives: int = 8
    packages_maximum_event_age_seconds: float = 14 * 86_400.0

    @property
    def scope(self) -> Scope:
        home = frozenset({(self.hub_account, self.aws_region)})
        return Scope(home, self.packages_maximum_event_age_seconds)


class AdmitSettings(QueueSettings, frozen=True, kw_only=True):
    """packages_admit_events.

    Attributes:
        packages_mode: ``observe``: releases are dry runs.
        packages_quiet_seconds: without an event, after which a version counts as finished.
        packages_external: whether versions are released that came in through an external connection.
    """

    packages_intake_queue_url: str
    packages_state_machine_arn: str
    packages_mode: Literal["observe", "act"] = "observe"
    packages_quiet_seconds: float = 60.0
    packages_external: bool = False


class InspectSettings(DomainSettings, frozen=True, kw_only=True):
    """packages_inspect_version."""

    packages_policy_parameter: str


class PlanSettings(DomainSettings, frozen=True, kw_only=True):
    """packages_plan_release.

    Attributes:
        packages_owners_path: the path of the SSM parameters that name the owners.
    """

    packages_policy_parameter: str
    packages_owners_path: str


class BuildSettings(DomainSettings, frozen=True, kw_only=True):
    """packages_build_wave.

    Attributes:
        packages_builds_at_once: of one release.
    """

    packages_builds_at_once: int = 20


class AdmitBuildsSettings(QueueSettings, frozen=True, kw_only=True):
    """packages_admit_builds. See `BuildSettings`."""

    packages_builds_queue_url: str
    packages_builds_at_once: int = 20


class PromoteSettings(DomainSettings, frozen=True, kw_only=True):
    """packages_promote_version."""


class SettleSettings(DomainSettings, frozen=True, kw_only=True):
    """packages_settle_release.

    Attributes:
        signalbox_stack: the stack's name, for the commands that a message names.
    """

    signalbox_stack: str
    alert_topic_arn: str
    event_bus_name: str
    packages_owners_path: str


class RebuildSettings(DomainSettings, frozen=True, kw_only=True):
    """packages_rebuild_index."""
