"""HEIC and AVIF, the formats of phones: read by Pillow and pillow-heif where they are installed."""

from importlib.util import find_spec
from io import BytesIO

import numpy as np

from vpr_aesvc.errors import VprError
from vpr_aesvc.image_header import check_size
from vpr_aesvc.types import Image

PHONE_SUFFIXES = {".heic": "heic", ".heif": "heic", ".hif": "heic", ".avif": "avif"}
_BRANDS = {b"avif": "avif", b"avis": "avif", **dict.fromkeys((b"heic", b"heix", b"hevc", b"mif1", b"msf1"), "heic")}


def phone_format(data: bytes) -> str | None:
    """``heic`` or ``avif`` by the first bytes of a file, whatever its name is; None for another format."""
    return _BRANDS.get(data[8:12]) if data[4:8] == b"ftyp" else None


def what_to_install(kind: str) -> str | None:
    """The package that ``heic`` or ``avif`` needs; None if it is installed."""
    if kind == "heic":
        return None if find_spec("pillow_heif") else "pillow-heif"
    if find_spec("PIL"):
        from PIL import features

        return None if features.check("avif") else "'pillow>=11.3'"
    return "'pillow>=11.3'"


def decode_phone_image(data: bytes, kind: str, name: str) -> Image:
    """RGB uint8 [H, W, 3], turned upright as for JPEG.

    Raises:
        VprError: the package is missing, or the picture is too large or damaged.
    """
    if missing := what_to_install(kind):
        raise VprError(f"{name}: a picture in {kind.upper()} needs another package: pip install {missing}")
    from PIL import Image as Pillow
    from PIL import ImageOps

    if kind == "heic":
        from pillow_heif import register_heif_opener

        register_heif_opener(thumbnails=False)
    try:
        with Pillow.open(BytesIO(data)) as picture:
            check_size(*picture.size, name)
            return np.array(ImageOps.exif_transpose(picture).convert("RGB"), np.uint8)
    except VprError:
        raise
    except Exception as error:  # Pillow and its plugins raise many kinds for a damaged file
        raise VprError(f"{name}: the {kind.upper()} picture cannot be decoded ({error})") from error
