"""Research sequences as they unpack: where the images, the trajectory and the camera's mount are. A row a layout.

https://projects.asl.ethz.ch/datasets/euroc-mav, https://cvg.cit.tum.de/data/datasets/rgbd-dataset, https://www.cvlibs.net/datasets/kitti/eval_odometry.php
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vpr_aesvc.calibration import named_intrinsics
from vpr_aesvc.errors import VprError, first_line
from vpr_aesvc.text import read_text
from vpr_aesvc.transforms import OPTICAL, compose, inverse, pose_of_rotation
from vpr_aesvc.types import Intrinsics, Pose


@dataclass(frozen=True)
class Layout:
    """Paths within the folder that a user names; ``{name}`` is its name.

    Attributes:
        images: the folder of the images, with a listing if they need one.
        required: a file or folder that tells this layout.
        sensor: EuRoC's sensor.yaml, for a trajectory that is not of the camera.
    """

    name: str
    images: str
    trajectory: str
    required: str
    sensor: str | None = None


LAYOUTS = (
    Layout(
        "EuRoC",
        "mav0/cam0/data",
        "mav0/state_groundtruth_estimate0/data.csv",
        "mav0/cam0/data",
        "mav0/cam0/sensor.yaml",
    ),
    Layout("EuRoC", "cam0/data", "state_groundtruth_estimate0/data.csv", "cam0/data", "cam0/sensor.yaml"),
    Layout("TUM RGB-D", ".", "groundtruth.txt", "rgb.txt"),
    Layout("KITTI odometry", "image_0", "../../poses/{name}.txt", "image_0"),
    Layout("KITTI odometry", "image_2", "../../poses/{name}.txt", "image_2"),
    Layout("KITTI odometry", "image_0", "poses.txt", "image_0"),
)


def find_layout(folder: Path) -> Layout | None:
    """The first layout whose images and trajectory are there, with its paths completed."""
    folder = folder.absolute()
    for row in LAYOUTS:
        trajectory = folder / row.trajectory.format(name=folder.name)
        if (folder / row.required).exists() and trajectory.is_file():
            sensor = row.sensor and str(folder / row.sensor)
            return Layout(row.name, str(folder / row.images), str(trajectory), row.required, sensor)
    return None


def read_sensor(path: Path) -> tuple[Pose, Intrinsics, tuple[int, int]]:
    """EuRoC's ``sensor.yaml``: the camera on the body (with axes x forward, y left, z up), its intrinsics, and (width, height).

    Raises:
        VprError: it is missing or another file.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        content = YAML(typ="safe", pure=True).load(read_text(path))
        matrix = np.array(content["T_BS"]["data"], np.float64).reshape(4, 4)
        fx, fy, cx, cy = map(float, content["intrinsics"])
        width, height = map(int, content["resolution"])
        model = "equidistant" if content["distortion_model"] == "equidistant" else "plumb_bob"
        intrinsics = named_intrinsics(
            (fx, fy, cx, cy), model, [float(one) for one in content["distortion_coefficients"]]
        )
        mount = pose_of_rotation(matrix[:3, :3], *matrix[:3, 3].tolist())
    except (YAMLError, TypeError, KeyError, ValueError) as error:
        raise VprError(
            f"{path}: expected EuRoC's sensor.yaml (T_BS, intrinsics, ...), found {first_line(error)}"
        ) from error
    return compose(mount, inverse(OPTICAL)), intrinsics, (width, height)
