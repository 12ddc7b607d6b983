"""The environment of each function, read once: one frozen class a function, named after its folder."""

from collections.abc import Mapping
from typing import Self

import msgspec

from signalbox.errors import InvariantError
from signalbox.spot.configuration import Mode
from signalbox.spot.planning import Policy
from signalbox.spot.rebalancing import Limits


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename="upper"):
    """Field ``ledger_table`` is variable ``LEDGER_TABLE``, and so on."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Reads and converts.

        Raises:
            InvariantError: a variable is missing or makes no sense; names it.
        """
        try:
            return msgspec.convert(dict(environment), cls, strict=False)
        except msgspec.ValidationError as error:
            raise InvariantError(f"environment of {cls.__name__}: {error}") from error


class AdmitSettings(Settings, frozen=True, kw_only=True):
    """spot_admit_events. ``allowed_accounts`` is separated by commas."""

    ledger_table: str
    spot_state_machine_arn: str
    aws_region: str
    allowed_accounts: str
    spot_window_seconds: float = 2.0
    spot_maximum_event_age_seconds: float = 900.0
    spot_scheduled_lead_seconds: float = 3600.0


class PlanSettings(Settings, frozen=True, kw_only=True):
    """spot_plan_window. ``spot_rebalance_maximum_share`` is in percent of the group."""

    ledger_table: str
    spot_command_document: str
    spot_default_mode: Mode = "observe"
    spot_dry_run: bool = False
    spot_command_lead_seconds: float = 30.0
    spot_command_parameter_prefix: str = "/signalbox/spot"
    spot_rebalance_cooldown_seconds: float = 600.0
    spot_rebalance_maximum_share: float = 20.0
    spot_rebalance_minimum_age_seconds: float = 300.0
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


class WorkSettings(Settings, frozen=True, kw_only=True):
    """spot_detach_instances, spot_deregister_targets, spot_drain_containers, spot_drain_nodes,
    spot_send_commands, spot_verify_window, spot_complete_hooks, spot_settle_window."""

    ledger_table: str


class PublishSettings(Settings, frozen=True, kw_only=True):
    """spot_publish_alerts."""

    ledger_table: str
    alert_topic_arn: str
    event_bus_name: str


class SweepSettings(Settings, frozen=True, kw_only=True):
    """spot_sweep_windows."""

    ledger_table: str
    spot_state_machine_arn: str
    spot_window_seconds: float = 2.0
