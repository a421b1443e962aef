"""The settings one by one, as parameters: names, types, ranges, and their table for the documentation. Needs no ROS."""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from vpr_aesvc.ros.settings import LIVE, NodeSettings

SMALLEST = 1e-9  # a range of ROS holds its ends; what must be above 0 begins here
_OPEN = {int: 2**31 - 1, float: 1e9}


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter: a leaf of the settings. ``kind`` is its type, ``optional`` whether it may be left unset."""

    name: str
    field: FieldInfo
    kind: Any
    optional: bool

    @property
    def live(self) -> bool:
        """Whether it may be changed while the node runs."""
        return self.name.split(".")[0] in LIVE

    def bounds(self) -> tuple[float, float] | None:
        """(least, most), as the field says; None where it says nothing of them."""
        low = high = None
        for rule in self.field.metadata:
            low = getattr(rule, "ge", low)
            low = SMALLEST if getattr(rule, "gt", None) == 0 else low
            high = getattr(rule, "le", high)
        if self.kind not in (int, float) or (low is None and high is None):
            return None
        return (0 if low is None else low), (_OPEN[self.kind] if high is None else high)

    @property
    def default(self) -> Any:
        """None for one that is not set unless the user sets it."""
        return None if self.optional else self.field.get_default(call_default_factory=True)

    @property
    def choices(self) -> tuple[str, ...]:
        """The words it may be; empty where it may be others."""
        return typing.get_args(self.kind) if typing.get_origin(self.kind) is typing.Literal else ()


def all_parameter_specs(model: type[BaseModel] = NodeSettings, group: str = "") -> list[ParameterSpec]:
    """Every leaf of the settings, in order."""
    found: list[ParameterSpec] = []
    hints = typing.get_type_hints(model)
    for name, field in model.model_fields.items():
        kind, optional = _plain(hints[name])
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found += all_parameter_specs(kind, f"{group}{name}.")
        else:
            found.append(ParameterSpec(f"{group}{name}", field, kind, optional))
    return found


def table() -> str:
    """The parameters as a Markdown table."""
    lines = ["| parameter | default | |", "|---|---|---|"]
    for setting in all_parameter_specs():
        shown = "not set" if setting.default is None else _shown(setting.default)
        words = setting.field.description or ""
        words += f" (one of {', '.join(setting.choices)})" if setting.choices and ":" not in words else ""
        words += " *" if setting.live else ""
        lines.append(f"| `{setting.name}` | {shown} | {words} |")
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    return "`true`" if value is True else "`false`" if value is False else f"`{value!r}`".replace("'", '"')


def _plain(hint: Any) -> tuple[Any, bool]:
    """A type without its ``| None``, and whether it had one."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        parts = [part for part in typing.get_args(hint) if part is not type(None)]
        return parts[0], len(parts) < len(typing.get_args(hint))
    return hint, False
