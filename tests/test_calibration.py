"""Calibration files as ROS, OpenCV and KITTI write them."""

import cv2
import numpy as np
import pytest

from tests.conftest import _folder
from tests.datasets.images import photo
from tests.datasets.images import written as written_image
from vpr_aesvc.calibration import read_calibration
from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import InputOptions
from vpr_aesvc.inputs import open_input
from vpr_aesvc.types import Intrinsics

ROS = """image_width: 640
image_height: 480
camera_name: narrow_stereo
camera_matrix:
  rows: 3
  cols: 3
  data: [553.73, 0.     , 327.18,
           0.     , 552.31, 240.52,
           0.     , 0.     , 1.     ]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.0651, 0.0582, 0.00047, 0.0013, 0.000000]
rectification_matrix:
  rows: 3
  cols: 3
  data: [1, 0, 0, 0, 1, 0, 0, 0, 1]
projection_matrix:
  rows: 3
  cols: 4
  data: [550.1, 0.     , 328.3 , 0.     , 0, 549, 240, 0, 0, 0, 1, 0]
"""


@pytest.fixture(scope="module")
def kitti():
    return _folder("kitti_clip")


def written(path, text):
    path.write_text(text)
    return path


def test_camera_info_of_ros(tmp_path):
    file = written(tmp_path / "ost.yaml", ROS)
    lens = "plumb_bob", (-0.0651, 0.0582, 0.00047, 0.0013, 0.0)
    exact, size, note = read_calibration(file, (640, 480))
    assert (exact, size) == (Intrinsics(553.73, 552.31, 327.18, 240.52, *lens), (640, 480))
    assert note == "intrinsics: fx 553.7, fy 552.3, cx 327.2, cy 240.5, plumb_bob (ost.yaml)"
    half, size, note = read_calibration(file, (320, 240))
    assert half == exact.resized((480, 640), (240, 320)) and half.fx == 553.73 / 2 and "scaled from 640 x 480" in note
    assert read_calibration(file, None)[:2] == (exact, (640, 480))
    for model, count in (("rational_polynomial", 8), ("equidistant", 4)):
        text = ROS.replace("plumb_bob", model).replace(
            "-0.0651, 0.0582, 0.00047, 0.0013, 0.000000", ", ".join(["0.01"] * count)
        )
        found = read_calibration(written(tmp_path / "other.yaml", text), (640, 480))[0]
        assert (found.distortion_model, found.distortion) == (model, (0.01,) * count)


@pytest.mark.parametrize(("lens", "fisheye"), [((0.1, -0.2, 0.01, 0.02, 0.03), 0), ((0.1, -0.2, 0.01, 0.02), 1)])
def test_yaml_of_opencv(tmp_path, lens, fisheye):
    path = tmp_path / "out_camera_data.yml"
    file = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    file.write("image_width", 640)
    file.write("image_height", 480)
    file.write("fisheye_model", fisheye)
    file.write("camera_matrix", np.array([[500.25, 0, 320], [0, 501, 240], [0, 0, 1.0]]))
    file.write("distortion_coefficients", np.array([lens]).T)
    file.release()
    assert path.read_text().startswith("%YAML")
    found, size, _ = read_calibration(path, (640, 480))
    assert found == Intrinsics(500.25, 501, 320, 240, "equidistant" if fisheye else "plumb_bob", lens)
    assert size == (640, 480)


WRONG = {
    "binary": (b"\x00\xff\xfe\x80", "cannot be read"),
    "nothing": (b"", "expected a camera calibration.* found"),
    "prose": (b"this is my camera", "expected a camera calibration: ROS's camera_info YAML .* found str instead"),
    "another YAML": (b"fx: 1\nfy: 2\n", "found fx, fy instead"),
    "broken YAML": (b"camera_matrix: [1, 2\nx: {", "expected a camera calibration"),
    "eight numbers": (ROS.replace("0.     , 0.     , 1.     ]", "0, 1]").encode(), "8 numbers instead of 9"),
    "no matrix": (b"camera_matrix: 3\n", "found no `data` in camera_matrix"),
    "no distortion": (
        ROS[: ROS.index("distortion_coefficients")].encode(),
        "found no `data` in distortion_coefficients",
    ),
    "nested": (b"camera_matrix: " + b"[" * 4000, "expected a camera calibration"),
    "an empty number": (ROS.replace("640", "!!float ''").encode(), "expected a camera calibration"),
    "a number of 400 digits": (ROS.replace("640", "9" * 400).encode(), "expected a camera calibration|another aspect"),
    "words": (ROS.replace("553.73", "wide").encode(), "could not convert string to float: 'wide'"),
    "not finite": (ROS.replace("553.73", ".nan").encode(), "intrinsics must be finite"),
    "a lens of another model": (
        ROS.replace("plumb_bob", "omni").encode(),
        "distortion model 'omni' with 5 coefficients",
    ),
    "KITTI of eleven": (b"P0: 1 2 3 4 5 6 7 8 9 10 11\n", "found 11 numbers instead of 12"),
    "another aspect ratio": (
        ROS.replace("480", "400").encode(),
        "640 x 400 pixels, the images have 640 x 480: another aspect",
    ),
    "larger images": (
        b"P0: 700 0 900 0 0 700 180 0 0 0 1 0\n",
        "is of larger images .fx 700.0.* than these of 640 x 480",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_files(tmp_path, kind):
    content, words = WRONG[kind]
    (tmp_path / "c.yaml").write_bytes(content)
    with pytest.raises(VprError, match=words) as error:
        read_calibration(tmp_path / "c.yaml", (640, 480))
    assert str(tmp_path / "c.yaml") in str(error.value)


def test_kitti_is_found_beside_its_trajectory(kitti, tmp_path):
    found = open_input(kitti, InputOptions(trajectory=kitti / "poses.txt"))
    assert found.intrinsics == Intrinsics(707.0912, 707.0912, 601.8873, 183.1104) and found.image_size == (1226, 370)
    assert "intrinsics: fx 707.1, fy 707.1, cx 601.9, cy 183.1 (calib.txt, P0)" in found.notes
    alone = open_input(kitti / "image_0", InputOptions(trajectory=kitti / "poses.txt"))
    assert alone.intrinsics == found.intrinsics
    (tmp_path / "image_1").symlink_to(kitti / "image_0")
    right = open_input(tmp_path / "image_1", InputOptions(trajectory=kitti / "poses.txt"))
    assert right.intrinsics == found.intrinsics and any("(calib.txt, P1)" in note for note in right.notes)
    assert (
        open_input(kitti / "image_0").intrinsics is None
    )  # a set of images, of which nothing says that they are KITTI's
    other = written(tmp_path / "camera.yaml", ROS)
    with pytest.raises(
        VprError, match=r"camera.yaml: .* 640 x 480 pixels, the images have 1226 x 370: another aspect ratio"
    ):
        open_input(kitti, InputOptions(trajectory=kitti / "poses.txt", camera=other))


def test_a_set_of_images_with_a_calibration(tmp_path):
    folder = tmp_path / "set"
    for number in range(3):
        written_image(folder / f"{number}.jpg", photo(number, (120, 160, 3)))
    (folder / "0.jpg").write_bytes(b"damaged")  # the next one tells the size
    source = open_input(folder, InputOptions(camera=written(tmp_path / "camera.yaml", ROS)))
    assert source.image_size == (160, 120) and source.intrinsics.fx == 553.73 / 4
    assert source.split("query").intrinsics == source.intrinsics
