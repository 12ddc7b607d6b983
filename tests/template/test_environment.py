"""A function is told what its settings ask for, and nothing else."""

from typing import get_type_hints

import pytest

from signalbox.spot import settings
from tests.template.sources import resources, template

NOTHING = type("NothingSettings", (settings.Settings,), {})
SETTINGS: dict[str, type[settings.Settings]] = {
    "DeploymentCheckVersionFunction": NOTHING,  # a deployment's own event says it all
    "SpotAdmitEventsFunction": settings.AdmitSettings,
    "SpotPlanWindowFunction": settings.PlanSettings,
    "SpotDetachInstancesFunction": settings.EstateSettings,
    "SpotDeregisterTargetsFunction": settings.EstateSettings,
    "SpotDrainContainersFunction": settings.EstateSettings,
    "SpotDrainNodesFunction": settings.EstateSettings,
    "SpotSendCommandsFunction": settings.EstateSettings,
    "SpotPublishAlertsFunction": settings.PublishSettings,
    "SpotVerifyWindowFunction": settings.EstateSettings,
    "SpotCompleteHooksFunction": settings.EstateSettings,
    "SpotSettleWindowFunction": settings.SettleSettings,
    "SpotSweepWindowsFunction": settings.SweepSettings,
}
# Read by telemetry and its libraries, or set by Lambda itself.
TELEMETRY = {
    "POWERTOOLS_SERVICE_NAME",
    "POWERTOOLS_LOG_LEVEL",
    "AWS_EMF_ENVIRONMENT",
    "AWS_EMF_NAMESPACE",
    "AWS_STS_REGIONAL_ENDPOINTS",
    "SIGNALBOX_STACK",
    "SIGNALBOX_SETTINGS",
}
LAMBDA = {"AWS_REGION"}
FUNCTIONS = resources("AWS::Serverless::Function")
SHARED = template()["Globals"]["Function"]["Environment"]["Variables"]


def test_every_function_has_its_settings() -> None:
    assert SETTINGS.keys() == FUNCTIONS.keys()


@pytest.mark.parametrize("name", SETTINGS)
def test_a_function_is_told_what_its_settings_read(name: str) -> None:
    variables = SHARED.keys() | FUNCTIONS[name]["Properties"]["Environment"]["Variables"].keys()
    asked = {field.upper() for field in get_type_hints(SETTINGS[name]) if not field.startswith("_")}
    assert variables == (asked - LAMBDA) | TELEMETRY


@pytest.mark.parametrize("name", SETTINGS)
def test_the_service_name_is_the_domain(name: str) -> None:
    properties = FUNCTIONS[name]["Properties"]
    domain = properties["CodeUri"].removeprefix("functions/").partition("_")[0]
    assert properties["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == f"signalbox-{domain}"
