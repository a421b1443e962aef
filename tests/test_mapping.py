"""Recordings -> maps: the same places whatever the recording's form, byte-equal when made again, and whole or not at all."""

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.command import refused, vpr
from tests.recordings.bags.bags import camera_pose, write_bag
from tests.recordings.corridor import corridor_frames
from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import InputOptions
from vpr_aesvc.images import read_image
from vpr_aesvc.inputs import open_input
from vpr_aesvc.mapping import build_map
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.copies import add_map
from vpr_aesvc.projections.artifact import unit
from vpr_aesvc.transforms import angle, distance
from vpr_aesvc.types import Frame

FORMS = {
    "sqlite3": {},
    "mcap": {"storage": "mcap"},
    "ros1": {"storage": "ros1"},
    "compressed": {"storage": "mcap", "compressed": True},
    "tf": {"poses": "tf"},
    "pose": {"storage": "ros1", "compressed": True, "poses": "pose_covariance"},
}


@pytest.fixture(scope="module")
def frames(loop_folder):
    return corridor_frames(loop_folder)


@pytest.fixture(scope="module")
def bag(frames, tmp_path_factory):
    return write_bag(tmp_path_factory.mktemp("bag") / "lap", frames[:20], "mcap", compressed=True)


@pytest.fixture(scope="module")
def second(frames, tmp_path_factory):
    return write_bag(tmp_path_factory.mktemp("bag") / "again", frames[40:55], "mcap", compressed=True)


@pytest.fixture(scope="module")
def cut(frames, tmp_path_factory):
    """A bag whose recorder died."""
    whole = next(write_bag(tmp_path_factory.mktemp("bag") / "whole", frames[40:55], "mcap").glob("*.mcap"))
    path = tmp_path_factory.mktemp("cut") / "cut.mcap"
    path.write_bytes(whole.read_bytes()[: int(0.7 * whole.stat().st_size)])
    return path


@pytest.fixture(scope="module")
def office(bag, drawn_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("map") / "office.vprmap"
    done = vpr("map", "build", bag, "-m", drawn_model, "-o", path)
    assert done.returncode == 0, done.stderr
    return path, done


def dump(path, keep_created=False):
    """All of a map as SQL, without what the time of its making changes."""
    with closing(sqlite3.connect(path)) as db:
        if not keep_created:
            db.execute("BEGIN")
            assert db.execute("DELETE FROM meta WHERE key IN ('created', 'checksum')").rowcount == 2
            db.execute("UPDATE tally SET map = ''")
        return "\n".join(db.iterdump())


def build(recording, describer, path, **words):
    build_map(recording, describer, path, **words)
    with PlaceMap.open(path) as place_map:
        return list(place_map.places().values()), place_map.descriptors()[1]


def test_all_forms_give_the_same_places_and_descriptors(frames, drawn_model, tmp_path):
    describer = Describer.open(drawn_model)
    expected = np.stack([describer.describe(read_image(frame.path)) for frame in frames[:8]]).astype(np.float16)
    for name, form in FORMS.items():
        path = write_bag(tmp_path / name, frames[:8], **form)
        places, descriptors = build(open_input(path), describer, tmp_path / f"{name}.vprmap", traverse="lap")
        assert np.array_equal(descriptors, expected), name
        assert [place.stamp for place in places] == [frame.stamp for frame in frames[:8]], name
        for place, frame in zip(places, frames, strict=False):
            assert distance(place.pose, camera_pose(frame)) < 1e-6, name
            assert angle(place.pose, camera_pose(frame)) < 1e-5, name
            assert place.traverse == "lap"
        assert len({place.label for place in places}) == 8


def test_the_command_says_what_it_did(office, bag):
    path, done = office
    said = " ".join(done.stdout.split())
    assert "20 images in 9.5 s" in said and "20 became places" in said and "m traveled" in said
    assert f"map {path} holds 20 places" in said
    assert "/camera/image_raw/compressed" in done.stderr and "/odom" in done.stderr
    with PlaceMap.open(path) as place_map:
        traverse = place_map.traverses()["lap"]
        assert traverse.started == 1_700_000_000.0 and "lap" in traverse.notes
        assert all(place_map.thumbnail(place) is not None for place in place_map.places())
        assert all(place.label.startswith("lap/") for place in place_map.places().values())
    assert "is whole: 20 places, 20 thumbnails" in vpr("map", "check", path).stdout


def test_two_runs_give_byte_equal_maps(office, bag, drawn_model, tmp_path):
    again = tmp_path / "again.vprmap"
    assert vpr("map", "build", bag, "-m", drawn_model, "-o", again).returncode == 0
    assert dump(again) == dump(office[0])
    assert dump(again, True) != dump(office[0], True)


def test_options(bag, drawn_model, tmp_path):
    path = tmp_path / "few.vprmap"
    options = ("--keyframe-meters", 2, "--keyframe-degrees", 180, "--traverse", "monday")
    done = vpr("map", "build", bag, "-m", drawn_model, "-o", path, *options)
    assert "holds 5 places" in done.stdout, done.stderr  # every fourth frame: 2.4 m
    with PlaceMap.open(path) as place_map:
        assert list(place_map.traverses()) == ["monday"]
    done = vpr("map", "build", bag, "-m", drawn_model, "-o", tmp_path / "no", "--pose-gap", "nan")
    assert done.returncode in (1, 2) and "--pose-gap" in done.stderr and "Traceback" not in done.stderr
    refused(vpr("map", "build", bag, "-m", drawn_model, "-o", tmp_path / "no", "--image-topic", "/rear"), "/rear")
    refused(vpr("map", "build", bag, "-m", drawn_model, "-o", tmp_path / "no", "--embeddings", "e.npy"), "--embeddings")
    assert [file.name for file in tmp_path.iterdir()] == ["few.vprmap"]


def test_places_take_a_part_of_their_neighbors(bag, drawn_model, office, tmp_path):
    """Also across the batches in which a recording is read, and of a model that asks for it."""
    build_map(open_input(bag), Describer.open(drawn_model), tmp_path / "pooled.vprmap", neighbor_weight=0.5)
    with PlaceMap.open(office[0]) as plain, PlaceMap.open(tmp_path / "pooled.vprmap") as place_map:
        alone, together = plain.descriptors()[1].astype(np.float32), place_map.descriptors()[1]
        padded = np.pad(alone, ((1, 1), (0, 0)))
        assert np.allclose(together, unit(alone + 0.5 * (padded[:-2] + padded[2:])), atol=2e-3)
        assert (
            "each place takes 0.5 of its neighbors along the drive" in next(iter(place_map.traverses().values())).notes
        )


def test_only_a_known_order_makes_neighbors(frames, drawn_model, tmp_path):
    describer, images = Describer.open(drawn_model), [Frame(str(f.number), path=f.path) for f in frames[:40]]
    plain = build(images, describer, tmp_path / "plain.vprmap")[1]
    unordered = build(images, describer, tmp_path / "unordered.vprmap", neighbor_weight=0.25)[1]
    assert np.allclose(unordered, plain, atol=1e-3)
    laps = [replace(image, sequence=f"lap {at // 20}", index=at) for at, image in enumerate(images)]
    laps_plain = build(laps, describer, tmp_path / "laps.vprmap")[1].astype(np.float32)
    pooled = build(laps, describer, tmp_path / "pooled.vprmap", neighbor_weight=0.25)[1]
    for at, around in ((0, [1]), (16, [15, 17]), (19, [18]), (20, [21]), (39, [38])):
        assert np.allclose(pooled[at], unit(laps_plain[at] + 0.25 * laps_plain[around].sum(0)), atol=2e-3), at


def test_add_another_traverse(office, second, drawn_model, tmp_path):
    path = tmp_path / "office.vprmap"
    path.write_bytes(office[0].read_bytes())
    done = vpr("map", "add", path, second)
    assert done.returncode == 0, done.stderr
    assert "holds 35 places, 15 of them new" in done.stdout
    with PlaceMap.open(path) as place_map:
        assert list(place_map.traverses()) == ["lap", "again"]
        assert place_map.traverses()["again"].started == pytest.approx(1_700_000_020.0)
        assert all(place_map.thumbnail(place) is not None for place in place_map.places())
        descriptors = place_map.descriptors()[1][20:]
        expected = build(open_input(second), Describer.open(drawn_model), tmp_path / "alone.vprmap")[1]
        assert np.array_equal(descriptors, expected)
    before = dump(path, True)
    refused(vpr("map", "add", path, second), "has a traverse again already")
    refused(vpr("map", "add", path, second, "--traverse", "lap"), "has a traverse lap already")
    assert dump(path, True) == before
    assert "15 of them new" in vpr("map", "add", path, second, "--traverse", "third").stdout
    assert "is whole: 50 places, 50 thumbnails" in vpr("map", "check", path).stdout


def test_add_a_folder_of_images(office, drawn, tmp_path):
    refused(vpr("map", "add", office[0], drawn, "--keyframe-meters", 2), "--keyframe-meters is for a recording")
    path = tmp_path / "office.vprmap"
    path.write_bytes(office[0].read_bytes())
    assert "holds 60 places, 40 of them new" in vpr("map", "add", path, drawn).stdout


def test_a_recording_that_ends_in_damage_changes_nothing(office, cut, drawn_model, tmp_path):
    path = tmp_path / "office.vprmap"
    path.write_bytes(office[0].read_bytes())
    before = dump(path, True)
    refused(vpr("map", "add", path, cut), "--keep-good")
    refused(vpr("map", "build", cut, "-m", drawn_model, "-o", tmp_path / "new.vprmap"), "--keep-good")
    assert dump(path, True) == before
    assert [file.name for file in tmp_path.iterdir()] == ["office.vprmap"]
    done = vpr("map", "add", path, cut, "--keep-good")
    assert done.returncode == 0, done.stderr
    with PlaceMap.open(path) as place_map:
        assert 25 < len(place_map) < 35 and list(place_map.traverses()) == ["lap", "cut"]


def test_a_map_that_is_damaged_midway_adds_nothing(office, second, drawn_model, tmp_path):
    """The places of a traverse come in one transaction."""
    new, path = tmp_path / "new.vprmap", tmp_path / "office.vprmap"
    path.write_bytes(office[0].read_bytes())
    build(open_input(second), Describer.open(drawn_model), new)
    with closing(sqlite3.connect(new)) as db:
        db.execute("UPDATE thumbnails SET jpeg = x'00' WHERE place = 9")
        db.commit()
    before = dump(path, True)
    with PlaceMap.open(path) as place_map, PlaceMap.open(new) as damaged:
        with pytest.raises(VprError, match="thumbnail of place 9"):
            add_map(place_map, damaged)
        assert len(place_map) == 20
    assert dump(path, True) == before


def test_images_with_a_trajectory_and_a_trained_model(frames, office, tmp_path):
    """From a run to a model and a map, with nothing left behind."""
    folder, temporary = tmp_path / "run", tmp_path / "temporary"
    folder.mkdir()
    temporary.mkdir()
    for frame in frames:
        (folder / f"{round(frame.stamp * 1e9)}.jpg").symlink_to(frame.path)
    lines = (" ".join(map(str, (frame.stamp, *frame.pose.as_tuple()))) for frame in frames)
    (tmp_path / "t.txt").write_text("\n".join(lines))
    words = (folder, "--trajectory", tmp_path / "t.txt", "-o")
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(temporary)
    try:
        done = vpr("train", *words, tmp_path / "model", "--method", "aesvc", "--keyframe-meters", 1)
    finally:
        os.environ.pop("TMPDIR") if before is None else os.environ.__setitem__("TMPDIR", before)
    assert done.returncode == 0, done.stderr
    assert "42 keyframes were used" in done.stdout or "43 keyframes were used" in done.stdout
    assert not [file for file in temporary.iterdir() if file.name.startswith("vpr-")]
    before = dump(office[0], True)
    refused(vpr("map", "add", office[0], *words[:-1], "-m", tmp_path / "model"), "was made with model")
    assert dump(office[0], True) == before
    done = vpr("map", "build", *words, tmp_path / "run.vprmap", "-m", tmp_path / "model")
    assert "holds 83 places" in done.stdout, done.stderr
    assert "1 blurred" in done.stderr and "look along x" in done.stderr
    with PlaceMap.open(tmp_path / "run.vprmap") as place_map:
        place = place_map.places()[3]
        assert Path(place.path).samefile(frames[2].path) and distance(place.pose, frames[2].pose) < 1e-9


def test_the_recording_is_read_in_constant_memory(bag, drawn_model, tmp_path):
    """Pictures must not pile up: at no time do more frames live than a batch needs."""
    import gc
    import weakref

    recording, alive, most = open_input(bag, InputOptions()), [], 0

    class Watched:
        path, kind, notes, is_recording = recording.path, recording.kind, recording.notes, True
        skip_counts = recording.skip_counts
        intrinsics, image_size = recording.intrinsics, recording.image_size

        def __len__(self):
            return len(recording)

        def __iter__(self):
            nonlocal most
            for frame in recording:
                original = frame.decode

                def decode(original=original):
                    image = original()
                    alive.append(weakref.ref(image))
                    return image

                yield replace(frame, decode=decode)
                gc.collect()
                most = max(most, sum(one() is not None for one in alive))

    build_map(Watched(), Describer.open(drawn_model), tmp_path / "m.vprmap")
    assert len(alive) == 20 and most <= 2
