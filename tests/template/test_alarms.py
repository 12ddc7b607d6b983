"""Every resource that can go wrong has its alarm, its dead-letter queue and its place in the runbook.

A new domain's resources are looked at without a change here. Each exception has its reason.
"""

from operations.announcing import DIMENSION, METRIC, NAMESPACE
from tests.template.domains import DOMAINS, domain_of
from tests.template.sources import ROOT, state_machines, template
from tests.template.watching import (
    ALARM,
    COMPOSITE,
    Template,
    children,
    malformed,
    references,
    undelivered,
    unexplained,
    unheard,
    unknown,
    unwatched,
)

WHOLE = Template(template())
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
UNWATCHED = {
    f"DeploymentCheckVersionFunction: {metric}": "a check that fails, or says nothing, fails the deployment"
    for metric in ("Errors", "Throttles", "Duration")
}
SILENT = {
    "SpotStepVersionErrorsAlarm": "it tells CodeDeploy, which takes the version back",
    "SpotIntakeVersionErrorsAlarm": "the same",
    "DocumentsStepVersionErrorsAlarm": "the same",
    "DocumentsIntakeVersionErrorsAlarm": "the same",
    "PackagesStepVersionErrorsAlarm": "the same",
    "PackagesIntakeVersionErrorsAlarm": "the same",
    "DeploymentAlarm": "it keeps others from paging",
    "SignalboxTroubleAlarm": "its children page; it is the whole at one glance",
}
MUST_RING = {
    ("spot", "InterruptionsLate"),
    ("spot", "InterruptionsFailed"),
    ("spot", "EventsRejected"),
    ("documents", "DocumentsQuarantined"),
    ("documents", "EventsRejected"),
    ("documents", "AnalysesRefused"),
    ("packages", "ReleasesStuck"),
    ("packages", "EventsRejected"),
    ("packages", "IndexRebuilt"),
}
"""Of the metrics that the program itself writes."""
WITHOUT_DEAD_LETTER_QUEUE = {
    "AlertEmailSubscription": "an alert's text is in the ledger too; AlertTopicFailedAlarm counts failures",
}


def test_every_resource_has_its_alarms() -> None:
    assert unwatched(WHOLE, UNWATCHED) == []


def test_every_alarm_is_one_that_cloudwatch_takes_and_says_what_it_must() -> None:
    assert malformed(WHOLE) == []


def test_one_trouble_is_one_page() -> None:
    assert unheard(WHOLE, SILENT) == []


def test_every_hop_has_a_dead_letter_queue() -> None:
    assert undelivered(WHOLE, WITHOUT_DEAD_LETTER_QUEUE) == []


def test_every_alarm_and_dead_letter_queue_is_in_the_runbook() -> None:
    assert unexplained(WHOLE, RUNBOOK) == []


def test_the_runbook_names_only_what_there_is() -> None:
    assert unknown(WHOLE, RUNBOOK) == []


def test_a_domains_alarms_ring_its_own_composite_alarms() -> None:
    for name, composite in WHOLE.of(COMPOSITE).items():
        if "AlarmActions" in composite:
            assert {domain_of(child) for child in children(composite)} == {domain_of(name)}, name


def test_what_has_a_state_machine_is_a_domain() -> None:
    assert {machine.path.name.partition("_")[0] for machine in state_machines()} == DOMAINS.keys()


def test_any_domain_in_trouble_is_the_whole_in_trouble() -> None:
    telling = {name for name, each in WHOLE.of(ALARM, COMPOSITE).items() if each.get("AlarmActions")}
    assert children(WHOLE.of(COMPOSITE)["SignalboxTroubleAlarm"]) == telling


def test_what_tells_of_a_loss_is_never_held_back() -> None:
    """Of AWS's events; a run by the clock is made good by the next."""
    rules = {name for name, rule in WHOLE.of("AWS::Events::Rule").items() if "EventPattern" in rule}
    losing = {
        watched.alarm
        for watched in WHOLE.watched()
        if watched.metric == "InvocationsFailedToBeSentToDlq" and rules & references(dict(watched.dimensions))
    }
    assert losing == {f"{domain.capitalize()}EventsLostAlarm" for domain in DOMAINS}
    for name in losing:
        assert "AlarmActions" in WHOLE.of(ALARM)[name]


def test_a_deployment_that_is_announced_holds_pages_back_and_no_longer() -> None:
    suppressors = {
        name: each["ActionsSuppressor"]
        for name, each in WHOLE.of(COMPOSITE).items()
        if each.get("AlarmActions")
    }
    # Held back by a composite alarm that is held back by the deployment, or by the deployment.
    assert {s["Ref"] for s in suppressors.values()} <= {"DeploymentAlarm", *suppressors}
    assert {"Ref": "DeploymentAlarm"} in suppressors.values()
    alarm = WHOLE.of(ALARM)["DeploymentAlarm"]
    assert (alarm["Namespace"], alarm["MetricName"]) == (NAMESPACE, METRIC)
    assert alarm["Dimensions"] == [{"Name": DIMENSION, "Value": {"Ref": "AWS::StackName"}}]
    assert alarm["EvaluationPeriods"] * alarm["Period"] == 15 * 60
    assert alarm["TreatMissingData"] == "notBreaching"


def test_alarms_on_the_programs_own_metrics_look_at_some_that_it_writes() -> None:
    written = {
        (name, metric.name, metric.dimensions)
        for name, domain in DOMAINS.items()
        for metric in domain.metrics
    }
    watched = {
        (each.dimensions["Domain"], each.metric, tuple(each.dimensions))
        for each in WHOLE.watched()
        if each.namespace == NAMESPACE and each.metric != METRIC
    }
    assert watched <= written
    assert {(domain, name) for domain, name, _ in watched} >= MUST_RING
