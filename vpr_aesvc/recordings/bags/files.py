"""Which files a bag consists of, and the commands that repair them."""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from vpr_aesvc.errors import VprError
from vpr_aesvc.images import IMAGE_SUFFIXES

_STORAGES = {".bag": "ros1", ".mcap": "mcap", ".db3": "sqlite3"}
_ACTIVE = ".active"  # the end of the name while ROS 1 records, and after a crash
_MAGIC = {"ros1": b"#ROSBAG V2.0\n", "mcap": b"\x89MCAP0\r\n", "sqlite3": b"SQLite format 3\0"}


@dataclass(frozen=True)
class BagFiles:
    """Attributes:
    path: the folder or file that the user named.
    storage: ``ros1``, ``mcap`` or ``sqlite3``.
    files: in the order in which they were recorded.
    notes: on their choice, one sentence each.
    """

    path: Path
    storage: str
    files: list[Path]
    notes: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        return "ROS 1 bag" if self.storage == "ros1" else f"ROS 2 bag ({self.storage})"

    @property
    def is_compressed(self) -> bool:
        """Whether the files are compressed as a whole (rosbag2's compression mode ``file``)."""
        return any(file.suffix in (".zstd", ".lz4") for file in self.files)

    def repair_hint(self, file: Path) -> str:
        """What the user can do about a damaged file of the bag."""
        if self.is_compressed:
            return "copy the bag again"
        name = shlex.quote(str(file))
        command = {
            "ros1": f"rosbag reindex {name}",
            "mcap": f"mcap recover {name} -o recovered.mcap",
            "sqlite3": f'sqlite3 {name} ".recover" | sqlite3 recovered.db3',
        }[self.storage]
        rename = f", then rename it to {file.stem}" if file.suffix == _ACTIVE else ""
        return f"to repair it, run `{command}`{rename}"

    def check(self) -> None:
        """
        Raises:
            VprError: a file is missing, cannot be read, or does not begin as a file of this storage does.
        """
        for file in self.files:
            try:
                with file.open("rb") as stream:
                    start = stream.read(16)
            except FileNotFoundError as error:
                raise VprError(
                    f"{self.path}: metadata.yaml names {file.name}, but the file is missing; if it was renamed or removed, write a new "
                    f"metadata.yaml with `ros2 bag reindex {shlex.quote(str(self.path))} -s {self.storage}`"
                ) from error
            except OSError as error:
                raise VprError(f"{file}: the file cannot be read ({error.strerror or error})") from error
            magic = _MAGIC[self.storage]
            if not self.is_compressed and not start.startswith(magic):
                found = f"found {start[: len(magic)]!r}" if start else "the file is empty"
                raise VprError(f"{file}: not a {self.kind}; expected it to begin with {magic!r}, {found}")


def find_files(path: Path) -> BagFiles:
    """The files of a bag, given as a folder or as a file.

    Raises:
        VprError: no bag file, or files of several bags.
    """
    if path.is_file():
        storage = _storage(path)
        if storage is None:
            raise VprError(f"{path}: expected a bag: .bag, .mcap or .db3")
        return BagFiles(path, storage, [path])
    listed = _listed_in_metadata(path)
    if listed is not None:
        return listed
    files = _bag_files(path)
    storages = sorted({str(_storage(file)) for file in files})
    if not storages:
        raise VprError(f"{path}: expected one bag, found no .bag, .mcap or .db3 file")
    if len(storages) > 1:
        raise VprError(f"{path}: expected one bag, found files of several kinds: {', '.join(storages)}; name one file")
    files.sort(key=lambda file: (_part(file), file.name))
    names = sorted({_part(file)[0] for file in files})
    if len({_part(file) for file in files}) < len(files):
        names = [file.name for file in files]
    if len(names) > 1:
        raise VprError(f"{path}: expected one bag, found {len(names)}: {', '.join(names)}; name one file")
    parts = ", ".join(file.name for file in files)
    notes = [f"files: {parts}, taken as the parts of one recording"] if len(files) > 1 else []
    return BagFiles(path, storages[0], files, notes)


def is_bag(path: Path) -> bool:
    """Whether a file is a bag by its name; whether a folder is one: by the ``metadata.yaml`` of rosbag2, or because it holds bag files and neither a
    list of images nor more images than bag files: a stray bag among images is not meant.

    Raises:
        OSError: the folder cannot be read.
    """
    if path.is_file():
        return _storage(path) is not None
    metadata = path / "metadata.yaml"
    if metadata.is_file() and b"rosbag2_bagfile_information" in metadata.read_bytes()[:4096]:
        return True
    if any((path / name).is_file() for name in ("frames.csv", "rgb.txt")):
        return False
    images = sum(file.suffix.lower() in IMAGE_SUFFIXES for file in path.iterdir())
    return 0 < len(_bag_files(path)) >= images


def stray_bags(folder: Path) -> list[str]:
    """A note on the bags beside images that are read instead."""
    names = sorted(file.name for file in _bag_files(folder))
    return [f"not read, beside the images: {', '.join(names)}; to read a bag, name its file"] if names else []


def _bag_files(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if _storage(file) is not None and file.is_file()]


def _listed_in_metadata(path: Path) -> BagFiles | None:
    """The files that ``metadata.yaml`` lists; None if it is missing or cannot be read."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        metadata = YAML(typ="safe").load((path / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
        files = [path / Path(name).name for name in metadata["relative_file_paths"]]
        storage = str(metadata["storage_identifier"])
    except (OSError, UnicodeDecodeError, YAMLError, KeyError, TypeError):
        return None
    if storage not in ("mcap", "sqlite3"):
        raise VprError(f"{path}: metadata.yaml: storage {storage} is not supported; expected mcap or sqlite3")
    return BagFiles(path, storage, files) if files else None


def _storage(file: Path) -> str | None:
    return _STORAGES.get(Path(file.name.lower().removesuffix(_ACTIVE)).suffix)


def _part(file: Path) -> tuple[str, int]:
    """The name that the parts of one bag share, and the number of the part: ``run`` and 10 for ``run_10.mcap``; -1 without a number. ROS 1 puts the
    time at which each part begins before its number: ``run_2024-05-01-10-00-00_0.bag``."""
    stem, _, digits = Path(file.name.removesuffix(_ACTIVE)).stem.rpartition("_")
    if not digits.isdecimal():
        return Path(file.name.removesuffix(_ACTIVE)).stem, -1
    return re.sub(r"_?\d{4}(-\d\d){5}$", "", stem), int(digits)
