"""A function is told what its settings ask for, and nothing else."""

from typing import get_type_hints

import pytest

from signalbox.spot import settings
from tests.template.sources import resources, template

SETTINGS: dict[str, type[settings.Settings]] = {
    "SpotAdmitEventsFunction": settings.AdmitSettings,
    "SpotPlanWindowFunction": settings.PlanSettings,
    "SpotDetachInstancesFunction": settings.WorkSettings,
    "SpotDeregisterTargetsFunction": settings.WorkSettings,
    "SpotDrainContainersFunction": settings.WorkSettings,
    "SpotDrainNodesFunction": settings.WorkSettings,
    "SpotSendCommandsFunction": settings.WorkSettings,
    "SpotPublishAlertsFunction": settings.PublishSettings,
    "SpotVerifyWindowFunction": settings.WorkSettings,
    "SpotCompleteHooksFunction": settings.WorkSettings,
    "SpotSettleWindowFunction": settings.WorkSettings,
    "SpotSweepWindowsFunction": settings.SweepSettings,
}
# Read by the libraries, or set by Lambda itself.
LIBRARIES = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_LOG_LEVEL", "AWS_EMF_ENVIRONMENT", "AWS_EMF_NAMESPACE"}
LAMBDA = {"AWS_REGION"}
FUNCTIONS = resources("AWS::Serverless::Function")
SHARED = template()["Globals"]["Function"]["Environment"]["Variables"]


def test_every_function_has_its_settings() -> None:
    assert SETTINGS.keys() == FUNCTIONS.keys()


@pytest.mark.parametrize("name", SETTINGS)
def test_a_function_is_told_what_its_settings_read(name: str) -> None:
    variables = SHARED.keys() | FUNCTIONS[name]["Properties"]["Environment"]["Variables"].keys()
    asked = {field.upper() for field in get_type_hints(SETTINGS[name]) if not field.startswith("_")}
    assert variables == (asked - LAMBDA) | LIBRARIES


@pytest.mark.parametrize("name", SETTINGS)
def test_the_service_name_is_the_domain(name: str) -> None:
    assert (
        FUNCTIONS[name]["Properties"]["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
        == "signalbox-spot"
    )
