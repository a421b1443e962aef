"""Image pairs and global descriptors in the files of hloc, for structure from motion with it or with COLMAP.

``pairs.txt`` has two image names a line, ``features.h5`` a group for each image with the dataset ``global_descriptor``, as hloc's
``pairs_from_retrieval`` writes and reads them. A name is the image's path in the folder of all images, with ``/``.
https://github.com/cvg/Hierarchical-Localization (Sarlin et al., CVPR 2019)
"""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError, require_installed
from vpr_aesvc.files import write_file
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.where import Where
from vpr_aesvc.types import Descriptor, Frame, Place


@dataclass
class Pairs:
    """Different pairs of image names, the queries first, and the descriptors by name."""

    names: list[tuple[str, str]] = field(default_factory=list)
    descriptors: dict[str, NDArray[np.floating]] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Raises VprError if the disk refuses."""
        write_file(path, "".join(f"{one} {two}\n" for one, two in self.names).encode(), "pairs")

    def write_features(self, path: Path) -> None:
        """The descriptors, float16 as hloc stores them. Raises VprError without h5py, or if the disk refuses."""
        require_installed(f"{path}: writing HDF5", "h5py")
        import h5py

        content = io.BytesIO()
        with h5py.File(content, "w") as file:
            for name, descriptor in self.descriptors.items():
                file[f"{name}/global_descriptor"] = descriptor.astype(np.float16)
        write_file(path, content.getvalue(), "features")


def find_pairs(
    place_map: PlaceMap,
    queries: Iterable[tuple[Frame, Descriptor]],
    top: int = 20,
    window: int = 0,
    images: Path | None = None,
    conditions: Mapping[str, float | None] | None = None,
) -> Pairs:
    """Pairs each image with its most similar places. An image is not paired with itself, and a pair is listed once.

    Args:
        queries: frames with descriptors float32 [d_max], of the map's model.
        top: so many of the most similar places. window: so many images that follow in the input, too, as COLMAP's sequential matcher does.
        images: the folder of all images, from which names count; None takes names from the map's and the input's own folders.
        conditions: ``within``, ``beyond`` (meters) and ``recent_seconds`` of ``Where``, for each image.

    Raises:
        VprError: a condition needs the pose or the stamp of a frame that has none, a name has a space, or an image is outside of ``images``.
    """
    places, asked = place_map.places(), {name: one for name, one in (conditions or {}).items() if one is not None}
    names = {place.id: _name(place, images) for place in places.values()}
    found, seen, frames = Pairs(), set[frozenset[str]](), list[str]()
    ids, rows = place_map.descriptors()
    found.descriptors |= {names[place]: row for place, row in zip(ids.tolist(), rows, strict=True)}

    def add(pairs: Iterable[tuple[str, str]]) -> None:
        for pair in pairs:
            if pair[0] != pair[1] and frozenset(pair) not in seen:
                seen.add(frozenset(pair))
                found.names.append(pair)

    for frame, descriptor in queries:
        name = _name(frame, images)
        matches = place_map.search(descriptor, top + 1, where=_where(frame, asked))
        others = [names[match.place.id] for match in matches if names[match.place.id] != name]
        add((name, other) for other in others[:top])
        found.descriptors[name] = descriptor
        frames.append(name)
    for at, name in enumerate(frames):
        add((name, other) for other in frames[at + 1 : at + 1 + window])
    return found


def _where(frame: Frame, asked: Mapping[str, float]) -> Where | None:
    if frame.pose is None and not asked.keys().isdisjoint(("within", "beyond")):
        raise VprError(f"{frame.label}: has no pose, which --within and --beyond need; leave them out")
    if frame.stamp is None and "recent_seconds" in asked:
        raise VprError(f"{frame.label}: has no stamp, which --seconds needs; leave it out")
    return Where(frame.stamp, frame.pose, **asked) if asked else None  # type: ignore[arg-type]


def _name(image: Frame | Place, folder: Path | None) -> str:
    name = image.label
    if folder is not None:
        path, root = Path(image.path or "").resolve(), folder.resolve()  # maps store resolved paths
        if image.path is None or not path.is_relative_to(root):
            raise VprError(f"{image.path or image.label}: is not in the folder of images {folder}")
        name = path.relative_to(root).as_posix()
    if len(name.split()) != 1:
        raise VprError(f"{name!r}: hloc and COLMAP separate the names of a pair by a space; rename the image")
    return name
