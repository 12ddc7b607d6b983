"""The embedded metric format, as documented, for tests that read what was written.

Source: "Specification: Embedded metric format", Amazon CloudWatch User Guide.
"""

import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # ships no types

SIZES = [f"{power}{unit}" for power in ("", "Kilo", "Mega", "Giga", "Tera") for unit in ("bytes", "bits")]
AMOUNTS = [*(size.capitalize() for size in SIZES), "Count"]
UNITS = [
    *("Seconds", "Microseconds", "Milliseconds", "Percent", "None"),
    *AMOUNTS,
    *(f"{amount}/Second" for amount in AMOUNTS),
]
NAME = {"type": "string", "minLength": 1, "maxLength": 1024}
SCHEMA = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": {"type": "integer", "minimum": 1},
                "CloudWatchMetrics": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["Namespace", "Dimensions", "Metrics"],
                        "properties": {
                            "Namespace": NAME,
                            "Dimensions": {
                                "type": "array",
                                "minItems": 1,
                                "items": {
                                    "type": "array",
                                    "maxItems": 30,
                                    "items": {"type": "string", "minLength": 1, "maxLength": 250},
                                },
                            },
                            "Metrics": {
                                "type": "array",
                                "minItems": 1,
                                "maxItems": 100,
                                "items": {
                                    "type": "object",
                                    "required": ["Name"],
                                    "properties": {
                                        "Name": NAME,
                                        "Unit": {"enum": UNITS},
                                        "StorageResolution": {"enum": [1, 60]},
                                    },
                                },
                            },
                        },
                    },
                },
            },
        }
    },
}
"""Of a line; that every name it speaks of is a member too is checked beside it."""
NUMBER = {"type": "number"}
VALUES = {"anyOf": [NUMBER, {"type": "array", "items": NUMBER, "minItems": 1, "maxItems": 100}]}
"""What a metric's member may hold."""
LARGEST_LINE = 1_048_576


def metrics_in(output: str) -> list[dict[str, Any]]:
    """The lines of the output that are metrics, each of them checked."""
    lines = [json.loads(line) for line in output.splitlines() if '"_aws"' in line]
    for line in lines:
        jsonschema.validate(line, SCHEMA)
        for directive in line["_aws"]["CloudWatchMetrics"]:
            for name in (name for names in directive["Dimensions"] for name in names):
                assert isinstance(line[name], str), f"dimension {name} has no value"
            for metric in directive["Metrics"]:
                jsonschema.validate(line[metric["Name"]], VALUES)
    assert all(len(json.dumps(line)) <= LARGEST_LINE for line in lines)
    return lines


def values_of(line: dict[str, Any]) -> dict[str, tuple[list[float], str]]:
    """Metric → (values, unit) of one line."""
    [directive] = line["_aws"]["CloudWatchMetrics"]
    return {
        metric["Name"]: (_listed(line[metric["Name"]]), metric["Unit"]) for metric in directive["Metrics"]
    }


def _listed(values: Any) -> list[float]:
    return values if isinstance(values, list) else [values]


def dimensions_of(line: dict[str, Any]) -> list[dict[str, str]]:
    """Each set of dimensions of one line, with the values."""
    [directive] = line["_aws"]["CloudWatchMetrics"]
    return [{name: line[name] for name in names} for names in directive["Dimensions"]]
