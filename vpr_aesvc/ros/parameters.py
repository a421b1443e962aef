"""Parameters of the node, declared from :class:`~vpr_aesvc.ros.settings.NodeSettings` and checked by it."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    ParameterType,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from vpr_aesvc.errors import VprError
from vpr_aesvc.ros.settings import LIVE, READ_ONLY, NodeSettings

_TYPES = {
    bool: ParameterType.PARAMETER_BOOL,
    int: ParameterType.PARAMETER_INTEGER,
    float: ParameterType.PARAMETER_DOUBLE,
    str: ParameterType.PARAMETER_STRING,
    list[str]: ParameterType.PARAMETER_STRING_ARRAY,
}
_SMALLEST = 1e-9  # a range of ROS holds its ends; what must be above 0 begins here
_OPEN = {int: 2**31 - 1, float: 1e9}


@dataclass(frozen=True)
class Setting:
    """One parameter: a leaf of the settings. ``kind`` is its type, ``optional`` whether it may be left unset."""

    name: str
    field: FieldInfo
    kind: Any
    optional: bool

    @property
    def live(self) -> bool:
        """Whether it may be changed while the node runs."""
        return self.name.split(".")[0] in LIVE

    def descriptor(self) -> ParameterDescriptor:
        found = ParameterDescriptor(
            name=self.name,
            type=_TYPES.get(self.kind, ParameterType.PARAMETER_STRING),
            description=self.field.description or "",
            read_only=self.name in READ_ONLY,
            dynamic_typing=self.optional,
        )
        if typing.get_origin(self.kind) is typing.Literal:
            found.additional_constraints = "one of " + ", ".join(map(str, typing.get_args(self.kind)))
        bounds = self.bounds()
        if bounds is not None and self.kind is int:
            found.integer_range = [IntegerRange(from_value=int(bounds[0]), to_value=int(bounds[1]))]
        elif bounds is not None:
            found.floating_point_range = [FloatingPointRange(from_value=float(bounds[0]), to_value=float(bounds[1]))]
        return found

    def bounds(self) -> tuple[float, float] | None:
        """(least, most), as the field says; None where it says nothing of them."""
        low = high = None
        for rule in self.field.metadata:
            low = getattr(rule, "ge", low)
            low = _SMALLEST if getattr(rule, "gt", None) == 0 else low
            high = getattr(rule, "le", high)
        if self.kind not in (int, float) or (low is None and high is None):
            return None
        return (0 if low is None else low), (_OPEN[self.kind] if high is None else high)


def all_settings(model: type[BaseModel] = NodeSettings, group: str = "") -> list[Setting]:
    """Every leaf of the settings, in order."""
    found: list[Setting] = []
    hints = typing.get_type_hints(model)
    for name, field in model.model_fields.items():
        kind, optional = _plain(hints[name])
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found += all_settings(kind, f"{group}{name}.")
        else:
            found.append(Setting(f"{group}{name}", field, kind, optional))
    return found


def declare(node: Node) -> None:
    """Declares every parameter, with what the launch file or the command line set."""
    for setting in all_settings():
        default = None if setting.optional else setting.field.get_default(call_default_factory=True)
        node.declare_parameter(setting.name, default, setting.descriptor())


def unknown(node: Node) -> list[str]:
    """Names that were given to the node and that it has no use for, such as a mistyped one."""
    known = {setting.name for setting in all_settings()} | {"use_sim_time", "start_type_description_service"}
    given = getattr(node, "_parameter_overrides", {})
    return sorted(name for name in given if name not in known and not name.startswith("qos_overrides."))


def read(node: Node, changed: Iterable[Parameter] = ()) -> NodeSettings:
    """The settings, with some parameters changed.

    Raises:
        VprError: a value is not one that the setting can take; the message names the parameter.
    """
    values: dict[str, Any] = {setting.name: node.get_parameter(setting.name).value for setting in all_settings()}
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


def _plain(hint: Any) -> tuple[Any, bool]:
    """A type without its ``| None``, and whether it had one."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        parts = [part for part in typing.get_args(hint) if part is not type(None)]
        return parts[0], len(parts) < len(typing.get_args(hint))
    return hint, False
