"""COLMAP models that pycolmap writes: a car that drives a curve, seen by cameras of every model that OpenCV has, too."""

import cv2
import numpy as np
import pytest

from tests.command import refused, vpr
from vpr_aesvc import PlaceMap, VprError, open_input
from vpr_aesvc.transforms import rotation_matrix

WIDTH, HEIGHT = 320, 240
CAMERAS = {
    "SIMPLE_PINHOLE": [300, 160, 121],
    "PINHOLE": [300, 310, 160, 121],
    "SIMPLE_RADIAL": [300, 160, 121, -0.1],
    "RADIAL": [300, 160, 121, -0.1, 0.02],
    "OPENCV": [300, 310, 160, 121, -0.1, 0.02, 0.001, -0.002],
    "OPENCV_FISHEYE": [300, 310, 160, 121, -0.1, 0.02, 0.003, -0.004],
    "FULL_OPENCV": [300, 310, 160, 121, -0.1, 0.02, 0.001, -0.002, 0.003, 0.05, 0.001, 0.002],
    "SIMPLE_RADIAL_FISHEYE": [300, 160, 121, -0.1],
    "RADIAL_FISHEYE": [300, 160, 121, -0.1, 0.02],
}


@pytest.fixture(scope="module")
def pycolmap():
    return pytest.importorskip("pycolmap")


def truth(at):
    """Position and heading on the road (x east, y north) of image ``at``."""
    turn = 0.05 * at
    return np.array([20 * np.sin(turn), 20 - 20 * np.cos(turn), 1.5]), turn


def write_model(pycolmap, folder, model="SIMPLE_RADIAL", images=12, binary=True, cameras=1):
    """``folder/sparse/0`` and ``folder/images``, as COLMAP and hloc arrange them. The world's axes are those of the first camera."""
    reconstruction = pycolmap.Reconstruction()
    for number in range(1, cameras + 1):
        camera = pycolmap.Camera(model=model, width=WIDTH, height=HEIGHT, params=CAMERAS[model], camera_id=number)
        reconstruction.add_camera_with_trivial_rig(camera)
    optical_to_body = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    (folder / "images" / "left").mkdir(parents=True)
    for at in range(images):
        position, turn = truth(at)
        heading = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
        to_camera = (heading @ optical_to_body).T
        rotation = to_camera @ optical_to_body  # of COLMAP's world
        center = optical_to_body.T @ position
        pose = pycolmap.Rigid3d(pycolmap.Rotation3d(rotation), -rotation @ center)
        name = f"left/image {at}.png"
        image = pycolmap.Image(name=name, camera_id=at % cameras + 1, image_id=images - at)
        image.points2D = pycolmap.Point2DList([pycolmap.Point2D(np.array([1.0, 2.0]))] * (at % 3))
        reconstruction.add_image_with_trivial_frame(image, pose)
        picture = np.random.default_rng(at).integers(0, 255, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
        cv2.imwrite(str(folder / "images" / name), cv2.resize(picture, (WIDTH, HEIGHT)))
    model_folder = folder / "sparse" / "0"
    model_folder.mkdir(parents=True)
    (reconstruction.write_binary if binary else reconstruction.write_text)(model_folder)
    return model_folder, reconstruction


@pytest.mark.parametrize("binary", [True, False])
def test_poses_are_those_of_the_drive(pycolmap, tmp_path, binary):
    folder, _ = write_model(pycolmap, tmp_path, binary=binary)
    source = open_input(folder)
    assert [frame.label for frame in source] == [f"left/image {at}.png" for at in range(12)]
    for at, frame in enumerate(source):
        position, turn = truth(at)
        np.testing.assert_allclose(frame.pose.as_tuple()[:3], position, atol=1e-9)
        np.testing.assert_allclose(rotation_matrix(frame.pose)[:, 0], [np.cos(turn), np.sin(turn), 0], atol=1e-9)
        assert frame.path.is_file()


@pytest.mark.parametrize("model", CAMERAS)
@pytest.mark.parametrize("binary", [True, False])
def test_intrinsics_put_rays_where_colmap_does(pycolmap, tmp_path, model, binary):
    folder, reconstruction = write_model(pycolmap, tmp_path, model, images=2, binary=binary)
    source = open_input(folder)
    assert source.image_size == (WIDTH, HEIGHT)
    pixels = np.random.default_rng(0).uniform((0, 0), (WIDTH - 1, HEIGHT - 1), (50, 2))
    rays = source.intrinsics.bearings(pixels, 1.0)
    np.testing.assert_allclose(rays, reconstruction.cameras[1].cam_from_img(pixels + 0.5), atol=1e-5)


def test_a_map_of_a_model(pycolmap, tmp_path):
    folder, _ = write_model(pycolmap, tmp_path)
    done = vpr("train", folder, "-o", tmp_path / "model", "--method", "aesvc")
    assert done.returncode == 0, done.stderr
    done = vpr("map", "build", folder, "-m", tmp_path / "model", "-o", tmp_path / "map.vprmap")
    assert done.returncode == 0, done.stderr
    with PlaceMap.open(tmp_path / "map.vprmap") as place_map:
        places = list(place_map.places().values())
        assert len(places) == 12 and len(place_map.cameras()) == 1
        np.testing.assert_allclose(places[5].pose.as_tuple()[:3], truth(5)[0], atol=1e-6)
    assert "in the scale of the reconstruction" in vpr("map", "info", tmp_path / "map.vprmap").stdout


def test_of_several_cameras_the_intrinsics_are_left_out(pycolmap, tmp_path):
    source = open_input(write_model(pycolmap, tmp_path, cameras=2)[0])
    assert source.intrinsics is None and any("of 2 cameras" in note for note in source.notes)
    assert len(source) == 12


def test_images_elsewhere(pycolmap, tmp_path):
    folder, _ = write_model(pycolmap, tmp_path)
    (tmp_path / "images").rename(tmp_path / "elsewhere")
    refused(vpr("map", "build", folder, "-m", "m", "-o", tmp_path / "x.vprmap"), "or a link to them, at")
    (folder / "images").symlink_to(tmp_path / "elsewhere")
    assert len(open_input(folder)) == 12


TEXT = {
    "cameras.txt": "# Camera list\n1 PINHOLE 320 240 300 310 160 121\n",
    "images.txt": "# Image list\n1 1 0 0 0 0 0 0 1 a.png\n\n2 1 0 0 0 1 0 0 1 b.png\n3 4 5\n",
}


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("cameras.txt", "320", "wide"),
        ("cameras.txt", " 121", ""),
        ("images.txt", "0 1 b.png", "0 7 b.png"),
        ("images.txt", "1 0 0 0 1", "1 0 0 0 nan"),
        ("images.txt", "2 1 0 0", "2"),
    ],
)
def test_a_damaged_text_file_is_named(tmp_path, file, before, after):
    for name, text in TEXT.items():
        (tmp_path / name).write_text(text.replace(before, after) if name == file else text)
    for name in "ab":
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((240, 320), np.uint8))
    with pytest.raises(VprError, match="is damaged or no file of a COLMAP model"):
        open_input(tmp_path)


def test_whole_text_files_are_read(tmp_path):
    for name, text in TEXT.items():
        (tmp_path / name).write_text(text)
    for name in "ab":
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((240, 320), np.uint8))
    source = open_input(tmp_path)
    assert [frame.label for frame in source] == ["a.png", "b.png"]
    assert (source.intrinsics.fx, source.intrinsics.cx) == (300, 159.5)


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin"])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.9])
def test_a_truncated_binary_file_is_named(pycolmap, tmp_path, name, part):
    folder, _ = write_model(pycolmap, tmp_path)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(part * len(content))])
    with pytest.raises(VprError, match="is damaged or no file of a COLMAP model"):
        open_input(folder)
