"""Image decoding, color conversion, resizing and normalization. Inside the library an image is always RGB uint8 [H, W, 3]."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from vpr_aesvc.deep_images import to_8_bits
from vpr_aesvc.errors import VprError
from vpr_aesvc.image_header import check_size, coded_size, jpeg_markers
from vpr_aesvc.types import Frame, Image

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
MAY_BE_DEEP = {".png", ".tif", ".tiff", ".pgm", ".ppm"}  # more than 8 bits
MAX_BYTES = 10**9
_AS_STORED = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH  # without alpha; the EXIF orientation is applied

_SPAN = 0.3, 300.0  # from black to white, as encoders take it: 1 to 5 after normalization, or 255 bytes

_INTERPOLATION = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
    "area": cv2.INTER_AREA,
}


class Preprocess(BaseModel):
    """The preprocessing of an encoder. Two resize rules:

    - ``square``: stretches to ``height`` x ``width``; the aspect ratio is not kept;
    - ``crop``: resizes the short side to ``short_side`` pixels, then crops the center ``height`` x ``width``.

    Then ``(pixel * scale - mean) / std`` for each of R, G, B.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: int = Field(ge=1, le=4096)
    width: int = Field(ge=1, le=4096)
    resize: Literal["square", "crop"] = "square"
    short_side: int | None = Field(default=None, ge=1, le=4096)
    interpolation: Literal["nearest", "linear", "cubic", "lanczos", "area"] = "cubic"
    scale: float = 1 / 255
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @model_validator(mode="after")
    def _check_normalization(self) -> Preprocess:
        for mean, std in zip(self.mean, self.std, strict=True):
            black, white = (-mean / std, (255 * self.scale - mean) / std) if std > 0 else (np.nan, np.nan)
            if not (_SPAN[0] <= white - black <= _SPAN[1] and black <= 0.01 and white >= -0.01):
                raise ValueError(
                    f"scale {self.scale:.4g} with mean {mean:g} and std {std:g} makes numbers from {black:.4g} (black) to {white:.4g} (white), which no "
                    "encoder takes; mean and std of pixels from 0 to 255 (123.7, 58.4) need scale 1, those of 0 to 1 (0.485, 0.229) need 1/255"
                )
        return self

    def __str__(self) -> str:
        rule = "stretched" if self.resize == "square" else f"short side to {self.short_side}, center cut out"
        scaled = f"(p * {self.scale:.6g} - {list(self.mean)}) / {list(self.std)}"
        return f"{self.width} x {self.height} pixels, {rule}, {self.interpolation} (area where it shrinks twofold), {scaled}"

    def __call__(self, image: Image) -> NDArray[np.float32]:
        """RGB uint8 [H, W, 3] -> float32 [3, height, width]."""
        tables = _tables(self.scale, self.mean, self.std)
        tensor = np.empty((3, self.height, self.width), np.float32)
        for plane, table, channel in zip(cv2.split(self.resized(image)), tables, tensor, strict=True):
            cv2.LUT(plane, table, channel)
        return tensor

    def resized(self, image: Image) -> Image:
        """RGB uint8 [H, W, 3] -> RGB uint8 [height, width, 3]."""
        if self.resize == "square":
            return resize(image, self.height, self.width, self.interpolation)
        rows, columns = image.shape[:2]
        # At least as large as the crop, also after rounding and for narrow images.
        short = self.short_side or max(self.height, self.width)
        ratio = max(short / min(rows, columns), self.height / rows, self.width / columns)
        size = max(round(rows * ratio), self.height), max(round(columns * ratio), self.width)
        check_size(size[1], size[0], f"a picture of {columns} x {rows} pixels, its short side resized to {short}")
        big = resize(image, *size, self.interpolation)
        top, left = (big.shape[0] - self.height) // 2, (big.shape[1] - self.width) // 2
        return np.ascontiguousarray(big[top : top + self.height, left : left + self.width])


@lru_cache(maxsize=16)
def _tables(scale: float, mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[NDArray[np.float32], ...]:
    """Lookup tables of the 256 pixel values for R, G and B: much faster than the arithmetic for each pixel."""
    values = np.arange(256, dtype=np.float32)[:, None]
    gain = np.float32(scale) / np.asarray(std, np.float32)
    offset = np.asarray(mean, np.float32) / np.asarray(std, np.float32)
    return tuple(np.ascontiguousarray(channel) for channel in (values * gain - offset).T)


def resize(image: Image, height: int, width: int, interpolation: str = "cubic") -> Image:
    """Resizes to ``height`` x ``width``. If an axis shrinks by more than a factor of two, pixels are averaged: the other kernels
    would skip pixels and cause aliasing."""
    if image.shape[:2] == (height, width):
        return image
    shrink = max(image.shape[0] / height, image.shape[1] / width)
    kernel = cv2.INTER_AREA if shrink > 2 and interpolation != "nearest" else _INTERPOLATION[interpolation]
    return np.asarray(cv2.resize(image, (width, height), interpolation=kernel), np.uint8)


def as_rgb(image: Image, color: Literal["rgb", "bgr"] = "rgb") -> Image:
    """Converts gray [H, W] or [H, W, 1], color [H, W, 3] or color with alpha [H, W, 4] to RGB uint8 [H, W, 3].

    ``color`` is the channel order of the array; OpenCV functions return ``bgr``. RGB in one block of memory is returned itself. Raises VprError: not uint8, empty, or not
    1, 3 or 4 channels."""
    image = np.asarray(image)
    if image.dtype != np.uint8:
        raise VprError(f"an image array must be uint8 (0 to 255), found {image.dtype}; convert it first")
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.size == 0 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (3, 4)):
        raise VprError(f"an image must be [H, W], [H, W, 3] or [H, W, 4] and not empty, found shape {image.shape}")
    if image.ndim == 2:
        return np.repeat(image[:, :, None], 3, axis=2)
    if image.shape[2] == 4:
        image = image[:, :, :3]
    return np.ascontiguousarray(image[:, :, ::-1] if color == "bgr" else image)


def read_image(path: Path | str) -> Image:
    """Decodes a file to RGB uint8 [H, W, 3]; the EXIF orientation is applied, and more than 8 bits become 8
    (``deep_images``). Raises VprError: the file is missing, truncated, too large, or not an image that can be decoded."""
    return decode_image(_file_bytes(Path(path)), str(path))


def stored_pixels_of(path: Path) -> NDArray[Any]:
    """Like ``read_image``, in the number type that the file holds: gray [H, W] or BGR [H, W, 3]."""
    return _stored_pixels(_file_bytes(path), str(path))


def _file_bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise VprError(f"{path}: {size / 1e9:.1f} GB, more than the limit of 1 GB for an image; scale it down")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise VprError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


def image_of(frame: Frame) -> Image:
    """The image of a frame, RGB uint8 [H, W, 3], decoded or read if needed. Raises VprError: the image cannot be read, or
    the frame has none."""
    if frame.image is not None:
        return as_rgb(frame.image)
    if frame.decode is not None:
        return frame.decode()
    if frame.path is None:
        raise VprError(f"{frame.label}: the frame has neither an image nor a path")
    return read_image(frame.path)


def decode_image(data: bytes, name: str = "image") -> Image:
    """Like ``read_image``, from the bytes of the file; ``name`` is for error messages."""
    return as_rgb(decode_pixels(data, name), "bgr")


def decode_pixels(data: bytes, name: str) -> Image:
    """Like ``decode_image``, but gray stays uint8 [H, W], and color is BGR uint8 [H, W, 3]."""
    return to_8_bits(_stored_pixels(data, name))


def _stored_pixels(data: bytes, name: str) -> NDArray[Any]:
    if _is_truncated(data):
        raise VprError(f"{name}: the file is truncated")
    if size := coded_size(data):
        check_size(*size, name)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), _AS_STORED) if data else None
    except cv2.error:
        pixels = None  # OpenCV raises for some damaged headers, for others it returns None
    if pixels is None:
        raise VprError(f"{name}: {'the file is empty' if not data else 'not an image that can be decoded'}")
    return np.asarray(pixels)


def encode_jpeg(image: Image, quality: int = 85) -> bytes:
    """RGB uint8 [H, W, 3] -> JPEG bytes."""
    done, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise VprError("the image could not be encoded as JPEG")
    return bytes(data)


THUMBNAIL_PIXELS = 65_536
"""Of the pictures that a map stores, such as 295 x 221 or 341 x 192. With the 240 pixels along the longest side of older maps fewer matches can be
told from those elsewhere; in larger pictures SIFT hardly gains from a second core (OpenCV 5)."""


def thumbnail(image: Image, longest: int | None = None) -> Image:
    """The image scaled down so that its longest side has at most ``longest`` pixels; by default to at most 65,536 pixels in total."""
    rows, columns = image.shape[:2]
    ratio = (THUMBNAIL_PIXELS / (rows * columns)) ** 0.5 if longest is None else longest / max(rows, columns)
    if ratio >= 1:
        return image
    rounded = math.floor if longest is None else round
    return resize(image, max(1, rounded(rows * ratio)), max(1, rounded(columns * ratio)), "area")


def _is_truncated(data: bytes) -> bool:
    """Whether the end of a JPEG or PNG is missing. OpenCV would fill the missing part with gray and report success."""
    if data.startswith(b"\xff\xd8\xff"):
        for marker, at in jpeg_markers(data):
            if marker == 0:
                return False  # no marker here: the decoder decides
            if marker == 0xDA:  # start of scan: in the image data that follows, FF D9 can only be the end
                return data.find(b"\xff\xd9", at) < 0
        return True
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        at = 8
        while data[at + 4 : at + 8] not in (b"IEND", b""):
            at += 12 + int.from_bytes(data[at : at + 4], "big")  # OpenCV makes room for any length
        return at + 8 > len(data)
    return False
