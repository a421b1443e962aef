"""Check that a data set is complete, before hours of computing: counts, files, right answers."""

from dataclasses import dataclass
from pathlib import Path

from vpr_aesvc.datasets.catalog import BENCHMARKS, open_dataset
from vpr_aesvc.datasets.positives import positives


@dataclass(frozen=True)
class Check:
    """The result.

    Attributes:
        kind: how it was read and where its images are.
        database, queries: number of images.
        missing, empty: image files that are listed but missing, or have zero bytes.
        without_positives: labels of queries without a right answer in the database.
        tolerance: when a database image is a right answer; None if unknown.
        problems: what is wrong; empty if the set is complete.
        notes: what is worth knowing but not wrong.
    """

    root: str
    kind: str
    database: int
    queries: int
    missing: list[str]
    empty: list[str]
    without_positives: list[str]
    tolerance: str | None
    problems: list[str]
    notes: list[str]

    @property
    def whole(self) -> bool:
        return not self.problems


def check_dataset(name_or_path: str, data: Path | None = None) -> Check:
    """Opens a set (see ``open_dataset``) and looks at every file. No image is decoded.

    Raises:
        VprError: the set is missing or damaged, or has no database or no queries.
    """
    frames = open_dataset(name_or_path, data)
    benchmark = BENCHMARKS.get(name_or_path)
    database, queries = frames.split("database").frames, frames.split("query").frames
    sizes = {path: _size(path) for path in {frame.path: None for frame in frames.frames} if path is not None}
    missing = [str(path) for path, size in sizes.items() if size is None]
    empty = [str(path) for path, size in sizes.items() if size == 0]
    right = positives(queries, database, frames.tolerance)
    without = [] if right is None else [q.label for q, n in zip(queries, right.counts, strict=True) if not n]
    problems: list[str] = []
    notes: list[str] = []
    if benchmark and len(database) != benchmark.database:
        problems.append(f"{benchmark.database} database images expected, {len(database)} found")
    if benchmark and len(queries) != benchmark.queries:
        problems.append(f"{benchmark.queries} queries expected, {len(queries)} found")
    if missing:
        problems.append(f"{len(missing)} image files are missing")
        if benchmark and len(missing) == len(sizes):
            notes.append(f"no image was found; {benchmark.how}")
    if empty:
        problems.append(f"{len(empty)} image files are empty (0 bytes)")
    if right is None:
        problems.append("no right answers: the frames have no poses, no sequences and no categories")
    if without:
        # In a published set each query has a right answer; the user's own drive may leave the map.
        where = problems if benchmark else notes
        where.append(f"{len(without)} of {len(queries)} queries have no right answer in the database")
    tolerance = str(frames.tolerance) if frames.tolerance else None
    found = (missing, empty, without, tolerance, problems, notes)
    return Check(str(frames.path), frames.kind, len(database), len(queries), *found)


def _size(path: Path) -> int | None:
    """Bytes; None for a missing file."""
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:  # no permission for the folder
        return None
