"""Parameters of the node, declared from :class:`~vpr_aesvc.ros.settings.NodeSettings` and checked by it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    ParameterType,
    SetParametersResult,
)
from rclpy.exceptions import (
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterUninitializedException,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from vpr_aesvc.errors import VprError
from vpr_aesvc.ros.parameter_specs import ParameterSpec, all_parameter_specs
from vpr_aesvc.ros.settings import READ_ONLY, NodeSettings

_TYPES = {
    bool: ParameterType.PARAMETER_BOOL,
    int: ParameterType.PARAMETER_INTEGER,
    float: ParameterType.PARAMETER_DOUBLE,
    str: ParameterType.PARAMETER_STRING,
    list[str]: ParameterType.PARAMETER_STRING_ARRAY,
}


def declare(node: Node) -> None:
    """Declares every parameter, with what the launch file or the command line set.

    Raises:
        VprError: a value is of the wrong type, or out of range; the message names the parameter.
    """
    given = getattr(node, "_parameter_overrides", {})
    for setting in all_parameter_specs():
        found = given.get(setting.name)
        if setting.kind is float and found is not None and found.type_ == Parameter.Type.INTEGER:
            given[setting.name] = Parameter(
                setting.name, value=float(found.value)
            )  # `max_rate: 5` in a file is a number too
        try:
            node.declare_parameter(setting.name, setting.default, descriptor(setting))
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            raise VprError(f"parameter {setting.name}: {error}") from error


def descriptor(setting: ParameterSpec) -> ParameterDescriptor:
    """As `ros2 param describe` shows it."""
    found = ParameterDescriptor(
        name=setting.name,
        type=_TYPES.get(setting.kind, ParameterType.PARAMETER_STRING),
        description=setting.field.description or "",
        read_only=setting.name in READ_ONLY,
        dynamic_typing=setting.optional,
    )
    if setting.choices:
        found.additional_constraints = f"one of {', '.join(setting.choices)}"
    bounds = setting.bounds()
    if bounds is not None and setting.kind is int:
        found.integer_range = [IntegerRange(from_value=int(bounds[0]), to_value=int(bounds[1]))]
    elif bounds is not None:
        found.floating_point_range = [FloatingPointRange(from_value=float(bounds[0]), to_value=float(bounds[1]))]
    return found


def unknown(node: Node) -> list[str]:
    """Names that were given to the node and that it has no use for, such as a mistyped one."""
    known = {setting.name for setting in all_parameter_specs()} | {"use_sim_time", "start_type_description_service"}
    given = getattr(node, "_parameter_overrides", {})
    return sorted(name for name in given if name not in known and not name.startswith("qos_overrides."))


def read(node: Node, changed: Iterable[Parameter] = ()) -> NodeSettings:
    """The settings, with some parameters changed.

    Raises:
        VprError: a value is not one that the setting can take; the message names the parameter.
    """
    try:
        values: dict[str, Any] = {
            setting.name: node.get_parameter(setting.name).value for setting in all_parameter_specs()
        }
    except ParameterUninitializedException as error:  # rcl reads an empty list as nothing
        raise VprError(f"{error}; an empty list cannot be given") from error
    values |= {parameter.name: parameter.value for parameter in changed if parameter.name in values}
    try:
        return NodeSettings.model_validate(_nested(values))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise VprError(f"parameter {name}: {first['msg'].lower()}, found {first['input']!r}") from error


def refused(reason: str) -> SetParametersResult:
    return SetParametersResult(successful=False, reason=reason)


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without those that are unset, which then have their defaults."""
    nested: dict[str, Any] = {}
    for name, value in values.items():
        if value is None:
            continue
        *groups, last = name.split(".")
        at = nested
        for group in groups:
            at = at.setdefault(group, {})
        at[last] = list(value) if isinstance(value, (list, tuple)) else value
    return nested
