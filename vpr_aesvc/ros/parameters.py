"""The node's parameters: declared from ``NodeSettings`` and validated by it."""

from array import array
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
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


def declare(node: Node) -> None:
    """Declares every parameter with the value from the launch file or the command line.

    Raises:
        VprError: a value has the wrong type or is out of range; the message names the parameter.
    """
    overrides = getattr(node, "_parameter_overrides", {})
    for spec in all_parameter_specs():
        override = overrides.get(spec.name)
        if spec.kind is float and override is not None and override.type_ == Parameter.Type.INTEGER:
            overrides[spec.name] = Parameter(spec.name, value=float(override.value))  # accept `max_rate: 5`
        try:
            node.declare_parameter(spec.name, spec.default, descriptor(spec))
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            raise VprError(f"parameter {spec.name}: {error}") from error


def descriptor(spec: ParameterSpec) -> ParameterDescriptor:
    """What `ros2 param describe` shows."""
    result = ParameterDescriptor(
        name=spec.name,
        description=spec.field.description or "",
        read_only=spec.name in READ_ONLY,
        dynamic_typing=spec.optional,
    )
    if spec.choices:
        result.additional_constraints = f"one of {', '.join(spec.choices)}"
    bounds = spec.bounds()
    if bounds is not None and spec.kind is int:
        result.integer_range = [IntegerRange(from_value=int(bounds[0]), to_value=int(bounds[1]))]
    elif bounds is not None:
        result.floating_point_range = [FloatingPointRange(from_value=float(bounds[0]), to_value=float(bounds[1]))]
    return result


def unknown(node: Node) -> list[str]:
    """Names of parameters that were set but do not exist, such as mistyped ones."""
    known = {spec.name for spec in all_parameter_specs()} | {"use_sim_time", "start_type_description_service"}
    overrides = getattr(node, "_parameter_overrides", {})
    return sorted(name for name in overrides if name not in known and not name.startswith("qos_overrides."))


def read(node: Node, changed: Iterable[Parameter] = ()) -> NodeSettings:
    """The settings with some parameters changed.

    Raises:
        VprError: a value is invalid; the message names the parameter.
    """
    try:
        values: dict[str, Any] = {spec.name: node.get_parameter(spec.name).value for spec in all_parameter_specs()}
    except ParameterUninitializedException as error:  # rcl reads an empty list as unset
        raise VprError(f"{error}; an empty list is not allowed") from error
    return validated(values | {parameter.name: parameter.value for parameter in changed if parameter.name in values})


def validated(values: Mapping[str, Any]) -> NodeSettings:
    """The settings of parameter values by name. Raises VprError as ``read``."""
    try:
        return NodeSettings.model_validate(_nested(values))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        if not name:  # of several parameters together
            raise VprError(f"parameters: {first['msg'].removeprefix('Value error, ')}") from error
        raise VprError(f"parameter {name}: {first['msg'].lower()}, found {first['input']!r}") from error


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted names -> nested dictionaries. Unset parameters are left out, so that they get their defaults."""
    nested: dict[str, Any] = {}
    for name, value in values.items():
        if value is None:
            continue
        *groups, last = name.split(".")
        target = nested
        for group in groups:
            target = target.setdefault(group, {})
        target[last] = list(value) if isinstance(value, (list, tuple, array)) else value
    return nested
