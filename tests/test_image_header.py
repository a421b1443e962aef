"""The size is read from the header, whatever the format: nothing is decoded."""

import io

import cv2
import numpy as np
import pytest

from tests.datasets.images import photo
from vpr_aesvc.errors import VprError
from vpr_aesvc.image_header import coded_size
from vpr_aesvc.images import decode_image, read_image

PICTURE = photo(1, (40, 60, 3))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".bmp", ".ppm", ".pgm"])
@pytest.mark.parametrize("picture", [PICTURE, PICTURE[:, :, 0]], ids=["color", "gray"])
def test_sizes(suffix, picture):
    _, coded = cv2.imencode(
        suffix, picture if suffix not in (".ppm", ".pgm") else PICTURE if suffix == ".ppm" else PICTURE[:, :, 0]
    )
    assert coded_size(coded) == coded_size(coded.tobytes()) == (60, 40)
    for end in range(0, min(len(coded), 300)):
        assert coded_size(coded[:end]) in (None, (60, 40))


@pytest.mark.parametrize(
    ("format", "options"),
    [("WEBP", {"lossless": True}), ("WEBP", {"exif": b"Exif\0\0II*\0"}), ("TIFF", {"compression": "tiff_lzw"})],
)
def test_sizes_as_other_programs_write_them(format, options):
    pillow = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    pillow.fromarray(PICTURE).save(file, format, **options)
    assert coded_size(file.getvalue()) == (60, 40)


def huge(suffix):
    """A header that promises 30,000 x 30,000 pixels."""
    _, coded = cv2.imencode(suffix, np.zeros((4, 7), np.uint8))
    data, side = bytearray(coded.tobytes()), 30_000
    if suffix == ".png":
        data[16:24] = side.to_bytes(4, "big") * 2
    elif suffix == ".bmp":
        data[18:26] = side.to_bytes(4, "little") * 2
    elif suffix == ".jpg":
        at = data.index(b"\xff\xc0")
        data[at + 5 : at + 9] = side.to_bytes(2, "big") * 2
    elif suffix == ".pgm":
        return b"P5\n# a scan\n30000 30000\n255\n" + bytes(100)
    else:
        for tag, value in ((256, 7), (257, 4)):
            at = next(
                at
                for at in range(8, len(data) - 12)
                if data[at : at + 2] == tag.to_bytes(2, "little") and data[at + 8] == value
            )
            data[at + 8 : at + 10] = side.to_bytes(2, "little")
    return bytes(data)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg", ".pgm", ".tif"])
def test_a_huge_picture_is_refused_before_it_is_decoded(suffix, tmp_path, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    (tmp_path / f"scan{suffix}").write_bytes(huge(suffix))
    with pytest.raises(VprError, match=rf"scan\{suffix}: 30000 x 30000 pixels, more than the limit of 64 million"):
        read_image(tmp_path / f"scan{suffix}")


def test_a_file_of_gigabytes_is_not_even_read(tmp_path):
    with (tmp_path / "scan.tif").open("wb") as file:
        file.truncate(5 * 10**9)  # takes no space on disk
    with pytest.raises(VprError, match=r"5\.0 GB, more than the limit of 1 GB"):
        read_image(tmp_path / "scan.tif")


def test_a_damaged_length_of_a_chunk_reserves_no_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    _, coded = cv2.imencode(".png", PICTURE)
    data = bytearray(coded.tobytes())
    data[33:37] = b"\xe9\x00\x17\x99"  # the length of the first IDAT: 3.9 GB
    with pytest.raises(VprError, match="truncated"):
        decode_image(bytes(data))
