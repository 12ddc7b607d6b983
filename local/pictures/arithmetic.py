"""Metric math, as far as the dashboards use it: + - * /, FILL, SUM and METRICS.

Source: "Using math expressions with CloudWatch metrics", Amazon CloudWatch User Guide. A point that one of
two series lacks is missing in what comes of them; SUM of several series passes over what is missing.
"""

from __future__ import annotations

import ast
import operator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

type Points = dict[float, float]
type Value = float | Points | list[Points]

OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class ExpressionError(ValueError):
    """An expression that is not understood here; says which part."""


def names_in(expression: str) -> set[str]:
    """The ids that an expression speaks of, those that METRICS chooses apart."""
    nodes = list(ast.walk(_parsed(expression)))
    functions = {
        node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    return {node.id for node in nodes if isinstance(node, ast.Name)} - functions


def evaluate(expression: str, series: Mapping[str, Points], times: Sequence[float]) -> Points:
    """One series of an expression. `times` are those that FILL fills. Raises ExpressionError."""
    value = _Evaluation(series, times).value(_parsed(expression).body)
    if isinstance(value, list):
        raise ExpressionError(f"{expression}: several series, not one")
    return value if isinstance(value, dict) else dict.fromkeys(times, value)


def _parsed(expression: str) -> ast.Expression:
    try:
        return ast.parse(expression, mode="eval")
    except SyntaxError as error:
        raise ExpressionError(f"{expression}: {error.msg}") from error


class _Evaluation:
    def __init__(self, series: Mapping[str, Points], times: Sequence[float]) -> None:
        self._series = series
        self._times = times

    def value(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name) if name in self._series:
                return self._series[name]
            case ast.BinOp(left=left, op=sign, right=right) if type(sign) in OPERATORS:
                return _combined(OPERATORS[type(sign)], self.value(left), self.value(right))
            case ast.Call(func=ast.Name(id=function), args=arguments):
                return self._call(function, arguments)
        raise ExpressionError(f"{ast.unparse(node)} is not understood here")

    def _call(self, function: str, arguments: list[ast.expr]) -> Value:
        match function, arguments:
            case "METRICS", [ast.Constant(value=str(part))]:
                return [points for name, points in self._series.items() if part in name]
            case "SUM", [several]:
                return _sum(self.value(several))
            case "FILL", [what, ast.Constant(value=int() | float() as number)]:
                return self._filled(self.value(what), number)
        raise ExpressionError(f"{function} with these arguments is not understood here")

    def _filled(self, value: Value, number: float) -> Value:
        if isinstance(value, list):
            return [dict.fromkeys(self._times, number) | points for points in value]
        if isinstance(value, dict):
            return dict.fromkeys(self._times, number) | value
        return value


def _sum(value: Value) -> Value:
    if not isinstance(value, list):
        raise ExpressionError("SUM is for several series")
    times = sorted({at for points in value for at in points})
    return {at: sum(points.get(at, 0.0) for points in value) for at in times}


def _combined(sign: Callable[[float, float], float], left: Value, right: Value) -> Value:
    match left, right:
        case float(), float():
            return sign(left, right)
        case dict(), float():
            return {at: sign(value, right) for at, value in left.items()}
        case float(), dict():
            return {at: sign(left, value) for at, value in right.items()}
        case dict(), dict():
            return {at: sign(left[at], right[at]) for at in sorted(left.keys() & right.keys())}
    raise ExpressionError("several series can only be summed")
