import cv2
import numpy as np
import pytest

from vpr_aesvc.datasets.positions import utm_pose
from vpr_aesvc.datasets.positives import positives
from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import InputOptions
from vpr_aesvc.inputs import open_input
from vpr_aesvc.types import Frame, Pose


def image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((4, 4, 3), np.uint8))


def test_a_folder_is_read_in_natural_order_and_recursively(tmp_path):
    for name in ("b/img10.png", "b/img2.png", "a.JPG", ".hidden.png", "notes.txt"):
        image(tmp_path / name) if not name.endswith("txt") else (tmp_path / name).write_text("x")
    assert [frame.label for frame in open_input(tmp_path).frames] == ["a.JPG", "b/img2.png", "b/img10.png"]


def test_one_image_is_an_input(tmp_path):
    image(tmp_path / "x.png")
    assert [frame.label for frame in open_input(tmp_path / "x.png").frames] == ["x.png"]


def test_utm_names(utm_names):
    frames = open_input(utm_names)
    assert frames.kind == "UTM folder" and len(frames) == 17
    hong_kong = [frame for frame in frames.frames if "hkust" in frame.label]
    assert len(hong_kong) == 5
    assert (hong_kong[0].pose.x, hong_kong[0].pose.y) == (218047.08, 2472431.44)
    near = positives(frames.frames, frames.frames).table(17)
    sites = [frame.label.split("@")[3] + frame.label.split("@")[4] for frame in frames.frames]
    assert not near.diagonal().any() and near.any()  # an image is no answer for itself
    assert all(sites[a] == sites[b] for a, b in zip(*np.nonzero(near), strict=True))


@pytest.mark.parametrize("name", ["a@1@2@.jpg", "@x@2@.jpg", "@nan@2@x.jpg", "@1.jpg"])
def test_other_names_carry_no_pose(name):
    assert utm_pose(name) is None


def test_the_real_csv(ie_tower):
    frames = open_input(ie_tower)
    assert len(frames.split("database")) == 1253 and len(frames.split("query")) == 265
    first = frames.frames[0]
    assert first.sequence == "b0_basement_lift_c030" and first.index == 1
    assert first.extra == {"floor": "basement0", "area": "basement_lift"}
    right = positives(frames.split("query").frames, frames.split("database").frames)
    assert len(right) == 265 and (right.counts > 0).all() and right.rows.max() < 1253


def test_poses_decide_before_sequences():
    here = Frame("q", pose=Pose(0, 0), sequence="s", index=0)
    there = Frame("d", pose=Pose(100, 0), sequence="s", index=0)
    assert positives((here,), (there,)).counts.tolist() == [0]
    near, far, first = (Frame("f", sequence="s", index=index) for index in (3, 4, 0))
    assert positives((near, far), (first,)).counts.tolist() == [1, 0]
    assert positives((Frame("q"),), (there,)) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,split\na.png,database\n", "column path is missing; found file, split"),
        ("path,split,easting\na.png,database,1\n", "column northing is missing"),
        ("path,split,index\na.png,database,first\n", "line 2: index must be a number, found 'first'"),
        ("path,split,easting,northing\na.png,database,nan,1\n", "line 2: easting must be a number, found 'nan'"),
        ("path,split\na.png,train\n", "line 2: split must be database or query, found 'train'"),
        ("path,split\na.png,database,more\n", "line 2: more fields than columns"),
        ("path,split\n,query\n", "line 2: path is empty"),
        ("path,split\n", "no rows"),
        ("", "column path is missing; found none"),
    ],
)
def test_csv_mistakes_are_named_with_their_line(tmp_path, text, words):
    (tmp_path / "frames.csv").write_text(text)
    with pytest.raises(VprError, match=words):
        open_input(tmp_path)


def test_a_csv_that_is_binary(tmp_path):
    (tmp_path / "frames.csv").write_bytes(b"\x89PNG\x00\x80path")
    with pytest.raises(VprError, match="cannot be read"):
        open_input(tmp_path / "frames.csv")


def test_missing_empty_and_strange_inputs(tmp_path):
    with pytest.raises(VprError, match="no such file or folder"):
        open_input(tmp_path / "nothing")
    with pytest.raises(VprError, match="no images in this folder"):
        open_input(tmp_path)
    (tmp_path / "a.pdf").write_text("x")
    with pytest.raises(VprError, match=r"found a \.pdf file"):
        open_input(tmp_path / "a.pdf")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a.bag").write_text("x")
    with pytest.raises(VprError, match="not a ROS 1 bag"):
        open_input(tmp_path / "b")


def test_a_missing_split_is_named(tmp_path):
    (tmp_path / "frames.csv").write_text("path,split\na.png,database\n")
    with pytest.raises(VprError, match="no row has split 'query'; found database"):
        open_input(tmp_path).split("query")


def table(folder, rows):
    (folder / "frames.csv").write_text("path,split,easting,northing,stamp\n" + "".join(f"{row}\n" for row in rows))
    return open_input(folder)


def test_frames_with_stamps_and_poses_are_a_run(tmp_path):
    complete = table(tmp_path, ["a.png,database,1,2,10.0", "b.png,query,1,3,11.0"])
    assert complete.is_run and not complete.is_recording
    assert [frame.label for frame in complete] == ["a.png", "b.png"] == [frame.label for frame in complete]
    assert [frame.label for frame in complete.split("query")] == ["b.png"]
    for missing in ("a.png,database,,,10.0", "a.png,database,1,2,"):
        assert not table(tmp_path, [missing, "b.png,query,1,3,11.0"]).is_run


@pytest.mark.parametrize(
    ("options", "command_options", "words"),
    [
        (
            {"image_topic": "/camera"},
            {},
            "--image-topic is for a ROS bag; this is a set of images: leave out --image-topic",
        ),
        ({"map_frame": "map"}, {}, "--map-frame is for a ROS bag"),
        ({"keep_good": True}, {}, "--keep-good is for a recording"),
        ({"pose_gap": 2.0}, {}, "--pose-gap is for a recording"),
        ({}, {"keyframe_meters": 2.0}, "--keyframe-meters is for a recording"),
        ({}, {"rate": 2.0}, "--rate is for a recording"),
    ],
)
def test_options_that_do_not_fit_images_are_refused(tmp_path, options, command_options, words):
    image(tmp_path / "x.png")
    with pytest.raises(VprError, match=words):
        open_input(tmp_path, InputOptions(**options), command_options)


def test_options_that_do_not_fit_a_video_or_a_bag_are_refused(tmp_path):
    (tmp_path / "drive.mp4").write_text("x")
    (tmp_path / "drive.bag").write_text("x")
    with pytest.raises(VprError, match="--image-topic is for a ROS bag; this is a video"):
        open_input(tmp_path / "drive.mp4", InputOptions(image_topic="/camera"))
    with pytest.raises(VprError, match="--trajectory is for a folder of images or a video; this is a ROS bag"):
        open_input(tmp_path / "drive.bag", InputOptions(trajectory=tmp_path / "t.txt"))
    for name, value in (("smooth", True), ("shortlist", 50)):
        with pytest.raises(VprError, match=f"--{name} is for a set of images, not a recording"):
            open_input(tmp_path / "drive.bag", None, {name: value})
    with pytest.raises(VprError, match="--embeddings is for a set of images, not a recording"):
        open_input(tmp_path / "drive.bag", InputOptions(embeddings=tmp_path / "e.npy"))


def test_options_that_were_not_given_are_not_refused(tmp_path):
    image(tmp_path / "x.png")
    assert len(open_input(tmp_path, InputOptions(), {"rate": None, "smooth": False})) == 1


def test_embeddings_with_names_are_an_input(tmp_path):
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.savez(tmp_path / "e.npz", embeddings=values, names=np.array(["a.jpg", "b.jpg", "c.jpg"]))
    source = open_input(tmp_path / "e.npz")
    assert [frame.label for frame in source] == ["a.jpg", "b.jpg", "c.jpg"]
    assert np.array_equal(source.embeddings.look_up(source.frames), values)
    np.savez(tmp_path / "twice.npz", embeddings=values, names=np.array(["a.jpg", "a.jpg", "c.jpg"]))
    with pytest.raises(VprError, match=r"more than one embedding of a\.jpg"):
        open_input(tmp_path / "twice.npz")
    np.save(tmp_path / "bare.npy", values)
    with pytest.raises(VprError, match="has no image names"):
        open_input(tmp_path / "bare.npy")


def test_embeddings_of_images(tmp_path):
    for name in ("a.png", "b.png"):
        image(tmp_path / "images" / name)
    np.save(tmp_path / "e.npy", np.eye(2, dtype=np.float32))
    source = open_input(tmp_path / "images", InputOptions(embeddings=tmp_path / "e.npy"))
    assert np.array_equal(source.embeddings.look_up(source.frames), np.eye(2))
