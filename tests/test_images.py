import cv2
import numpy as np
import pytest

from vpr_aesvc.errors import VprError
from vpr_aesvc.images import Preprocess, as_rgb, read_image, resize, thumbnail

RED = np.zeros((40, 60, 3), np.uint8)
RED[..., 0] = 255


def test_a_red_square_stays_red_from_file_to_tensor(tmp_path):
    cv2.imwrite(str(tmp_path / "red.png"), RED[..., ::-1])  # OpenCV writes BGR
    image = read_image(tmp_path / "red.png")
    assert image[0, 0].tolist() == [255, 0, 0]
    tensor = Preprocess(height=8, width=8)(image)
    assert tensor.shape == (3, 8, 8)
    assert tensor[0].min() == pytest.approx(1) and tensor[1:].max() == 0


def test_bgr_arrays_are_named_as_such():
    assert as_rgb(RED[..., ::-1], "bgr")[0, 0].tolist() == [255, 0, 0]
    assert as_rgb(RED, "rgb")[0, 0].tolist() == [255, 0, 0]
    whole = np.ascontiguousarray(RED)
    assert as_rgb(whole) is whole


def test_exif_orientation_is_honored(tmp_path):
    wide = np.zeros((20, 40, 3), np.uint8)
    wide[:, :20] = 255  # white on the left
    done, jpeg = cv2.imencode(".jpg", wide, [cv2.IMWRITE_JPEG_QUALITY, 100])
    assert done
    # An EXIF block with one entry, orientation 6: the camera was rotated by 90 degrees clockwise.
    tiff = b"II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00"
    exif = b"Exif\x00\x00" + tiff
    data = jpeg.tobytes()
    (tmp_path / "turned.jpg").write_bytes(data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:])
    image = read_image(tmp_path / "turned.jpg")
    assert image.shape == (40, 20, 3)
    assert image[5].mean() > 250 and image[-5].mean() < 5  # the left half is now the upper half


@pytest.mark.parametrize("shape", [(10, 12), (10, 12, 1), (10, 12, 4)])
def test_gray_and_alpha_become_rgb(shape):
    assert as_rgb(np.full(shape, 7, np.uint8)).shape == (10, 12, 3)


def test_gray_and_alpha_files(tmp_path):
    cv2.imwrite(str(tmp_path / "gray.png"), np.full((9, 9), 90, np.uint8))
    alpha = np.dstack([RED[..., ::-1], np.full(RED.shape[:2], 128, np.uint8)])
    cv2.imwrite(str(tmp_path / "alpha.png"), alpha)
    assert read_image(tmp_path / "gray.png")[0, 0].tolist() == [90, 90, 90]
    assert read_image(tmp_path / "alpha.png")[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 4), np.float32), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 2), np.uint8)]
)
def test_arrays_that_are_not_images_are_refused(bad):
    with pytest.raises(VprError, match=r"uint8|found shape"):
        as_rgb(bad)


def test_center_crop_keeps_the_aspect_ratio():
    image = np.zeros((100, 200, 3), np.uint8)
    image[:, 100:] = 255  # the edge runs through the center
    cropped = Preprocess(height=32, width=32, resize="crop", short_side=40).resized(image)
    assert cropped.shape == (32, 32, 3)
    assert cropped[:, :14].max() == 0 and cropped[:, 18:].min() == 255


def test_square_stretches_and_normalizes():
    rule = Preprocess(height=4, width=4, mean=(0.5, 0.5, 0.5), std=(0.5, 0.25, 0.5))
    tensor = rule(RED)
    assert np.allclose(tensor[:, 0, 0], [1, -2, -1])


def test_strong_shrinking_averages_instead_of_skipping_pixels():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    small = resize(stripes, 32, 32)
    assert abs(int(small.mean()) - 127) <= 1 and small.std() < 2


def test_thumbnail_keeps_the_ratio_and_never_grows():
    assert thumbnail(np.zeros((100, 400, 3), np.uint8), 160).shape == (40, 160, 3)
    assert thumbnail(RED).shape == RED.shape


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_truncated_files_are_refused(tmp_path, random_image, suffix):
    cv2.imwrite(str(tmp_path / f"a{suffix}"), random_image)
    data = (tmp_path / f"a{suffix}").read_bytes()
    for part in (0.3, 0.6, 0.95):
        (tmp_path / f"cut{suffix}").write_bytes(data[: int(len(data) * part)])
        with pytest.raises(VprError, match=f"cut{suffix}.*(truncated|decoded)"):
            read_image(tmp_path / f"cut{suffix}")
    (tmp_path / f"tail{suffix}").write_bytes(data + b"trailing bytes, as some cameras write")
    assert read_image(tmp_path / f"tail{suffix}").shape == random_image.shape


@pytest.mark.parametrize(("content", "words"), [(b"", "empty"), (b"only words", "not an image")])
def test_files_that_are_not_images(tmp_path, content, words):
    (tmp_path / "x.jpg").write_bytes(content)
    with pytest.raises(VprError, match=words):
        read_image(tmp_path / "x.jpg")
    with pytest.raises(VprError, match="cannot be read"):
        read_image(tmp_path / "missing.jpg")


def test_every_image_of_a_set_decodes(clips_folder):
    paths = sorted(clips_folder.rglob("*.jpg"))[::50]
    assert len(paths) > 20
    assert {read_image(path).shape for path in paths} == {(180, 320, 3)}
