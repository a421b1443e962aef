"""Pictures of more than 8 bits: what becomes of them, alike from files and from messages."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from vpr_aesvc.deep_images import to_8_bits
from vpr_aesvc.images import decode_image, read_image
from vpr_aesvc.recordings.image_messages import rgb_of


@pytest.fixture(scope="module")
def scene():
    """float64 [120, 160] from 0 to 1, smooth."""
    small = np.random.default_rng(3).uniform(0, 1, (6, 8))
    large = cv2.resize(small, (160, 120), interpolation=cv2.INTER_CUBIC)
    return (large - large.min()) / np.ptp(large)


def spread(picture):
    """Gray levels in use."""
    return len(np.unique(picture))


@pytest.mark.parametrize(("low", "high"), [(7300, 7900), (29000, 31000), (100, 400), (21_000, 50_000)])
def test_a_narrow_range_is_stretched(scene, low, high):
    picture = to_8_bits((low + scene * (high - low)).astype(np.uint16))
    assert spread(picture) > 200 and picture.min() == 0 and picture.max() == 255
    assert np.corrcoef(picture.ravel(), scene.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_a_camera_that_uses_its_bits_looks_as_it_is(scene, bits):
    deep = (scene * (2**bits - 1)).astype(np.uint16)
    assert np.array_equal(to_8_bits(deep), (deep >> (bits - 8)).astype(np.uint8))


@pytest.mark.parametrize("odd", [0, 65535])
@pytest.mark.parametrize(("low", "high"), [(7300, 7900), (0, 4095)])
def test_hot_and_dead_pixels_change_nothing(scene, low, high, odd):
    deep = (low + scene * (high - low)).astype(np.uint16)
    expected = to_8_bits(deep).astype(int)
    deep[5, 7] = deep[80, 31] = odd
    changed = np.abs(to_8_bits(deep) - expected) > 1
    assert changed.sum() <= 2


def test_the_border_of_a_rectified_picture_does_not_count(scene):
    deep = (7300 + scene * 600).astype(np.uint16)
    deep[:, :20] = 0
    assert spread(to_8_bits(deep)[:, 20:]) > 200


def test_a_closed_shutter_stays_flat():
    noise = np.random.default_rng(0).normal(7500, 1.5, (120, 160)).astype(np.uint16)
    assert to_8_bits(noise).std() < 20
    assert spread(to_8_bits(np.full((8, 8), 7500, np.uint16))) == 1
    assert not to_8_bits(np.zeros((8, 8), np.uint16)).any()


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16, np.int32])
def test_temperatures(scene, tmp_path, kind):
    degrees = (-20 + scene * 60).astype(kind) if np.dtype(kind).kind == "f" else (-2000 + scene * 6000).astype(kind)
    assert cv2.imwrite(str(tmp_path / "t.tif"), degrees)
    picture = read_image(tmp_path / "t.tif")
    assert picture.shape == (120, 160, 3) and spread(picture) > 200
    assert np.corrcoef(picture[:, :, 0].ravel(), scene.ravel())[0, 1] > 0.99


def test_nan_is_black_and_does_not_count(scene, tmp_path):
    degrees = (20 + scene * 10).astype(np.float32)
    degrees[:10] = np.nan
    cv2.imwrite(str(tmp_path / "t.tif"), degrees)
    picture = read_image(tmp_path / "t.tif")
    assert not picture[:10].any() and spread(picture) > 200


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
@pytest.mark.parametrize(("low", "high"), [(7300, 7900), (0, 4095), (0, 65535)])
def test_a_topic_and_a_file_give_the_same_pixels(scene, suffix, low, high):
    deep = (low + scene * (high - low)).astype("<u2")
    _, coded = cv2.imencode(suffix, deep)
    from_file = decode_image(coded.tobytes())
    raw = SimpleNamespace(width=160, height=120, step=320, encoding="mono16", is_bigendian=0, data=deep.tobytes())
    assert np.array_equal(from_file, rgb_of(raw, "raw"))
    compressed = SimpleNamespace(format="mono16; png compressed", data=coded.tobytes())
    assert np.array_equal(from_file, rgb_of(compressed, "compressed"))


def test_colors_share_one_range_and_alpha_does_not_count(scene):
    colors = np.dstack([scene * 300, scene[::-1] * 500, scene * 600]).astype("<u2") + 7300
    _, png = cv2.imencode(".png", colors[:, :, ::-1])
    alpha = np.dstack([colors, np.full(scene.shape, 65535, "<u2")])
    raw = SimpleNamespace(width=160, height=120, step=1280, encoding="rgba16", is_bigendian=0, data=alpha.tobytes())
    picture = rgb_of(raw, "raw")
    assert np.array_equal(picture, decode_image(png.tobytes()))
    assert picture[:, :, 0].max() < 140 < picture[:, :, 2].max()


@pytest.mark.parametrize("order", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_compressed_mosaic_is_like_the_raw_one(order, bits):
    mosaic = np.random.default_rng(1).integers(0, 256, (24, 32)).astype("<u2" if bits == 16 else np.uint8)
    mosaic = mosaic * 257 if bits == 16 else mosaic
    encoding, step = f"bayer_{order}{bits}", 32 * bits // 8
    data = mosaic.tobytes()
    raw = SimpleNamespace(width=32, height=24, step=step, encoding=encoding, is_bigendian=0, data=data)
    _, png = cv2.imencode(".png", mosaic)
    for words in (f"{encoding}; png compressed ", f"{encoding}; png compressed {encoding}"):
        compressed = SimpleNamespace(format=words, data=png.tobytes())
        assert np.array_equal(rgb_of(compressed, "c"), rgb_of(raw, "r"))
    for words in (f"{encoding}; jpeg compressed mono8", "mono8; png compressed", "png"):  # gray pictures
        assert not np.ptp(rgb_of(SimpleNamespace(format=words, data=png.tobytes()), "c"), axis=2).any()
    _, colors = cv2.imencode(".png", np.dstack([mosaic, mosaic // 2, mosaic]))  # demosaiced before
    picture = rgb_of(SimpleNamespace(format=f"{encoding}; png compressed bgr8", data=colors.tobytes()), "c")
    assert np.array_equal(picture[:, :, 0], picture[:, :, 2])
