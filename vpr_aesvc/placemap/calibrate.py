"""Gives a map that was built without intrinsics those of a calibration file."""

from pathlib import Path

from vpr_aesvc.calibration import read_calibration
from vpr_aesvc.errors import VprError
from vpr_aesvc.images import read_image
from vpr_aesvc.placemap.cameras import Camera, CamerasByName
from vpr_aesvc.placemap.placemap import PlaceMap
from vpr_aesvc.types import Place


def set_calibration(
    place_map: PlaceMap, file: Path, traverse: str | None, camera: str | None, replace: bool
) -> CamerasByName:
    """Stores the calibration for one traverse, or for all of them, and returns what was stored. ``camera``: the name of the
    camera, if the places are of several. ``replace``: replaces another calibration. Raises VprError: no such traverse or
    camera, no calibration, one of images with another aspect ratio or of unknown size, or a traverse has another one.
    Nothing was changed."""
    firsts: dict[tuple[str, str], Place] = {}
    for place in place_map.places().values():
        name = place.extra.get("camera", "")
        if traverse in (None, place.traverse) and camera in (None, name):
            firsts.setdefault((place.traverse, name), place)
    names = sorted({name for _, name in firsts})
    if len(names) != 1:
        advice = "choose with --camera" if names else "check --traverse and --camera"
        raise VprError(f"{place_map.path}: expected places of one camera, found {', '.join(names) or 'none'}: {advice}")
    cameras = {key: _camera_of(place_map, place, file) for key, place in firsts.items()}
    place_map.set_cameras(cameras, replace)
    return cameras


def _camera_of(place_map: PlaceMap, place: Place, file: Path) -> Camera:
    """For the size of the place's image if that still exists, else as the file says."""
    path = Path(place.path or "")
    picture = read_image(path) if path.is_file() else None
    size = None if picture is None else (picture.shape[1], picture.shape[0])
    intrinsics, size, _ = read_calibration(file, size, path.parent.name)
    small = place_map.thumbnail(place.id)
    if small is not None:
        intrinsics.fitted(size, (small.shape[1], small.shape[0]))  # refuses another aspect ratio
    return intrinsics, size
