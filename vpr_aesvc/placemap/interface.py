"""What recognition, the commands and the node need of a map, whether it is a file (``PlaceMap``) or a fleet's (``FleetMap``)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.depth import with_depth
from vpr_aesvc.errors import VprError, expect
from vpr_aesvc.images import decode_image, encode_jpeg, thumbnail
from vpr_aesvc.placemap import place_table
from vpr_aesvc.placemap.description import Description
from vpr_aesvc.types import Frame, Intrinsics, Place, Pose

if TYPE_CHECKING:
    from typing import Self

    from vpr_aesvc.placemap.cameras import Camera, CamerasByName
    from vpr_aesvc.placemap.place_arrays import PlaceArrays
    from vpr_aesvc.placemap.traverses import Traverse
    from vpr_aesvc.placemap.where import Where

DEFAULT_TRAVERSE = "traverse-1"


class OpenMap(Description, ABC):
    """An open map, a context manager that closes it. ``PlaceMap`` describes the methods; all raise VprError if the file or
    the server refuses. ``id`` differs between maps; ``size_bytes`` is on disk."""

    id: str

    @property
    @abstractmethod
    def meta(self) -> dict[str, str]: ...
    @property
    @abstractmethod
    def size_bytes(self) -> int: ...
    @abstractmethod
    def __len__(self) -> int: ...
    @abstractmethod
    def places(self, ids: Iterable[int] | None = None) -> dict[int, Place]: ...
    @abstractmethod
    def descriptors(self) -> tuple[NDArray[np.int64], NDArray[np.float16]]: ...
    @abstractmethod
    def thumbnail_jpeg(self, place: int) -> bytes | None: ...
    @abstractmethod
    def patches(self, place: int) -> bytes | None: ...
    @abstractmethod
    def patch_sizes(self) -> tuple[int, int]: ...
    @abstractmethod
    def traverses(self) -> dict[str, Traverse]: ...
    @abstractmethod
    def require_new_traverses(self, names: Iterable[str]) -> None: ...
    @abstractmethod
    def start_traverse(
        self, name: str, started: float | None = None, robot: str | None = None, notes: str | None = None
    ) -> None: ...
    @abstractmethod
    def cameras(self) -> CamerasByName: ...
    @abstractmethod
    def set_cameras(self, cameras: CamerasByName, replace: bool = False) -> None: ...
    @abstractmethod
    def learned_parameters(self, name: str) -> Any: ...
    @abstractmethod
    def store_learned_parameters(self, name: str, value: Any) -> None: ...
    @abstractmethod
    def add_stored(
        self,
        frames: Sequence[Frame],
        descriptors: NDArray[np.float16],
        jpegs: Iterable[bytes | None],
        traverse: str = DEFAULT_TRAVERSE,
        new: Iterable[str] = (),
        patches: Iterable[bytes | None] | None = None,
    ) -> list[int]: ...
    @abstractmethod
    def remove(self, ids: Iterable[int]) -> int: ...
    @abstractmethod
    def set_poses(self, poses: Mapping[int, Pose]) -> None: ...
    @abstractmethod
    def search(
        self,
        descriptors: NDArray[np.float32],
        k: int = 5,
        size: int | None = None,
        where: Where | None = None,
        exact: bool | None = None,
        shortlist: int | None = None,
    ) -> list[Any]: ...
    @abstractmethod
    def arrays(self) -> AbstractContextManager[PlaceArrays]: ...
    @abstractmethod
    def close(self) -> None: ...

    def add(
        self,
        frames: Iterable[Frame],
        descriptors: NDArray[np.float32],
        images: Iterable[NDArray[np.uint8] | None] | None = None,
        traverse: str = DEFAULT_TRAVERSE,
        patches: Iterable[bytes | None] | None = None,
    ) -> list[int]:
        """Adds places in one transaction: either all are on disk when this returns, or none.

        Args:
            frames: n frames; ``sequence`` of a frame, if set, names its traverse.
            descriptors: float32 [n, d_max], unit norm.
            images: n RGB images for the thumbnails, or None.
            traverse: the traverse of frames without ``sequence``.
            patches: n results of ``PatchProjection.encode``, or None.

        Returns:
            the ids of the new places.

        Raises:
            VprError: shapes do not agree, a number is not finite, or the disk or the server refuses.
        """
        frames, descriptors = list(frames), np.asarray(descriptors)
        for frame in frames:
            expect(frame, Frame, "frames (vpr_aesvc.Frame)")
        place_table.check_descriptors(descriptors, len(frames), self.dim)
        pictures = [None] * len(frames) if images is None else list(images)
        if len(pictures) != len(frames):
            raise VprError(f"expected {len(frames)} images (or None), found {len(pictures)}; nothing was added")
        jpegs = [
            picture if picture is None else _stored(picture, one) for picture, one in zip(pictures, frames, strict=True)
        ]
        return self.add_stored(frames, descriptors.astype(place_table.DESCRIPTOR), jpegs, traverse, patches=patches)

    def thumbnail(self, place: int) -> NDArray[np.uint8] | None:
        """The place's thumbnail, RGB uint8 [h, w, 3] with at most 65,536 pixels, or None if none was stored."""
        jpeg = self.thumbnail_jpeg(place)
        return None if jpeg is None else decode_image(jpeg, f"{self.path}, thumbnail of place {place}")

    def camera_of(self, place: Place) -> Camera | None:
        """Intrinsics of the camera that saw a place, and (width, height) of the images they are of; None if unknown."""
        cameras = self.cameras()
        named = cameras.get((place.traverse, place.extra.get("camera", "")))
        return cameras.get((place.traverse, "")) if named is None else named

    def set_camera(
        self, traverse: str, intrinsics: Intrinsics, size: tuple[int, int], camera: str = "", replace: bool = False
    ) -> None:
        """Stores the camera of a traverse.

        Args:
            size: (width, height) of the images that the intrinsics are of.
            camera: its name, as in ``extra["camera"]`` of the places; empty if there is only one.

        Raises:
            VprError: no such traverse, or it has another camera and ``replace`` is not set. Nothing was changed.
        """
        self.set_cameras({(traverse, camera): (intrinsics, size)}, replace)

    def check_queries(self, descriptors: NDArray[np.float32], k: int) -> NDArray[np.float32]:
        """The queries of a search, float32 [q, d_max]. Raises VprError for descriptors of another length, numbers that are not finite or a ``k``
        below 1."""
        try:
            queries = np.atleast_2d(np.asarray(descriptors, np.float32))
        except (TypeError, ValueError) as error:
            raise VprError(f"expected descriptors float32 [d_max] or [q, d_max], found {type(descriptors)}") from error
        if queries.ndim != 2 or queries.shape[1] != self.dim:
            found = f"the query has {queries.shape[-1]}; describe the image with the map's model"
            raise VprError(f"{self.path}: expected descriptors of {self.dim} numbers, {found}")
        if not np.isfinite(queries).all():
            raise VprError("the descriptor of the query has numbers that are not finite")
        expect(k, (int, np.integer), "an integer k")
        if k < 1:
            raise VprError(f"k must be at least 1, found {k}")
        return queries

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _stored(picture: NDArray[np.uint8], frame: Frame) -> bytes:
    """The thumbnail, with the depth that the frame has."""
    jpeg, depth = encode_jpeg(thumbnail(picture)), None if frame.depth is None else frame.depth()
    return jpeg if depth is None else with_depth(jpeg, depth)
