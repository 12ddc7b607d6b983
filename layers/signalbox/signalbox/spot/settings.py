"""The environment of each function, read once: one frozen class a function, named after its folder."""

from collections.abc import Mapping
from typing import Self

import msgspec

from signalbox.errors import InvariantError
from signalbox.spot.configuration import Mode


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


class PlanSettings(Settings, frozen=True, kw_only=True):
    """spot_plan_window."""

    ledger_table: str
    spot_command_document: str
    spot_default_mode: Mode = "observe"
    spot_dry_run: bool = False
    spot_command_lead_seconds: float = 30.0
    spot_command_parameter_prefix: str = "/signalbox/spot"


class WorkSettings(Settings, frozen=True, kw_only=True):
    """spot_detach_instances, spot_deregister_targets, spot_send_commands, spot_verify_window,
    spot_settle_window."""

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
