"""Every encoding by its exact colors, and what is refused."""

import array

import cv2
import numpy as np
import pytest

from tests.recordings.bags.bags import BagWriter, encoded, image_message
from vpr_aesvc.errors import VprError
from vpr_aesvc.image_header import coded_size
from vpr_aesvc.images import encode_jpeg
from vpr_aesvc.recordings.image_messages import rgb_of

COLORS = np.array([[200, 30, 60], [20, 180, 90], [40, 70, 220], [240, 240, 240]], np.uint8)
PLAIN = ["bgr8", "rgb8", "bgra8", "rgba8", "8UC3", "8UC4", "bgr16", "rgb16", "bgra16", "rgba16"]
GRAY = ["mono8", "mono16", "8UC1"]
BAYER = [f"bayer_{order}{bits}" for order in ("rggb", "bggr", "gbrg", "grbg") for bits in (8, 16)]
YUV = ["yuv422", "uyvy", "yuyv", "yuv422_yuy2", "nv12", "nv21"]


class Message:
    """Like rclpy's: any attribute by name, ``data`` an array.array."""

    def __init__(self, **fields):
        self.__dict__.update(fields)


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    with BagWriter(tmp_path_factory.mktemp("bag") / "bag") as writer:
        yield writer


@pytest.fixture(scope="module")
def rgb():
    """Four stripes of flat color, 24 rows by 32 columns."""
    return np.repeat(np.repeat(COLORS[None], 24, 0), 8, 1)


def middle(image):
    """The color in the middle of each stripe, away from what interpolation mixes."""
    return image[12, 4::8].astype(int)


@pytest.mark.parametrize("encoding", PLAIN + GRAY + BAYER + YUV)
@pytest.mark.parametrize("padding", [0, 12])
def test_colors(bag, rgb, encoding, padding):
    got = rgb_of(image_message(bag, rgb, 1.0, encoding, padding=padding), "image")
    assert got.shape == rgb.shape and got.dtype == np.uint8
    expected = middle(rgb)
    if encoding in GRAY:
        expected = np.repeat(middle(encoded(rgb, "mono8"))[:, None], 3, 1)
    assert np.abs(middle(got) - expected).max() <= (3 if encoding in YUV else 0), middle(got)
    if encoding in PLAIN:
        assert np.array_equal(got, rgb)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: array.array("B", data)])
def test_what_data_may_be(rgb, kind):
    data = kind(rgb.tobytes())
    message = Message(width=32, height=24, step=96, encoding="rgb8", is_bigendian=0, data=data)
    got = rgb_of(message, "image")
    assert np.array_equal(got, rgb)
    assert np.shares_memory(got, np.frombuffer(data, np.uint8)), "no copy"
    jpeg = kind(encode_jpeg(rgb, 95))
    assert np.abs(middle(rgb_of(Message(format="jpeg", data=jpeg), "image")) - middle(rgb)).max() < 12


def test_big_endian(rgb):
    deep = encoded(rgb, "mono16").astype(">u2")
    message = Message(width=32, height=24, step=64, encoding="mono16", is_bigendian=1, data=deep.tobytes())
    assert np.array_equal(rgb_of(message, "image")[:, :, 0], encoded(rgb, "mono8"))


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_cameras_that_use_fewer_bits(rgb, bits):
    gray = encoded(rgb, "mono8")
    deep = gray.astype("<u2") << (bits - 8)
    message = Message(width=32, height=24, step=64, encoding="mono16", is_bigendian=0, data=deep.tobytes())
    assert np.array_equal(rgb_of(message, "image")[:, :, 0], gray)
    done, png = cv2.imencode(".png", deep)
    assert done
    assert np.array_equal(rgb_of(Message(format="mono16; png compressed", data=png.tobytes()), "image")[:, :, 0], gray)


def test_png(rgb):
    _, png = cv2.imencode(".png", rgb[:, :, ::-1])
    assert np.array_equal(rgb_of(Message(format="bgr8; png compressed", data=png.tobytes()), "image"), rgb)
    _, deep = cv2.imencode(".png", rgb[:, :, ::-1].astype(np.uint16) * 257)
    assert np.array_equal(rgb_of(Message(format="bgr16; png compressed", data=deep.tobytes()), "image"), rgb)


def test_size_that_a_coded_picture_says(rgb):
    assert coded_size(encode_jpeg(rgb)) == (32, 24)
    assert coded_size(cv2.imencode(".png", rgb)[1]) == (32, 24)
    assert coded_size(b"\xff\xd8\xff\xe0\x00\x10") is None
    assert coded_size(b"") is None


def raw(**changes):
    fields = {"width": 4, "height": 2, "step": 12, "encoding": "bgr8", "is_bigendian": 0, "data": bytes(24)}
    return Message(**{**fields, **changes})


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (raw(width=0), "0 x 2 pixels"),
        (raw(height=0, data=b""), "4 x 0 pixels"),
        (raw(step=8), "step is 8 bytes, but a row of 4 pixels in bgr8 has 12"),
        (raw(step=0), "step is 0 bytes"),
        (raw(data=bytes(23)), "23 bytes of pixels, expected 24"),
        (raw(data=b""), "0 bytes of pixels"),
        (raw(step=2**31), "bytes of pixels"),
        (raw(encoding="yuv4200"), "'yuv4200' is not supported"),
        (raw(encoding=""), "'' is not supported"),
        (raw(encoding="32FC1"), "depth image"),
        (raw(encoding="16UC1"), "depth image"),
        (raw(width=2**31, height=2**31), "more than the limit of 64 million"),
        (raw(encoding="nv12", height=3, step=4), "needs even numbers"),
        (raw(encoding="yuyv", width=3), "needs even numbers"),
        (Message(format="jpeg", data=b""), "empty"),
        (Message(format="jpeg", data=b"no picture"), "not an image"),
        (Message(format="jpeg", data=encode_jpeg(np.zeros((80, 80, 3), np.uint8))[:-30]), "truncated"),
        (
            Message(format="jpeg", data=b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03" + bytes(50)),
            "more than the limit of 64 million",
        ),
    ],
)
def test_refused(message, words):
    with pytest.raises(VprError, match=f"^/camera 7: .*{words}"):
        rgb_of(message, "/camera 7")


def test_last_row_without_its_padding(rgb):
    data = np.pad(rgb.reshape(24, 96), ((0, 0), (0, 4))).tobytes()[:-4]
    message = Message(width=32, height=24, step=100, encoding="rgb8", is_bigendian=0, data=data)
    assert np.array_equal(rgb_of(message, "image"), rgb)
