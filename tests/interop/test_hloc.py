"""``vpr pairs``: what hloc and COLMAP read."""

import h5py
import numpy as np
import pytest

from tests.command import refused, vpr
from vpr_aesvc import Describer, PlaceMap, build_map, open_backbone, open_input, train


@pytest.fixture(scope="module")
def world(loop_folder, encoder, tmp_path_factory):
    """A folder with ``frames`` (all images of the loop) and the map of them."""
    folder = tmp_path_factory.mktemp("hloc")
    (folder / "frames").symlink_to(loop_folder / "frames")
    source = open_input(folder / "frames")
    describer = train(source, open_backbone(str(encoder)), folder / "model", method="aesvc")
    build_map(source, describer, folder / "map.vprmap")
    return folder


def pairs_of(path):
    return [tuple(line.split(" ")) for line in path.read_text().splitlines()]


def test_each_image_gets_its_most_similar_others_once(world, tmp_path):
    done = vpr("pairs", world / "map.vprmap", world / "frames", "-o", tmp_path / "pairs.txt", "--top", 4)
    assert done.returncode == 0, done.stderr
    pairs = pairs_of(tmp_path / "pairs.txt")
    assert f"{len(pairs)} pairs" in done.stdout
    with PlaceMap.open(world / "map.vprmap") as place_map:
        names = [place.label for place in place_map.places().values()]
        rows = place_map.descriptors()[1].astype(np.float32)
    similar = rows @ rows.T
    np.fill_diagonal(similar, -2)
    expected = {frozenset((names[at], names[to])) for at in range(84) for to in np.argsort(-similar[at])[:4]}
    assert {frozenset(pair) for pair in pairs} == expected and len(pairs) == len(expected)
    assert all((world / "frames" / name).is_file() for pair in pairs for name in pair)


def test_names_are_paths_in_the_folder_of_images(world, loop_folder, tmp_path):
    out = tmp_path / "pairs.txt"
    assert vpr("pairs", world / "map.vprmap", world / "frames", "-o", out, "--images", loop_folder).returncode == 0
    names = {name for pair in pairs_of(out) for name in pair}
    assert names == {f"frames/{frame.label}" for frame in open_input(world / "frames")}


def test_a_window_adds_the_images_that_follow(world, tmp_path):
    out = tmp_path / "pairs.txt"
    vpr("pairs", world / "map.vprmap", world / "frames", "-o", out, "--top", 1, "--window", 2)
    found = {frozenset(pair) for pair in pairs_of(out)}
    names = [frame.label for frame in open_input(world / "frames")]
    for apart in (1, 2):
        assert {frozenset(pair) for pair in zip(names, names[apart:], strict=False)} <= found
    assert len(found) < 84 * 3


def test_features_as_hloc_reads_them_and_as_we_read_them(world, tmp_path):
    out = tmp_path / "features.h5"
    done = vpr("pairs", world / "map.vprmap", world / "frames", "-o", tmp_path / "pairs.txt", "--features", out)
    assert done.returncode == 0, done.stderr
    describer = Describer.open(world / "model")
    frames = list(open_input(world / "frames"))
    expected = next(describer.describe_frames(frames, []))[1]
    with h5py.File(out) as file:
        for frame, row in zip(frames, expected, strict=False):
            stored = file[frame.label]["global_descriptor"]
            assert stored.dtype == np.float16
            np.testing.assert_allclose(stored[:], row, atol=1e-3)
    given = open_input(out)
    np.testing.assert_allclose(given.embeddings.look_up(frames[:16]), expected, atol=1e-3)


def test_radius_and_time(drawn, drawn_map, tmp_path):
    """The drawn street has poses and stamps."""
    frames = {frame.label: frame for frame in open_input(drawn)}
    vpr("pairs", drawn_map, drawn, "-o", tmp_path / "near.txt", "--within", 6)
    vpr("pairs", drawn_map, drawn, "-o", tmp_path / "far.txt", "--beyond", 6, "--top", 3)
    near, far = (
        [
            np.hypot(frames[one].pose.x - frames[two].pose.x, frames[one].pose.y - frames[two].pose.y)
            for one, two in pairs_of(tmp_path / name)
        ]
        for name in ("near.txt", "far.txt")
    )
    assert near and max(near) <= 6 and far and min(far) >= 6


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--within", 5), "has no pose, which --within and --beyond need"),
        (("--seconds", 5), "has no stamp, which --seconds need"),
        (("--images", "elsewhere"), "is not in the folder of images elsewhere"),
    ],
)
def test_what_cannot_be_done_is_refused(world, tmp_path, options, words):
    refused(vpr("pairs", world / "map.vprmap", world / "frames", "-o", tmp_path / "pairs.txt", *options), words)
    assert not any(tmp_path.iterdir())


def test_a_name_with_a_space_is_refused(world, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a b.jpg").write_bytes(next(iter((world / "frames").iterdir())).read_bytes())
    refused(vpr("pairs", world / "map.vprmap", tmp_path / "in", "-o", tmp_path / "pairs.txt"), "by a space")
    assert not (tmp_path / "pairs.txt").exists()
