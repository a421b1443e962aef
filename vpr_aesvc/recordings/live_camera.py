"""What a camera or a stream shows now: frames that come while one is being recognized are passed over."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from vpr_aesvc.calibration import read_calibration
from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import InputOptions
from vpr_aesvc.images import as_rgb
from vpr_aesvc.recordings.recording import Recording
from vpr_aesvc.types import Frame

_PATIENCE = 10.0  # seconds without a frame


class LiveCamera(Recording):
    """Frames with the time at which they came. It can be read once.

    Args:
        name: the number of a device, as ``0``, the address of a stream (rtsp://, http://), or a video file, which plays at its own rate.
        calibration: a file with the camera's intrinsics.

    Raises:
        VprError: it cannot be opened, or the calibration cannot be read.
    """

    def __init__(self, name: str, calibration: Path | None = None) -> None:
        super().__init__(Path(f"camera {name}" if name.isdigit() else name), InputOptions(), "camera")
        self._capture = cv2.VideoCapture(int(name) if name.isdigit() else name)
        if not self._capture.isOpened():
            advice = "`ls /dev/video*` shows the cameras" if name.isdigit() else "expected a stream or a video"
            raise VprError(f"{self.path}: cannot be opened; {advice}")
        size = [round(self._capture.get(one)) for one in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)]
        if calibration is not None:
            self.intrinsics, self.image_size, note = read_calibration(calibration, (size[0], size[1]))
            self.notes.append(note)
        rate = self._capture.get(cv2.CAP_PROP_FPS) if Path(name).is_file() else 0.0
        self._period = 1 / rate if rate > 0 else 0.0
        self._newest: Frame | None = None
        self._changed, self._ended = threading.Condition(), False

    def __iter__(self) -> Iterator[Frame]:
        """Until the stream ends.

        Raises:
            VprError: no frame came for ten seconds.
        """
        thread = threading.Thread(target=self._read, name="vpr_aesvc camera", daemon=True)
        thread.start()
        try:
            while True:
                with self._changed:
                    if not self._changed.wait_for(lambda: self._newest is not None or self._ended, _PATIENCE):
                        raise VprError(f"{self.path}: no frame for {_PATIENCE:.0f} s")
                    frame, self._newest = self._newest, None
                if frame is None:
                    return
                yield frame
        finally:
            self._ended = True
            thread.join(_PATIENCE)

    def _read(self) -> None:
        number, due = 0, time.monotonic()
        while not self._ended:
            done, picture = self._capture.read()
            if not done:
                break
            if self._period:
                due += self._period
                time.sleep(max(0.0, due - time.monotonic()))
            frame = Frame(f"frame {number:06d}", image=as_rgb(np.asarray(picture, np.uint8), "bgr"), stamp=time.time())
            number += 1
            with self._changed:
                self._newest = frame
                self._changed.notify()
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._capture.release()
