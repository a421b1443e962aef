"""One specification per parameter: name, type, default, range. Needs no ROS."""

import types
import typing
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from vpr_aesvc.ros.settings import LIVE, NodeSettings

SMALLEST = 1e-9  # lower bound for "greater than 0": ROS ranges include their ends
_LARGEST = {int: 2**31 - 1, float: 1e9}


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter. ``kind`` is its type; an ``optional`` one may stay unset."""

    name: str
    field: FieldInfo
    kind: Any
    optional: bool

    @property
    def live(self) -> bool:
        """Whether it can be set while the node runs."""
        return self.name.split(".")[0] in LIVE

    def bounds(self) -> tuple[float, float] | None:
        """(lowest, highest) allowed value; None if the field has no limits."""
        low = high = None
        for rule in self.field.metadata:
            low = getattr(rule, "ge", low)
            low = SMALLEST if getattr(rule, "gt", None) == 0 else low
            high = getattr(rule, "le", high)
        if self.kind not in (int, float) or (low is None and high is None):
            return None
        return (0 if low is None else low), (_LARGEST[self.kind] if high is None else high)

    @property
    def default(self) -> Any:
        """None if it is optional."""
        return None if self.optional else self.field.get_default(call_default_factory=True)

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed strings; empty if any value is allowed."""
        return typing.get_args(self.kind) if typing.get_origin(self.kind) is typing.Literal else ()


def all_parameter_specs(model: type[BaseModel] = NodeSettings, group: str = "") -> list[ParameterSpec]:
    """All parameters in the order of the settings. ``group`` is the prefix of their names."""
    specs: list[ParameterSpec] = []
    hints = typing.get_type_hints(model)
    for name, field in model.model_fields.items():
        kind, optional = _without_none(hints[name])
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            specs += all_parameter_specs(kind, f"{group}{name}.")
        else:
            specs.append(ParameterSpec(f"{group}{name}", field, kind, optional))
    return specs


def _without_none(hint: Any) -> tuple[Any, bool]:
    """(type without ``| None``, whether it had one)."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        parts = [part for part in typing.get_args(hint) if part is not type(None)]
        return parts[0], len(parts) < len(typing.get_args(hint))
    return hint, False
