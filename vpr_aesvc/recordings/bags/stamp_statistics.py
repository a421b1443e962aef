"""How regularly the messages of a topic came: rate, jitter, gaps, and stamps that are odd."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np

_GAP = 3.0  # times the usual step


@dataclass(frozen=True)
class StampFacts:
    """Attributes:
    rate: messages a second, by the usual (median) step between stamps; None of fewer than two.
    jitter: seconds, how far 95 % of the steps lie from the usual one, at most.
    gaps: steps longer than three usual ones; ``longest`` is the longest step, seconds.
    zero: stamps of zero, for which the time of reception stands; ``back``, ``equal``: stamps before and at that of the message before.
    delay: seconds from the stamp to the reception, median; None where no message has a stamp.
    """

    rate: float | None
    jitter: float | None
    gaps: int
    longest: float | None
    zero: int
    back: int
    equal: int
    delay: float | None

    def words(self) -> str:
        if self.rate is None or self.jitter is None or self.longest is None:
            parts = ["too few to tell a rate"]
        else:
            parts = [f"{self.rate:.1f} Hz", f"jitter {self.jitter * 1000:.0f} ms"]
            parts.append(
                f"{self.gaps} gap{'' if self.gaps == 1 else 's'}, the longest {self.longest:.2f} s"
                if self.gaps
                else "no gaps"
            )
        if self.zero:
            parts.append(f"stamps of zero: {self.zero}")
        if self.back:
            parts.append(f"stamps that go backward: {self.back}")
        if self.equal:
            parts.append(f"stamps that repeat the one before: {self.equal}")
        if self.delay is not None and abs(self.delay) >= 0.1:
            parts.append(f"received {abs(self.delay):.2f} s {'after' if self.delay > 0 else 'before'} the stamp")
        return ", ".join(parts)


class StampCount:
    """Collects the stamps of a topic, 8 bytes each."""

    def __init__(self) -> None:
        self._stamps = array("d")
        self._delays = array("d")
        self._zero = 0

    def add(self, stamp: int, received: int) -> None:
        """Nanoseconds."""
        if stamp:
            self._delays.append((received - stamp) / 1e9)
        self._zero += not stamp
        self._stamps.append((stamp or received) / 1e9)

    def facts(self) -> StampFacts:
        steps = np.diff(np.frombuffer(self._stamps, np.float64)) if self._stamps else np.empty(0)
        onward = steps[steps > 0]
        delay = float(np.median(np.frombuffer(self._delays, np.float64))) if self._delays else None
        odd = {"zero": self._zero, "back": int((steps < 0).sum()), "equal": int((steps == 0).sum()), "delay": delay}
        if not len(onward):
            return StampFacts(None, None, 0, None, **odd)  # type: ignore[arg-type]
        usual = float(np.median(onward))
        jitter = float(np.quantile(np.abs(onward - usual), 0.95))
        gaps = int((onward > _GAP * usual).sum())
        return StampFacts(1 / usual, jitter, gaps, float(onward.max()), **odd)  # type: ignore[arg-type]
