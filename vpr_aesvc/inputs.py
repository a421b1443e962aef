"""One way in: whatever a user has becomes one ``FrameSource``."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

from vpr_aesvc.backbones.given import EMBEDDING_SUFFIXES, read_embeddings, read_named_embeddings
from vpr_aesvc.calibration import read_calibration
from vpr_aesvc.datasets import FrameSet, open_images
from vpr_aesvc.errors import VprError, expect
from vpr_aesvc.frame_source import VIDEO_SUFFIXES, FrameSource, InputOptions
from vpr_aesvc.images import image_of
from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.keyframes.selection import SelectionStats, write_keyframes
from vpr_aesvc.recordings.bags.files import is_bag, stray_bags
from vpr_aesvc.recordings.layouts import Layout, find_layout, read_sensor
from vpr_aesvc.types import Frame, StageProgress

RECORDING_HELP = "a bag (ROS 1 or 2), a video, or a folder of images with --trajectory"

# The kinds of input that each option fits, and in words. Options of commands are listed as well, so that one place refuses them all.
_WORDS = {"bag": "a ROS bag", "video": "a video", "images": "a set of images"}
_WORDS["trajectory"] = "a folder of images with a trajectory"
_BAG, _TRAJECTORY, _RECORDING, _IMAGES = {"bag"}, {"video", "trajectory"}, {"bag", "video", "trajectory"}, {"images"}
_FITS: dict[str, tuple[set[str], str]] = {
    **dict.fromkeys(("image_topic", "pose_topic", "base_frame", "map_frame"), (_BAG, "a ROS bag")),
    "trajectory": (_TRAJECTORY, "a folder of images or a video"),
    "camera": (_RECORDING | _IMAGES, "every input"),
    **dict.fromkeys(
        ("pose_gap", "keep_good", "rate", "keyframe_meters", "keyframe_degrees", "keyframe_seconds"),
        (_RECORDING, f"a recording ({RECORDING_HELP})"),
    ),
    **dict.fromkeys(("embeddings", "shortlist", "smooth"), (_IMAGES, "a set of images, not a recording")),
}


def open_input(
    path: Path | str, options: InputOptions | None = None, command_options: Mapping[str, object] | None = None
) -> FrameSource:
    """Opens whatever a user has. No image is decoded, but the first one with a calibration file.

    - one image; a folder of images, also with ``@utm_east@utm_north@...`` names, or with folders of database and query images;
    - a ``frames.csv``, or a folder that holds one; a NetVLAD ``dbStruct`` file; a folder with a COLMAP model; a database of RTAB-Map;
    - a ROS 1 or ROS 2 bag: a folder, or a ``.bag``, ``.mcap`` or ``.db3`` file;
    - a sequence of EuRoC, TUM RGB-D or KITTI odometry as it unpacks; a folder of images with ``options.trajectory`` (TUM or KITTI); a video file, with or without one;
    - embeddings with image names (``.npz`` or ``.h5``), without the images.

    Args:
        command_options: further options that the user gave, by name, to be refused if they do not fit this input. None values and
            values that are False count as not given.

    Raises:
        VprError: the path is missing or holds nothing of these, the input is damaged, an option does not fit it, or the choice of a
            topic is the user's.
    """
    expect(path, (str, Path), "the path of an input; frames in memory need no open_input")
    expect(options, (InputOptions, type(None)), "InputOptions")
    path, options = Path(path).expanduser(), options or InputOptions()
    if not path.exists():
        raise VprError(f"{path}: no such file or folder; expected images, a frames.csv, or {RECORDING_HELP}")
    layout = None if options.trajectory or not path.is_dir() else find_layout(path)
    if layout is not None:
        options = replace(options, trajectory=Path(layout.trajectory))
    kind = _kind(path, options)
    _refuse_unfit(path, kind, options, command_options or {})
    source = _opened(path, kind, options, layout)
    if options.camera is not None and kind != "bag":  # which has read it already
        _calibrate(source, options.camera)
    elif kind == "trajectory" and (found := _kitti_calibration(source, options)):
        try:
            _calibrate(source, found)
        except VprError as error:  # nobody asked for it
            source.notes.append(f"{error}: the intrinsics are not known")
    return source


def _opened(path: Path, kind: str, options: InputOptions, layout: Layout | None) -> FrameSource:
    if kind == "bag":
        from vpr_aesvc.recordings.bags.recording import BagRecording

        return BagRecording(path, options)
    if kind == "video":
        from vpr_aesvc.recordings.video import VideoRecording

        return VideoRecording(path, options)
    if kind == "trajectory":
        from vpr_aesvc.recordings.image_folder import ImageFolderRecording

        sensor = layout and layout.sensor and read_sensor(Path(layout.sensor))
        recording = ImageFolderRecording(
            Path(layout.images) if layout else path, options, sensor[0] if sensor else None
        )
        recording.path = path.absolute() if layout else path  # by which its traverse is named
        if layout:
            recording.notes.insert(0, f"layout: {layout.name}")
        if sensor:
            recording.intrinsics, recording.image_size = sensor[1:]
        recording.notes += stray_bags(path)
        return recording
    if path.is_file() and path.suffix.lower() in EMBEDDING_SUFFIXES:
        frames, embeddings = read_named_embeddings(path)
        return FrameSet(path, "embeddings", frames, embeddings=embeddings)
    images = open_images(path)
    images.notes += stray_bags(path) if path.is_dir() else []
    if options.embeddings is None:
        return images
    return replace(images, embeddings=read_embeddings(options.embeddings, images.frames))


def refuse_path(source: object) -> None:
    """Raises VprError for a path where a ``FrameSource`` or frames belong."""
    if isinstance(source, (str, Path)):
        raise VprError(f"expected a FrameSource or frames, found a path; open it with open_input({str(source)!r})")


def database_frames(
    source: FrameSource | Sequence[Frame],
    folder: Path,
    settings: KeyframeSettings | None = None,
    stats: SelectionStats | None = None,
    progress: StageProgress | None = None,
) -> Sequence[Frame]:
    """The frames to train on, each with an image file: the database frames of a set, or the keyframes of a recording.
    ``folder``: where the keyframes of a recording are written as JPEG. Raises VprError: a recording is damaged or has no
    usable keyframe, a set has no database frames, or the disk refuses."""
    refuse_path(source)
    if isinstance(source, Sequence):
        return source
    if source.is_recording:
        return write_keyframes(source, folder, settings, stats, progress and partial(progress, "choosing keyframes"))
    return list(source.split("database"))


def _kitti_calibration(source: FrameSource, options: InputOptions) -> Path | None:
    """KITTI's ``calib.txt`` beside the images, their folder, or the trajectory."""
    image = next(iter(source)).path
    assert image is not None and options.trajectory is not None
    files = [folder / "calib.txt" for folder in (*image.absolute().parents[:2], options.trajectory.absolute().parent)]
    return next((file for file in files if file.is_file() and file.read_bytes().startswith(b"P0:")), None)


def _calibrate(source: FrameSource, file: Path) -> None:
    """Gives a source the intrinsics of a calibration file, scaled to its first image."""
    for frame in source:
        with suppress(VprError):
            height, width = image_of(frame).shape[:2]
            break
    else:
        raise VprError(f"{source.path}: no image can be read, so {file} cannot be used")
    folder = frame.path.parent.name if frame.path else ""
    source.intrinsics, source.image_size, note = read_calibration(file, (width, height), folder)
    source.notes.append(note)


def _kind(path: Path, options: InputOptions) -> str:
    try:
        if is_bag(path):
            return "bag"
    except OSError as error:
        raise VprError(f"{path}: the folder cannot be read ({error.strerror or error})") from error
    if path.is_file():
        return "video" if path.suffix.lower() in VIDEO_SUFFIXES else "images"
    return "images" if options.trajectory is None else "trajectory"


def _refuse_unfit(path: Path, kind: str, options: InputOptions, command_options: Mapping[str, object]) -> None:
    given = [one.name for one in fields(options) if getattr(options, one.name) not in (None, one.default)]
    given += [name for name, value in command_options.items() if value is not None and value is not False]
    for name in given:
        kinds, words = _FITS[name]
        if kind not in kinds:
            flag = f"--{name.replace('_', '-')}"
            raise VprError(f"{path}: {flag} is for {words}; this is {_WORDS[kind]}: leave out {flag}")
