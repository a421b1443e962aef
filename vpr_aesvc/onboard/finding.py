"""The result of one check of a robot."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """``what`` was found; ``advice`` says what to change, empty if nothing. An ``error`` must be changed."""

    level: Literal["ok", "warning", "error"]
    what: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.what}; {self.advice}" if self.advice else self.what
