"""Pictures as users have them: thermal cameras, depth beside color, thumbnails of a network drive, photos of phones, links."""

from tests.command import vpr
from tests.datasets.images import photo, written
from vpr_aesvc import Describer
from vpr_aesvc.placemap import PlaceMap


def built(model, images, output):
    """What `vpr map build` prints, and the pictures of the places by label."""
    done = vpr("map", "build", images, "-m", model, "-o", output)
    assert done.returncode == 0, done.stderr
    with PlaceMap.open(output, Describer.open(model)) as places:
        pictures = {place.label: places.thumbnail(number) for number, place in places.places().items()}
    return " ".join((done.stdout + done.stderr).split()), pictures


def test_the_same_images_added_again_are_said(model, tmp_path):
    for seed in range(8):
        written(tmp_path / "in" / f"{seed}.jpg", photo(seed))
        written(tmp_path / "other" / f"{seed}.jpg", photo(seed + (50 if seed else 0)))
    built(model, tmp_path / "in", tmp_path / "m.vprmap")
    for name, count in (("other", 1), ("in", 8)):
        done = vpr("map", "add", tmp_path / "m.vprmap", tmp_path / name, "-m", model, "--traverse", name)
        assert f"{count} of the new places are of images that the map held already" in " ".join(done.stdout.split())
