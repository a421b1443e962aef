"""Work that must not keep a frame waiting: one piece at a time, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from vpr_aesvc.errors import VprError


class Background:
    """Does one thing while its owner does another. The owner alone calls its methods; the work must touch nothing that the owner changes."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._answer: Any = None
        self._error: VprError | None = None

    @property
    def busy(self) -> bool:
        """Whether something was begun whose answer was not taken."""
        return self._thread is not None

    @property
    def done(self) -> bool:
        """Whether there is an answer to take."""
        return self._thread is not None and not self._thread.is_alive()

    def begin(self, work: Callable[[], Any]) -> None:
        """Starts; only where it is not busy. A program that ends waits for it: Python would kill the thread inside OpenCV, which aborts the
        process. Where the work reads a map, closing the map ends it at once."""
        assert self._thread is None
        self._answer = self._error = None
        self._thread = threading.Thread(target=self._run, args=(work,), name="vpr_aesvc learning")
        self._thread.start()

    def take(self) -> Any:
        """What came of it; waits for it where it is not done.

        Raises:
            VprError: the work did not come to an end; the message says why.
        """
        assert self._thread is not None
        self._thread.join()
        self._thread = None
        if self._error is not None:
            raise self._error
        return self._answer

    def _run(self, work: Callable[[], Any]) -> None:
        try:
            self._answer = work()
        except VprError as error:
            self._error = error
        except (
            Exception
        ) as error:  # such as a map that was closed meanwhile; it must reach the owner, not standard error
            self._error = VprError(f"{type(error).__name__}: {error}")
