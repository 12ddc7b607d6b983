"""What is taken out of the template before it goes to the embedded AWS."""

from typing import Any

import pytest

from local.pruning import TemplateError, defaults, prune, references, replace, resolve

VALUES = {"AWS::StackName": "signalbox-local", "AWS::Region": "us-east-1"}


def template(resources: dict[str, Any], outputs: dict[str, Any] | None = None, **rest: Any) -> dict[str, Any]:
    return {
        "Resources": resources,
        "Outputs": {key: {"Value": value} for key, value in (outputs or {}).items()},
    } | rest


QUEUE = {"Type": "AWS::SQS::Queue"}
COMPOSITE = {"Type": "AWS::CloudWatch::CompositeAlarm", "Properties": {"AlarmRule": "TRUE"}}


def document(name: object = None) -> dict[str, Any]:
    properties: dict[str, Any] = {"Content": {"schemaVersion": "2.2"}, "DocumentType": "Command"}
    return {"Type": "AWS::SSM::Document", "Properties": properties | ({"Name": name} if name else {})}


def test_what_can_be_held_stays_as_it_is() -> None:
    whole = template({"Queue": QUEUE}, {"Url": {"Ref": "Queue"}}, Transform="AWS::Serverless-2016-10-31")
    pruned = prune(whole, VALUES)
    assert pruned.template == whole
    assert pruned.left_out == ()
    assert pruned.documents == {}


def test_what_cannot_be_held_goes_with_the_outputs_that_are_of_it_and_is_named() -> None:
    outputs = {"Url": {"Ref": "Queue"}, "Alarm": {"Fn::GetAtt": ["Composite", "Arn"]}}
    pruned = prune(template({"Queue": QUEUE, "Composite": COMPOSITE}, outputs), VALUES)
    assert pruned.template == template({"Queue": QUEUE}, {"Url": {"Ref": "Queue"}})
    assert [(part.name, part.kind) for part in pruned.left_out] == [
        ("Composite", "AWS::CloudWatch::CompositeAlarm"),
        ("Alarm", "output"),
    ]
    assert all(part.reason for part in pruned.left_out)


def test_of_the_alarms_those_of_several_metrics_go() -> None:
    alarms = {
        name: {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Threshold": 0, member: "…"}}
        for name, member in (("One", "MetricName"), ("Several", "Metrics"))
    }
    pruned = prune(template(alarms), VALUES)
    assert pruned.template == template({"One": alarms["One"]})
    assert [(part.name, part.kind) for part in pruned.left_out] == [("Several", "AWS::CloudWatch::Alarm")]
    assert "one metric" in pruned.left_out[0].reason


def test_other_references_to_it_do_not_dangle() -> None:
    dashboard = {
        "Type": "AWS::CloudWatch::Dashboard",
        "DependsOn": ["Composite", "Queue"],
        "Properties": {
            "DashboardBody": {"Fn::Sub": "${Composite.Arn} ${AWS::Region} ${Queue.Arn} ${!Composite}"}
        },
    }
    pruned = prune(template({"Queue": QUEUE, "Composite": COMPOSITE, "Dashboard": dashboard}), VALUES)
    assert pruned.template["Resources"]["Dashboard"] == {
        "Type": "AWS::CloudWatch::Dashboard",
        "DependsOn": ["Queue"],
        "Properties": {
            "DashboardBody": {"Fn::Sub": "left-out-Composite ${AWS::Region} ${Queue.Arn} ${!Composite}"}
        },
    }


def test_a_document_goes_to_the_estate_under_its_real_name() -> None:
    function = {
        "Type": "AWS::Serverless::Function",
        "Properties": {
            "Environment": {"Variables": {"SPOT_COMMAND_DOCUMENT": {"Ref": "Document"}}},
            "Policies": [
                {"Statement": [{"Resource": {"Fn::Sub": "arn:aws:ssm:${AWS::Region}::document/${Document}"}}]}
            ],
        },
    }
    name = {"Fn::Sub": "${AWS::StackName}-${Kind}"}
    whole = template(
        {"Document": document(name), "Function": function},
        {"Name": {"Ref": "Document"}},
        Parameters={"Kind": {"Default": "shutdown"}},
    )
    pruned = prune(whole, VALUES)
    assert pruned.documents == {"signalbox-local-shutdown": whole["Resources"]["Document"]["Properties"]}
    assert pruned.template["Outputs"] == {"Name": {"Value": "signalbox-local-shutdown"}}
    properties = pruned.template["Resources"]["Function"]["Properties"]
    assert properties["Environment"]["Variables"]["SPOT_COMMAND_DOCUMENT"] == "signalbox-local-shutdown"
    statement = properties["Policies"][0]["Statement"][0]
    assert statement["Resource"] == {
        "Fn::Sub": "arn:aws:ssm:${AWS::Region}::document/signalbox-local-shutdown"
    }


def test_a_given_parameter_goes_before_its_default() -> None:
    whole = template({"Document": document({"Ref": "Name"})}, Parameters={"Name": {"Default": "one"}})
    assert list(prune(whole, VALUES).documents) == ["one"]
    assert list(prune(whole, VALUES | {"Name": "two"}).documents) == ["two"]


def test_a_nameless_document_gets_one() -> None:
    assert list(prune(template({"Document": document()}), VALUES).documents) == ["signalbox-local-Document"]


def test_a_document_named_after_a_resource_is_an_error_that_says_where() -> None:
    whole = template({"Document": document({"Fn::GetAtt": ["Queue", "QueueName"]}), "Queue": QUEUE})
    with pytest.raises(TemplateError, match="Resources/Document/Properties/Name"):
        prune(whole, VALUES)


def test_gradual_deployments_are_left_out_wherever_they_are_asked_for() -> None:
    preference = {"DeploymentPreference": {"Type": "Linear10PercentEvery1Minute"}}
    function = {"Type": "AWS::Serverless::Function", "Properties": {"Handler": "h", **preference}}
    pruned = prune(template({"Function": function}, Globals={"Function": preference}), VALUES)
    assert pruned.template["Resources"]["Function"]["Properties"] == {"Handler": "h"}
    assert pruned.template["Globals"] == {"Function": {}}
    assert [part.name for part in pruned.left_out] == [
        "Function.DeploymentPreference",
        "Globals.Function.DeploymentPreference",
    ]


def test_the_template_given_is_not_changed() -> None:
    whole = template({"Composite": COMPOSITE, "Queue": {**QUEUE, "DependsOn": "Composite"}})
    prune(whole, VALUES)
    assert whole == template({"Composite": COMPOSITE, "Queue": {**QUEUE, "DependsOn": "Composite"}})


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ({"Ref": "A"}, {"A"}),
        ({"Fn::GetAtt": ["A", "Arn"]}, {"A"}),
        ({"Fn::GetAtt": "A.Arn"}, {"A"}),
        ({"Fn::Sub": "${A}/${B.Arn}/${!C}"}, {"A", "B"}),
        ({"Fn::Sub": ["${A}/${X}", {"X": {"Ref": "B"}}]}, {"A", "B"}),
        ({"Fn::Join": ["", [{"Ref": "A"}, "b"]]}, {"A"}),
        ("A", set()),
        (None, set()),
    ],
)
def test_references(node: object, expected: set[str]) -> None:
    assert references(node) == expected


def test_a_name_of_a_substitutions_own_is_not_replaced() -> None:
    node = {"Fn::Sub": ["${A} ${B}", {"B": {"Ref": "A"}}]}
    assert replace(node, {"A": "a", "B": "b"}) == {"Fn::Sub": ["a ${B}", {"B": "a"}]}


def test_resolve_knows_parameters_only() -> None:
    assert resolve({"Fn::Sub": "${AWS::StackName}-x"}, VALUES) == "signalbox-local-x"
    for unknown in ({"Ref": "Queue"}, {"Fn::Sub": "${Queue}"}, {"Fn::Sub": "${AWS::Region.x}"}, ["x"]):
        with pytest.raises(TemplateError):
            resolve(unknown, VALUES)


def test_defaults_are_texts() -> None:
    assert defaults({"Parameters": {"A": {"Default": 2}, "B": {"Type": "String"}}}) == {"A": "2"}


def test_a_number_that_is_a_parameter_becomes_a_number() -> None:
    scaling = {"MaximumConcurrency": {"Ref": "Concurrency"}}
    mapping = {"Type": "AWS::Lambda::EventSourceMapping", "Properties": {"ScalingConfig": scaling}}
    whole = template({"Mapping": mapping}, Parameters={"Concurrency": {"Type": "Number", "Default": 10}})
    for values, expected in ((VALUES, 10), (VALUES | {"Concurrency": "2"}, 2)):
        pruned = prune(whole, values)
        properties = pruned.template["Resources"]["Mapping"]["Properties"]
        assert properties == {"ScalingConfig": {"MaximumConcurrency": expected}}
