"""Recordings: ROS 1 and ROS 2 bags, folders of images with a trajectory, video files. :func:`open_recording` knows which from the path."""

from __future__ import annotations

from pathlib import Path

from vpr_aesvc.errors import VprError
from vpr_aesvc.recordings.recording import RecordedFrame, Recording, RecordingOptions

__all__ = ["RecordedFrame", "Recording", "RecordingOptions", "is_recording", "open_recording"]

_BAGS = {".bag", ".mcap", ".db3"}
_VIDEOS = {".mp4", ".mkv", ".avi", ".mov", ".webm", ".m4v", ".mpg", ".mpeg"}


def is_recording(path: Path, options: RecordingOptions | None = None) -> bool:
    """Whether a path is a bag or a video; a folder of images is one where a trajectory is given with it."""
    if path.is_dir():
        trajectory = options is not None and options.trajectory is not None
        return trajectory or (path / "metadata.yaml").is_file() or any(_bag_files(path))
    return path.suffix.lower() in _BAGS | _VIDEOS


def open_recording(path: Path | str, options: RecordingOptions | None = None) -> Recording:
    """Opens a bag (a folder or a file), a video, or a folder of images with a TUM or KITTI trajectory. No picture is decoded here.

    Raises:
        VprError: there is no such path, it is none of these, it is damaged, or the choice of topics is the user's.
    """
    path, options = Path(path).expanduser(), options or RecordingOptions()
    if not path.exists():
        raise VprError(f"{path}: no such file or folder; expected a bag, a video or a folder of images")
    if not is_recording(path, options):
        raise VprError(
            f"{path}: expected a bag ({', '.join(sorted(_BAGS))}, or a folder with metadata.yaml), a video, "
            "or a folder of images with --trajectory"
        )
    if path.suffix.lower() in _VIDEOS and path.is_file():
        from vpr_aesvc.recordings.video import VideoRecording

        return VideoRecording(path, options)
    if path.is_dir() and options.trajectory is not None and not any(_bag_files(path)):
        from vpr_aesvc.recordings.image_folder import ImageFolderRecording

        return ImageFolderRecording(path, options)
    from vpr_aesvc.recordings.bags.recording import BagRecording

    return BagRecording(path, options)


def _bag_files(folder: Path) -> list[Path]:
    try:
        return [file for file in folder.iterdir() if file.suffix.lower() in _BAGS]
    except OSError as error:
        raise VprError(f"{folder}: the folder cannot be read ({error.strerror or error})") from error
