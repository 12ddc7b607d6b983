"""The environment of each function, read once: one frozen class a function, named after its folder."""

from typing import Annotated

import msgspec

from signalbox.aws.estates import Hub
from signalbox.eventbridge import Scope
from signalbox.settings import Settings
from signalbox.spot.configuration import Mode
from signalbox.spot.planning import Policy
from signalbox.spot.rebalancing import Limits


class AdmitSettings(Settings, frozen=True, kw_only=True):
    """spot_admit_events. Accounts and Regions are separated by commas.

    Attributes:
        hub_account: the stack's own.
        spot_member_accounts: the others whose events are taken.
        spot_member_regions: where those of all of them are taken; "" for the stack's own Region.
    """

    ledger_table: str
    spot_state_machine_arn: str
    aws_region: str
    hub_account: str
    spot_member_accounts: str = ""
    spot_member_regions: str = ""
    spot_window_seconds: float = 2.0
    spot_maximum_event_age_seconds: float = 900.0
    spot_scheduled_lead_seconds: float = 3600.0

    @property
    def scope(self) -> Scope:
        """Every account in every Region named, and the stack's own account in its own Region in any case."""
        accounts = {self.hub_account, *_listed(self.spot_member_accounts)}
        regions = _listed(self.spot_member_regions) or {self.aws_region}
        places = {(account, region) for account in accounts for region in regions}
        home = (self.hub_account, self.aws_region)
        return Scope(frozenset({home, *places}), self.spot_maximum_event_age_seconds)


def _listed(text: str) -> set[str]:
    return set(filter(None, text.split(",")))


class EstateSettings(Settings, frozen=True, kw_only=True):
    """spot_detach_instances, spot_deregister_targets, spot_drain_containers, spot_drain_nodes,
    spot_send_commands, spot_verify_window, spot_complete_hooks.

    Attributes:
        spot_estate_role_arn: of the members' role as it would be in the stack's own account.
        spot_estate_external_id: what the members' roles ask for; "" where there are no members.
    """

    ledger_table: str
    signalbox_stack: str
    aws_region: str
    spot_estate_role_arn: str
    spot_estate_external_id: str = ""

    @property
    def hub(self) -> Hub:
        return Hub(
            name=self.signalbox_stack,
            region=self.aws_region,
            role_arn=self.spot_estate_role_arn,
            external_id=self.spot_estate_external_id,
        )


class PlanSettings(EstateSettings, frozen=True, kw_only=True):
    """spot_plan_window. ``spot_rebalance_maximum_share`` is in percent of the group."""

    spot_command_document: str
    spot_default_mode: Mode = "observe"
    spot_dry_run: bool = False
    spot_command_lead_seconds: float = 30.0
    spot_command_parameter_prefix: str = "/signalbox/spot"
    spot_rebalance_cooldown_seconds: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 600.0
    spot_rebalance_maximum_share: Annotated[float, msgspec.Meta(ge=1, le=100)] = 20.0
    spot_rebalance_minimum_age_seconds: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 300.0
    spot_scheduled_lead_seconds: float = 3600.0

    @property
    def policy(self) -> Policy:
        return Policy(
            default_mode=self.spot_default_mode,
            dry_run=self.spot_dry_run,
            command_lead=self.spot_command_lead_seconds,
            command_prefix=self.spot_command_parameter_prefix,
            command_document=self.spot_command_document,
        )

    @property
    def rebalance_limits(self) -> Limits:
        return Limits(
            cooldown=self.spot_rebalance_cooldown_seconds,
            maximum_share=self.spot_rebalance_maximum_share,
            minimum_age=self.spot_rebalance_minimum_age_seconds,
        )


class SettleSettings(Settings, frozen=True, kw_only=True):
    """spot_settle_window."""

    ledger_table: str
    spot_late_look_seconds: float = 900.0


class PublishSettings(Settings, frozen=True, kw_only=True):
    """spot_publish_alerts."""

    ledger_table: str
    alert_topic_arn: str
    event_bus_name: str


class SweepSettings(EstateSettings, frozen=True, kw_only=True):
    """spot_sweep_windows."""

    spot_state_machine_arn: str
    alert_topic_arn: str
    event_bus_name: str
    spot_window_seconds: float = 2.0
