"""Which files a bag consists of, and the commands that repair them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from vpr_aesvc.errors import VprError

_STORAGES = {".bag": "ros1", ".mcap": "mcap", ".db3": "sqlite3"}
_MAGIC = {"ros1": b"#ROSBAG V2.0\n", "mcap": b"\x89MCAP0\r\n", "sqlite3": b"SQLite format 3\0"}


@dataclass(frozen=True)
class BagFiles:
    """Attributes:
    path: the folder or file that the user named.
    storage: ``ros1``, ``mcap`` or ``sqlite3``.
    files: in the order in which they were recorded.
    """

    path: Path
    storage: str
    files: list[Path]

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
        return f"to repair it, run `{command}`"

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
    files = [file for file in path.iterdir() if _storage(file) is not None and file.is_file()]
    storages = sorted({_STORAGES[file.suffix.lower()] for file in files})
    if not storages:
        raise VprError(f"{path}: expected one bag, found no .bag, .mcap or .db3 file")
    if len(storages) > 1:
        raise VprError(f"{path}: expected one bag, found files of several kinds: {', '.join(storages)}; name one file")
    names = sorted({_part(file)[0] for file in files})
    if len(names) > 1:
        raise VprError(f"{path}: expected one bag, found {len(names)}: {', '.join(names)}; name one file")
    return BagFiles(path, storages[0], sorted(files, key=lambda file: (_part(file), file.name)))


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
    return _STORAGES.get(file.suffix.lower())


def _part(file: Path) -> tuple[str, int]:
    """The name that the parts of one bag share, and the number of the part: ``run`` and 10 for ``run_10.mcap``; -1 without a number."""
    stem, _, digits = file.stem.rpartition("_")
    return (stem, int(digits)) if digits.isdigit() else (file.stem, -1)
