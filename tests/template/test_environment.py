"""A function is told what its settings ask for, and nothing else."""

import msgspec
import pytest

from signalbox.documents import settings as documents
from signalbox.packages import settings as packages
from signalbox.settings import Settings
from signalbox.spot import settings as spot
from tests.template.sources import resources, template

NOTHING = type("NothingSettings", (Settings,), {})
SETTINGS: dict[str, type[Settings]] = {
    "DeploymentCheckVersionFunction": NOTHING,  # a deployment's own event says it all
    "DocumentsAdmitEventsFunction": documents.AdmitSettings,
    "DocumentsInspectObjectFunction": documents.InspectSettings,
    "DocumentsConvertObjectFunction": documents.WorkSettings,
    "DocumentsRecogniseTextFunction": documents.WorkSettings,
    "DocumentsDetectEntitiesFunction": documents.WorkSettings,
    "DocumentsDetectLabelsFunction": NOTHING,  # the task says which image
    "DocumentsLoadDocumentFunction": documents.LoadSettings,
    "DocumentsSettleDocumentFunction": documents.SettleSettings,
    "DocumentsCompactIndexFunction": documents.WorkSettings,
    "DocumentsManageUploadsFunction": documents.UploadSettings,
    "PackagesAdmitEventsFunction": packages.AdmitSettings,
    "PackagesInspectVersionFunction": packages.InspectSettings,
    "PackagesPlanReleaseFunction": packages.PlanSettings,
    "PackagesBuildWaveFunction": packages.BuildSettings,
    "PackagesAdmitBuildsFunction": packages.AdmitBuildsSettings,
    "PackagesPromoteVersionFunction": packages.PromoteSettings,
    "PackagesSettleReleaseFunction": packages.SettleSettings,
    "PackagesRebuildIndexFunction": packages.RebuildSettings,
    "SpotAdmitEventsFunction": spot.AdmitSettings,
    "SpotPlanWindowFunction": spot.PlanSettings,
    "SpotDetachInstancesFunction": spot.EstateSettings,
    "SpotDeregisterTargetsFunction": spot.EstateSettings,
    "SpotDrainContainersFunction": spot.EstateSettings,
    "SpotDrainNodesFunction": spot.EstateSettings,
    "SpotSendCommandsFunction": spot.EstateSettings,
    "SpotPublishAlertsFunction": spot.PublishSettings,
    "SpotVerifyWindowFunction": spot.EstateSettings,
    "SpotCompleteHooksFunction": spot.EstateSettings,
    "SpotSettleWindowFunction": spot.SettleSettings,
    "SpotSweepWindowsFunction": spot.SweepSettings,
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
    fields = msgspec.structs.fields(SETTINGS[name])
    asked = {field.name.upper() for field in fields} - LAMBDA
    needed = {field.name.upper() for field in fields if field.required} - LAMBDA
    assert needed | TELEMETRY <= variables <= asked | TELEMETRY


@pytest.mark.parametrize("name", SETTINGS)
def test_the_service_name_is_the_domain(name: str) -> None:
    properties = FUNCTIONS[name]["Properties"]
    domain = properties["CodeUri"].removeprefix("functions/").partition("_")[0]
    assert properties["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == f"signalbox-{domain}"
