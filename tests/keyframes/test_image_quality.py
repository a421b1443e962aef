"""Black, blurred and frozen pictures, made of real ones; and real ones, which must pass."""

import cv2
import numpy as np
import pytest

from tests.recordings.corridor import corridor_frames
from vpr_aesvc.images import decode_image, encode_jpeg, read_image
from vpr_aesvc.inputs import open_input
from vpr_aesvc.keyframes.image_quality import ImageQuality


@pytest.fixture(scope="module")
def corridor(loop_folder):
    return [read_image(frame.path) for frame in corridor_frames(loop_folder)]


def smeared(image, part, angle):
    """Motion blur over ``part`` of the width."""
    length = part * image.shape[1]
    side = 2 * int(length / 2) + 3
    kernel = np.zeros((side, side), np.float32)
    for along in np.linspace(-length / 2, length / 2, 4 * side):
        kernel[round(side / 2 + along * np.sin(angle) - 0.5), round(side / 2 + along * np.cos(angle) - 0.5)] += 1
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


def noisy(image, seed):
    """The same picture with noise of five gray levels, coded again."""
    noise = np.random.default_rng(seed).normal(0, 5, image.shape)
    return decode_image(encode_jpeg(np.clip(image + noise, 0, 255).astype(np.uint8), 70))


def used(images):
    """A judge that knows the run's usual sharpness."""
    quality = ImageQuality()
    for image in images:
        quality.reason(image, True)
    return quality


def test_the_corridor_passes_but_for_one_frame_that_is_smeared(corridor):
    quality = ImageQuality()
    found = {number: quality.reason(image, True) for number, image in enumerate(corridor, 1)}
    assert {number: reason for number, reason in found.items() if reason} == {40: "blurred"}


def test_a_building_passes_but_for_a_handful(ie_tower):
    frames = open_input(ie_tower).frames
    quality = ImageQuality()
    found = [quality.reason(read_image(frame.path), True) for frame in frames[::2]]
    assert len(found) > 700
    assert sum(reason is not None for reason in found) <= 4


def test_smeared_pictures_are_left_out_and_the_sharp_ones_between_them_are_not(corridor_loop, corridor):
    quality, blurred, sharp, tried = used(corridor[:30]), 0, 0, 0
    for number, image in enumerate(corridor[44:], 44):
        angle = np.random.default_rng(number).uniform(0, np.pi)
        sharp += quality.reason(image, True) is None
        if number % 4 == 0:
            tried += 1
            blurred += quality.reason(smeared(image, 0.06, angle), True) == "blurred"
    assert blurred >= 0.8 * tried
    assert sharp >= 38  # of 40


def test_a_little_blur_is_not_left_out(corridor):
    quality = used(corridor[:30])
    found = [quality.reason(smeared(image, 0.01, 0.0), True) for image in corridor[44:84:4]]
    assert found.count(None) == len(found)


def test_a_lens_that_is_always_soft_is_the_usual(corridor):
    quality = ImageQuality()
    soft = [cv2.GaussianBlur(image, (0, 0), 4) for image in corridor[:30]]
    assert [quality.reason(image, True) for image in soft].count(None) >= 29


@pytest.mark.parametrize(
    ("value", "reason"), [(0, "black"), (9, "black"), (255, "white"), (130, "of one color"), (60, "of one color")]
)
def test_no_signal(value, reason):
    flat = np.full((480, 640, 3), value, np.uint8)
    assert ImageQuality().reason(flat) == reason
    noise = np.random.default_rng(0).normal(0, 3, flat.shape)
    assert ImageQuality().reason(np.clip(flat + noise, 0, 255).astype(np.uint8)) == reason


def test_night_is_not_black(utm_names):
    for path in sorted(utm_names.glob("*.jpg")):
        assert ImageQuality().reason(read_image(path)) is None, path.name


def test_frozen_only_where_the_camera_moved(corridor):
    quality = ImageQuality()
    assert quality.reason(corridor[0], True) is None
    assert quality.reason(corridor[0], False) is None  # a robot that stands sees the same
    assert quality.reason(noisy(corridor[0], 1), False) is None
    assert quality.reason(noisy(corridor[0], 2), True) == "frozen"
    assert quality.reason(corridor[1], True) is None
    assert quality.reason(corridor[1], True) == "frozen"


def test_without_poses_only_the_very_same_picture_is_frozen(corridor):
    quality = ImageQuality()
    assert quality.reason(corridor[0]) is None
    assert quality.reason(noisy(corridor[0], 1)) is None
    assert quality.reason(noisy(corridor[0], 1)) == "frozen"


def test_small_and_narrow_pictures():
    random = np.random.default_rng(0)
    for shape in ((1, 1, 3), (2, 900, 3), (30, 2, 3), (20, 20, 3)):
        ImageQuality().reason(random.integers(0, 256, shape, np.uint8), True)
