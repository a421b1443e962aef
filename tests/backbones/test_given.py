"""Precomputed embeddings in every file format, also through the commands."""

import io
import json

import numpy as np
import pytest

from tests.command import refused, vpr
from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.backbones.given import read_embeddings
from vpr_aesvc.errors import VprError
from vpr_aesvc.extraction import extract
from vpr_aesvc.inputs import open_input
from vpr_aesvc.types import Frame


@pytest.fixture(scope="module")
def hog(drawn):
    """The frames of the drawn street and HOG embeddings of them."""
    frames = open_input(drawn).frames
    return frames, extract(open_backbone("hog"), frames).embeddings


def write(path, frames, table):
    """Writes a file of this kind; all but .npy in another order than the frames."""
    shuffled = np.random.default_rng(0).permutation(len(frames))
    names = np.array([frames[row].label for row in shuffled])
    if path.suffix == ".npy":
        np.save(path, table)
    elif path.suffix == ".npz":
        np.savez(path, descriptors=table[shuffled], names=names)
    else:
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            for name, row in zip(names, shuffled, strict=True):
                file.create_group(name).create_dataset("global_descriptor", data=table[row].astype(np.float16))
    return path


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5"])
def test_every_format_gives_each_frame_its_embedding(tmp_path, hog, suffix):
    frames, table = hog
    opened = read_embeddings(write(tmp_path / f"e{suffix}", frames, table), frames)
    assert opened.dim == 1056 and opened.spec == "embeddings:1056"
    chosen = [frames[at] for at in (41, 3, 7)]
    assert np.allclose(opened.look_up(chosen), table[[41, 3, 7]], atol=1e-3)
    found = extract(opened, chosen, views=2)
    assert found.frames == chosen and len(found.views) == 0


def test_names_without_folders(tmp_path):
    frames = [Frame("db/a.jpg"), Frame("db/b.jpg")]
    np.savez(tmp_path / "e.npz", e=np.eye(2), n=np.array(["elsewhere/b.jpg", "elsewhere/a.jpg"]))
    assert np.array_equal(read_embeddings(tmp_path / "e.npz", frames).look_up(frames), np.eye(2)[::-1])


def test_a_name_matches_one_image_only(tmp_path):
    """Embeddings of the reference images are not used for queries with the same file names."""
    frames = [
        Frame(f"{folder}/{n}.png", path=tmp_path / folder / f"{n}.png") for folder in ("ref", "query") for n in "ab"
    ]
    np.savez(tmp_path / "e.npz", e=np.eye(2), n=np.array(["ref/a.png", "ref/b.png"]))
    opened = read_embeddings(tmp_path / "e.npz", frames)
    assert np.array_equal(opened.look_up(frames[:2]), np.eye(2))
    with pytest.raises(VprError, match=r"no embedding for 1 of 1 images, such as query/a\.png"):
        opened.look_up(frames[2:3])


def test_names_of_a_set_that_renames_its_images(tmp_path):
    frames = [Frame("database/000829_pitch1_yaw1", path=tmp_path / "000" / "000829_pitch1_yaw1.jpg")]
    for name in ("000/000829_pitch1_yaw1.jpg", "database/000829_pitch1_yaw1", "000829_pitch1_yaw1.png"):
        np.savez(tmp_path / "e.npz", e=np.eye(2)[:1], n=np.array([name]))
        assert read_embeddings(tmp_path / "e.npz", frames).look_up(frames).tolist() == [[1, 0]]


def test_train_map_build_and_query_with_embeddings(tmp_path, drawn, hog):
    frames, table = hog
    file = write(tmp_path / "e.npz", frames, table)

    model, place_map = tmp_path / "model", tmp_path / "a.vprmap"
    trained = vpr("train", drawn, "-o", model, "--embeddings", file, "--method", "aesvc")
    assert trained.returncode == 0, trained.stderr
    assert vpr("map", "build", drawn, "-m", model, "-o", place_map, "--embeddings", file).returncode == 0
    answered = vpr("query", place_map, drawn, "--embeddings", file, "--json")
    assert answered.returncode == 0 and len(answered.stdout.splitlines()) == 12
    pose_of = {frame.label: frame.pose for frame in frames}
    answers = [json.loads(line) for line in answered.stdout.splitlines()]
    near = [
        np.hypot(pose_of[answer["query"]].x - place[0], pose_of[answer["query"]].y - place[1]) < 5
        for answer in answers
        for place in [answer["matches"][0]["pose"]]
    ]
    assert sum(near) >= 9  # 11 of 12; embeddings given to wrong frames match anywhere on 70 m
    without = vpr("query", place_map, drawn)
    refused(without, "--embeddings FILE")


def header_of_objects():
    """The start of an .npy file of two Python objects, which would be pickled."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": (2,)})
    return file.getvalue() + bytes(64)


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("none.npy", None, "no such file"),
        ("e.txt", lambda path: path.write_text("x"), "expected embeddings as .npy"),
        ("e.npy", lambda path: path.write_bytes(b"x"), "cannot be read"),
        ("e.npy", lambda path: np.save(path, np.zeros((3, 4))), "has 3 rows without names, the input has 2 frames"),
        ("e.npy", lambda path: np.save(path, np.zeros(2)), r"expected numbers of shape \[images, D\]"),
        ("e.npy", lambda path: path.write_bytes(header_of_objects()), "cannot be read"),
        ("e.npz", lambda path: np.savez(path, a=np.eye(2), b=np.eye(2)), "expected one array"),
        ("e.npz", lambda path: np.savez(path, a=np.eye(2), n=np.array(["a"])), "1 names for 2 embeddings"),
        ("e.h5", lambda path: path.write_bytes(b"x"), "cannot be read"),
        ("e.npz", lambda path: path.write_bytes(b"PK\x03\x04" + b"x" * 50), "cannot be read"),
        ("e.npz", lambda path: np.save(path.open("wb"), np.eye(2)), "not an .npz archive"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, name, make, words):
    if name.endswith(".h5"):
        pytest.importorskip("h5py")
    if make:
        make(tmp_path / name)
    with pytest.raises(VprError, match=words):
        read_embeddings(tmp_path / name, [Frame("a"), Frame("b")])


def test_missing_and_not_finite_embeddings(tmp_path):
    np.savez(tmp_path / "e.npz", e=np.array([[1.0, np.nan], [1, 2]]), n=np.array(["a", "b"]))
    frames = [Frame("a"), Frame("b"), Frame("c")]
    opened = read_embeddings(tmp_path / "e.npz", frames)
    with pytest.raises(VprError, match="no embedding for 1 of 3 images, such as c"):
        opened.look_up(frames)
    with pytest.raises(VprError, match="embedding of a holds numbers that are not finite"):
        opened.look_up(frames[:2])
