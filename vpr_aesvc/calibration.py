"""Calibration files: camera_info YAML of ROS, YAML of OpenCV, and calib.txt of KITTI, which has a line ``P0: ...`` for each camera.

https://docs.ros.org/en/api/sensor_msgs/html/msg/CameraInfo.html and https://www.cvlibs.net/datasets/kitti/eval_odometry.php
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vpr_aesvc.errors import VprError
from vpr_aesvc.text import read_text
from vpr_aesvc.types import Intrinsics

Size = tuple[int, int]  # width, height
_EXPECTED = "expected a camera calibration: ROS's camera_info YAML or OpenCV's YAML (camera_matrix, distortion_coefficients), or KITTI's calib.txt (P0: ...)"
_KITTI = re.compile(r"^(P\d):(.*)$", re.MULTILINE)
_BY_COUNT = {4: "plumb_bob", 5: "plumb_bob", 8: "rational_polynomial"}


def read_calibration(path: Path, images: Size | None, folder: str = "") -> tuple[Intrinsics, Size, str]:
    """The intrinsics in a calibration file, (width, height) of the images that they are of, and a note. ``images``: the
    (width, height) to scale them to; by default they stay as the file says. ``folder``: name of the images' folder: for
    ``image_N``, as in KITTI, camera N of calib.txt is taken, else the first. Raises VprError: it is no such file, the
    images have another aspect ratio, or a file that does not say a size cannot be of the images. The message says what was
    expected and found."""
    text = read_text(path)
    try:
        intrinsics, size, camera = _read_kitti(text, folder) if _KITTI.search(text) else _read_yaml(text)
        if size is None:
            if images is None:
                raise VprError("does not tell the size of its images, which are not here")
            if not (0 <= intrinsics.cx < images[0] and 0 <= intrinsics.cy < images[1]):
                raise VprError(f"is of larger images ({intrinsics}) than these of {images[0]} x {images[1]} pixels")
            return intrinsics, images, f"intrinsics: {intrinsics} ({path.name}{camera})"
        scaled = "" if images in (None, size) else f", scaled from {size[0]} x {size[1]}"
        fitted = intrinsics.fitted(size, images or size)
        return fitted, images or size, f"intrinsics: {fitted}{scaled} ({path.name})"
    except ValueError as error:
        raise VprError(f"{path}: {_EXPECTED}; found {error}") from error
    except VprError as error:
        raise VprError(f"{path}: {error}") from error


def named_intrinsics(
    numbers: tuple[float, float, float, float], model: str, coefficients: Sequence[float]
) -> Intrinsics:
    """Intrinsics (fx, fy, cx, cy) with the distortion as ROS and OpenCV name it; without a name, the number of coefficients
    decides. Raises VprError: as ``Intrinsics``."""
    if model in ("equidistant", "fisheye"):
        return Intrinsics(*numbers, "equidistant", tuple(coefficients))
    if not any(coefficients):
        return Intrinsics(*numbers)
    return Intrinsics(*numbers, model or _BY_COUNT.get(len(coefficients), "without a name"), tuple(coefficients))


def _read_kitti(text: str, folder: str) -> tuple[Intrinsics, None, str]:
    lines, named = dict(_KITTI.findall(text)), re.fullmatch(r"image_0?(\d)", folder)
    camera = f"P{named[1]}" if named else min(lines)
    if camera not in lines:
        raise ValueError(f"no line {camera} for {folder}")
    numbers = _numbers(lines[camera].split(), 12)
    return Intrinsics(numbers[0], numbers[5], numbers[2], numbers[6]), None, f", {camera}"


def _read_yaml(text: str) -> tuple[Intrinsics, Size | None, str]:
    """The size is None if the file does not say it. Raises ValueError for another file."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    # OpenCV begins with a directive, %YAML:1.0, that is no YAML, and names its own type of matrices.
    plain = re.sub(r"\A%YAML.*\n|!!opencv-matrix", "", text)
    try:
        content = YAML(typ="safe", pure=True).load(plain)
        if not isinstance(content, dict) or "camera_matrix" not in content:
            names = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
            raise ValueError(f"{names[:80] or 'nothing'} instead")
        matrix = _numbers(_data(content, "camera_matrix"), 9)
        lens = [float(one) for one in _data(content, "distortion_coefficients")]
        model = "fisheye" if content.get("fisheye_model") else str(content.get("distortion_model") or "")
        size = [int(content.get(f"image_{side}") or 0) for side in ("width", "height")]
    except (YAMLError, TypeError, LookupError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"{' '.join(str(error).split())[:160]}") from error
    intrinsics = named_intrinsics((matrix[0], matrix[4], matrix[2], matrix[5]), model, lens)
    return intrinsics, (size[0], size[1]) if min(size) > 0 else None, ""


def _data(content: dict[str, Any], name: str) -> list[Any]:
    if not isinstance(content.get(name), dict) or not isinstance(content[name].get("data"), list):
        raise ValueError(f"no `data` in {name}")
    return content[name]["data"]  # type: ignore[no-any-return]


def _numbers(words: Sequence[Any], count: int) -> list[float]:
    if len(words) != count:
        raise ValueError(f"{len(words)} numbers instead of {count}")
    return [float(word) for word in words]
