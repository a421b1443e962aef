"""How regularly the messages of a topic were recorded: rate, jitter, gaps and odd stamps."""

from array import array
from dataclasses import dataclass

import numpy as np

_GAP = 3.0  # times the median step


@dataclass(frozen=True)
class StampStatistics:
    """A step is the time between two stamps in a row.

    Attributes:
        rate: messages per second, from the median step; None for fewer than two messages.
        jitter: seconds; 95 % of the steps differ from the median step by less.
        gaps: number of steps longer than three median steps; ``longest`` is the longest step, seconds.
        zero: number of stamps that are zero; the time of reception is used instead.
        back, equal: number of stamps before, and equal to, that of the message before.
        delay: median seconds from the stamp to the reception; None if all stamps are zero.
    """

    rate: float | None
    jitter: float | None
    gaps: int
    longest: float | None
    zero: int
    back: int
    equal: int
    delay: float | None

    def text(self) -> str:
        if self.rate is None or self.jitter is None or self.longest is None:
            parts = ["too few messages for a rate"]
        else:
            gaps = f"{self.gaps} gap{'' if self.gaps == 1 else 's'}, the longest {self.longest:.2f} s"
            parts = [f"{self.rate:.1f} Hz", f"jitter {self.jitter * 1000:.0f} ms", gaps if self.gaps else "no gaps"]
        odd = {"zero stamps": self.zero, "stamps that go back": self.back, "repeated stamps": self.equal}
        parts += [f"{name}: {count}" for name, count in odd.items() if count]
        if self.delay is not None and abs(self.delay) >= 0.1:
            parts.append(f"received {abs(self.delay):.2f} s {'after' if self.delay > 0 else 'before'} the stamp")
        return ", ".join(parts)


class StampCollector:
    """Collects the stamps of a topic, 16 bytes for each message."""

    def __init__(self) -> None:
        self._stamps = array("d")
        self._delays = array("d")
        self._zero = 0

    def add(self, stamp: int, received: int) -> None:
        """Both in nanoseconds."""
        if stamp:
            self._delays.append((received - stamp) / 1e9)
        self._zero += not stamp
        self._stamps.append((stamp or received) / 1e9)

    def statistics(self) -> StampStatistics:
        steps = np.diff(np.frombuffer(self._stamps, np.float64)) if self._stamps else np.empty(0)
        forward = steps[steps > 0]
        rate = jitter = longest = None
        gaps = 0
        if len(forward):
            median = float(np.median(forward))
            rate, longest = 1 / median, float(forward.max())
            jitter = float(np.quantile(np.abs(forward - median), 0.95))
            gaps = int((forward > _GAP * median).sum())
        delay = float(np.median(np.frombuffer(self._delays, np.float64))) if self._delays else None
        back, equal = int((steps < 0).sum()), int((steps == 0).sum())
        return StampStatistics(rate, jitter, gaps, longest, zero=self._zero, back=back, equal=equal, delay=delay)
