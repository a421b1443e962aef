"""A COLMAP model, text or binary: ``images.txt`` and ``cameras.txt``, or ``images.bin`` and ``cameras.bin``.

COLMAP stores the world in the camera's optical frame, and counts pixels so that the first one's center is (0.5, 0.5).
https://colmap.github.io/format.html
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from vpr_aesvc.calibration import named_intrinsics
from vpr_aesvc.datasets.folder import natural
from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.errors import VprError
from vpr_aesvc.text import read_text
from vpr_aesvc.trajectory import with_body_axes
from vpr_aesvc.transforms import inverse
from vpr_aesvc.types import Frame, Intrinsics, Pose

_Image = tuple[str, int, Pose]  # name, camera, the world in its optical frame
_Camera = tuple[str, int, int, list[float]]  # model, width, height, parameters
_PARAMETERS = {  # in the order of COLMAP's numbers for them
    "SIMPLE_PINHOLE": 3,
    "PINHOLE": 4,
    "SIMPLE_RADIAL": 4,
    "RADIAL": 5,
    "OPENCV": 8,
    "OPENCV_FISHEYE": 8,
    "FULL_OPENCV": 12,
    "FOV": 5,
    "SIMPLE_RADIAL_FISHEYE": 4,
    "RADIAL_FISHEYE": 5,
    "THIN_PRISM_FISHEYE": 12,
}
_ONE_FOCAL_LENGTH = ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE")
_NOT_OPENCV = ("FOV", "THIN_PRISM_FISHEYE")


def is_colmap(folder: Path) -> bool:
    """Whether the folder holds a COLMAP model."""
    return any(
        all((folder / f"{name}{suffix}").is_file() for name in ("images", "cameras")) for suffix in (".txt", ".bin")
    )


def read_colmap(folder: Path) -> FrameSet:
    """The registered images with their poses, and the intrinsics if all are of one camera. Positions have the scale of the model.

    The images are looked for in the model's folder and the two above it, and in a folder ``images`` of each.

    Raises:
        VprError: a file is damaged, or the images are not there.
    """
    is_text = all((folder / f"{name}.txt").is_file() for name in ("images", "cameras"))
    file = folder / f"cameras.{'txt' if is_text else 'bin'}"
    try:
        cameras = dict(_cameras_of_text(file) if is_text else _cameras_of_binary(file.read_bytes()))
        file = file.with_stem("images")
        images = list(_images_of_text(file) if is_text else _images_of_binary(file.read_bytes()))
        images.sort(key=lambda image: natural(image[0]))
        intrinsics, size, note = _one_camera({camera: cameras[camera] for _, camera, _ in images})
    except (ValueError, IndexError, KeyError, struct.error) as error:
        raise VprError(f"{file}: is damaged or no file of a COLMAP model ({error})") from error
    if not images:
        raise VprError(f"{file}: the model has no registered image")
    parents = (folder, *folder.absolute().parents[:2])
    roots = [root for parent in parents for root in (parent, parent / "images") if (root / images[0][0]).is_file()]
    if not roots:
        raise VprError(
            f"{folder}: cannot find {images[0][0]} here or above; put the images, or a link to them, at {folder / 'images'}"
        )
    poses, axes = with_body_axes([inverse(pose) for _, _, pose in images], optical=True)
    frames = tuple(
        Frame(name, path=roots[0] / name, pose=pose) for (name, _, _), pose in zip(images, poses, strict=True)
    )
    notes = [f"poses {axes}, in the scale of the reconstruction: meters only if it was aligned", note]
    return FrameSet(folder, "COLMAP model", frames, intrinsics=intrinsics, image_size=size, notes=notes)


def _one_camera(cameras: dict[int, _Camera]) -> tuple[Intrinsics | None, tuple[int, int] | None, str]:
    """Intrinsics, (width, height) and a note, of the camera of all images."""
    if len(cameras) != 1:
        return None, None, f"intrinsics: left out, the images are of {len(cameras)} cameras"
    model, width, height, numbers = next(iter(cameras.values()))
    if model in _NOT_OPENCV or model not in _PARAMETERS:
        return None, None, f"intrinsics: left out, OpenCV has no camera model {model}"
    if len(numbers) != _PARAMETERS[model]:
        raise ValueError(f"{model} with {len(numbers)} parameters")
    numbers = numbers[:1] + numbers if model in _ONE_FOCAL_LENGTH else numbers
    lens = numbers[4:] + [0.0] * (8 - len(numbers))  # coefficients left out are zero
    kind = "equidistant" if "FISHEYE" in model else ""
    intrinsics = named_intrinsics((numbers[0], numbers[1], numbers[2] - 0.5, numbers[3] - 0.5), kind, lens)
    return intrinsics, (width, height), f"intrinsics: {intrinsics} ({model})"


def _cameras_of_text(file: Path) -> Iterator[tuple[int, _Camera]]:
    for line in _lines(file):
        number, model, width, height, *parameters = line.split()
        yield int(number), (model, int(width), int(height), list(map(float, parameters)))


def _images_of_text(file: Path) -> Iterator[_Image]:
    for line in _lines(file)[::2]:  # the other lines have the points, and may be empty
        _, qw, qx, qy, qz, x, y, z, camera, name = line.split(maxsplit=9)
        numbers = (x, y, z, qx, qy, qz, qw)
        yield name, int(camera), Pose(*map(float, numbers))


def _lines(file: Path) -> list[str]:
    lines = [line for line in read_text(file).splitlines() if not line.startswith("#")]
    return lines if file.stem == "images" else [line for line in lines if line.strip()]


def _cameras_of_binary(content: bytes) -> Iterator[tuple[int, _Camera]]:
    at = 8
    for _ in range(struct.unpack_from("<Q", content)[0]):
        number, model, width, height = struct.unpack_from("<iiQQ", content, at)
        name = list(_PARAMETERS)[model] if 0 <= model < len(_PARAMETERS) else f"number {model}"
        if name not in _PARAMETERS:
            raise ValueError(f"camera model {name} is not known; convert the model to text: colmap model_converter")
        count = _PARAMETERS[name]
        yield number, (name, width, height, list(struct.unpack_from(f"<{count}d", content, at + 24)))
        at += 24 + 8 * count


def _images_of_binary(content: bytes) -> Iterator[_Image]:
    at = 8
    for _ in range(struct.unpack_from("<Q", content)[0]):
        _, qw, qx, qy, qz, x, y, z, camera = struct.unpack_from("<i7di", content, at)
        end = content.index(b"\0", at + 64)
        yield content[at + 64 : end].decode(), camera, Pose(x, y, z, qx, qy, qz, qw)
        at = end + 9 + 24 * struct.unpack_from("<Q", content, end + 1)[0]
