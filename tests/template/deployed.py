"""The template as CloudFormation deploys it: for given parameters, what there is and what it comes to."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.template.sources import resources, template

PSEUDO_PARAMETERS = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackName": "signalbox-test",
    "AWS::URLSuffix": "amazonaws.com",
}
PLACEHOLDER = re.compile(r"\$\{([A-Za-z0-9:.]+)\}")
NOTHING = object()


@dataclass(frozen=True)
class Deployed:
    """The stack with these parameters, the others as they are by default. A list is separated by commas."""

    parameters: Mapping[str, str]

    def exists(self, name: str) -> bool:
        """Whether there is such a resource."""
        condition = resources()[name].get("Condition")
        return condition is None or self.holds({"Condition": condition})

    def refusals(self) -> list[str]:
        """What the template's rules say against these parameters."""
        return [
            assertion["AssertDescription"]
            for rule in template().get("Rules", {}).values()
            if "RuleCondition" not in rule or self.holds(rule["RuleCondition"])
            for assertion in rule["Assertions"]
            if not self.holds(assertion["Assert"])
        ]

    def value(self, node: Any) -> Any:
        """A part of the template, its functions worked out. A reference to a resource becomes its name."""
        if isinstance(node, list):
            return [value for value in map(self.value, node) if value is not NOTHING]
        if not isinstance(node, dict):
            return node
        function = next(iter(node), "")
        if function in FUNCTIONS:
            return FUNCTIONS[function](self, node[function])
        values = {str(key): self.value(value) for key, value in node.items()}
        return {key: value for key, value in values.items() if value is not NOTHING}

    def holds(self, condition: Mapping[str, Any]) -> bool:
        """Whether a condition is true."""
        [(function, argument)] = condition.items()
        return CONDITIONS[function](self, argument)

    def reference(self, name: str) -> Any:
        """What Ref answers."""
        if name in PSEUDO_PARAMETERS:
            return PSEUDO_PARAMETERS[name]
        parameter = template()["Parameters"].get(name)
        if parameter is None:
            return NOTHING if name == "AWS::NoValue" else name
        text = str(self.parameters.get(name, parameter["Default"]))
        return text.split(",") if parameter["Type"] == "CommaDelimitedList" else text


def _sub(stack: Deployed, argument: Any) -> str:
    text, own = argument if isinstance(argument, list) else (argument, {})
    values = {name: stack.value(value) for name, value in own.items()}
    return PLACEHOLDER.sub(lambda found: str(values.get(found[1]) or stack.reference(found[1])), text)


FUNCTIONS: Mapping[str, Callable[[Deployed, Any], Any]] = {
    "Ref": Deployed.reference,
    "Fn::GetAtt": lambda _, path: ".".join(path),
    "Fn::If": lambda stack, given: stack.value(given[1 if stack.holds({"Condition": given[0]}) else 2]),
    "Fn::Join": lambda stack, given: given[0].join(stack.value(given[1])),
    "Fn::Split": lambda stack, given: stack.value(given[1]).split(given[0]),
    "Fn::Select": lambda stack, given: stack.value(given[1])[int(given[0])],
    "Fn::Sub": _sub,
}
CONDITIONS: Mapping[str, Callable[[Deployed, Any], bool]] = {
    "Condition": lambda stack, name: stack.holds(template()["Conditions"][name]),
    "Fn::Not": lambda stack, given: not stack.holds(given[0]),
    "Fn::And": lambda stack, given: all(map(stack.holds, given)),
    "Fn::Or": lambda stack, given: any(map(stack.holds, given)),
    "Fn::Equals": lambda stack, given: bool(stack.value(given[0]) == stack.value(given[1])),
    "Fn::EachMemberEquals": lambda stack, given: {*stack.value(given[0])} <= {stack.value(given[1])},
}
