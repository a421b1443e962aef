"""The image files below a folder: what is listed, and what is left out and counted. And where the images of a published list are."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from vpr_aesvc.datasets.not_photos import photos
from vpr_aesvc.frame_source import VIDEO_SUFFIXES, SkipCounts
from vpr_aesvc.images import IMAGE_SUFFIXES

_COPIES = {"@eadir", "__macosx", "#recycle", "@recycle", "$recycle.bin"}
_COPIES |= {".thumbnails", ".thumbs", "@__thumb", ".@__thumb"}
_SAMPLE = 20  # names tried in each folder; a few missing files do not hide the right folder
_UNREAD = {
    ".heic", ".heif", ".hif", ".avif", ".gif", ".jp2", ".j2k", ".jxl", ".svg", ".psd", ".tga", ".exr", ".hdr", ".pfm",
    ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2", ".pef", ".srw",
}  # fmt: skip


def image_files(folder: Path, skip_counts: SkipCounts, notes: list[str]) -> list[Path]:
    """All images below ``folder``, in no order.

    Links to folders are followed; each real folder is read once. Counted and left out: hidden images, the copies that systems keep
    (``@eaDir``), formats that are not read, videos, and what is no photo (``not_photos``).

    Args:
        skip_counts: counts what is left out, with the reason.
        notes: gets a sentence where a name and the look of the pictures contradict each other.
    """
    found: list[Path] = []
    for place, names in _walk(folder, skip_counts):
        parts = [part.lower() for part in place.relative_to(folder).parts]
        reason = "images in a hidden folder" if any(part.startswith(".") for part in parts) else None
        if not _COPIES.isdisjoint(parts):
            reason = "copies that a system keeps (thumbnails, deleted files)"
        for name in names:
            suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - fast, for many files
            why = reason or ("hidden images (a name that begins with a dot)" if name.startswith(".") else None)
            if suffix in _UNREAD:
                why = why or f"{suffix} files, a format that is not read: convert them to JPEG"
            elif suffix in VIDEO_SUFFIXES and not why:
                why = "videos, which are not read with a folder: name one video itself"
            elif not suffix and not why and _is_link_as_text(place / name):
                why = "links to a folder that were copied as text: make them links again"
            elif suffix not in IMAGE_SUFFIXES:
                continue
            if why:
                skip_counts.add(why, str(place / name))
            else:
                found.append(place / name)
    return photos(folder, found, skip_counts, notes)


def _walk(folder: Path, skip_counts: SkipCounts) -> Iterator[tuple[Path, list[str]]]:
    """Each folder with the names of its files. Links come after all real folders, so that a folder's real name counts."""
    seen = {_identity(parent) for parent in folder.resolve().parents}  # a link to one of them is a circle
    waiting, links = [folder], list[Path]()
    while waiting or links:
        place = waiting.pop() if waiting else links.pop(0)
        names = []
        try:
            identity = _identity(place)
            if identity in seen:
                skip_counts.add("links to a folder that is read already", str(place))
                continue
            seen.add(identity)
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.is_file():
                        names.append(entry.name)
                    elif entry.is_dir():
                        (links if entry.is_symlink() else waiting).append(Path(entry.path))
                    elif entry.is_symlink() and not Path(entry.path).exists():
                        skip_counts.add("links whose target is missing", entry.path)
        except OSError as error:
            skip_counts.add(f"folders that cannot be read ({error.strerror})", str(place))
        yield place, names


def _is_link_as_text(path: Path) -> bool:
    """Git, zip and file systems without links write the target of a link into a small file."""
    try:
        target = path.read_text().strip() if path.stat().st_size < 256 else ""
        return bool(target) and (path.parent / target).is_dir()
    except (OSError, ValueError):
        return False


def _identity(folder: Path) -> tuple[int, int]:
    state = folder.stat()
    return state.st_dev, state.st_ino


def find_images(names: Sequence[str], folders: Sequence[Path], suffixes: Sequence[str] = ()) -> tuple[Path, list[Path]]:
    """The folder that holds these images, and the path of each: users unpack the images of a published list in different places.

    Args:
        names: relative to that folder.
        folders: candidates, the most probable first. The first is taken if none holds an image, so that a check can name what is missing.
        suffixes: other endings that the files may have, such as ``.png``.
    """
    step = max(1, len(names) // _SAMPLE)
    sample = [*names[::step][:_SAMPLE], *names[-1:]]
    best, most = (folders[0], ""), 0
    for folder in folders:
        for suffix in ("", *suffixes):
            found = sum(os.path.isfile(_with_suffix(folder, name, suffix)) for name in sample)  # noqa: PTH113 - False for a name that is too long
            if found > most:
                best, most = (folder, suffix), found
    return best[0], [_with_suffix(best[0], name, best[1]) for name in names]


def _with_suffix(folder: Path, name: str, suffix: str) -> Path:
    path = folder / name
    return path.with_suffix(suffix) if suffix else path
