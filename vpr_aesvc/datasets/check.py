"""Check that a data set is complete, before hours of computing: counts, files, right answers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vpr_aesvc.datasets.catalog import BENCHMARKS, Benchmark, open_dataset
from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.datasets.netvlad_layouts import CUTOUTS
from vpr_aesvc.datasets.positives import positives
from vpr_aesvc.types import Frame


@dataclass(frozen=True)
class Check:
    """The result.

    Attributes:
        kind: how it was read and where its images are.
        expected_database, expected_queries: counts of the published set; None for the user's own data.
        missing, empty: image files that are listed but missing, or have zero bytes.
        without_positives: labels of queries without a right answer in the database.
        tolerance: when a database image is a right answer; None if unknown.
        problems: what is wrong; empty if the set is complete.
        notes: what is worth knowing but not wrong.
    """

    name: str
    title: str
    root: str
    kind: str
    database: int
    queries: int
    expected_database: int | None
    expected_queries: int | None
    missing: tuple[str, ...]
    empty: tuple[str, ...]
    without_positives: tuple[str, ...]
    tolerance: str | None
    problems: tuple[str, ...]
    notes: tuple[str, ...]

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
    missing, empty = _files(frames)
    tolerance = frames.tolerance
    right = positives(queries, database, tolerance)
    without = [] if right is None else [q.label for q, n in zip(queries, right.counts, strict=True) if not n]
    problems: list[str] = []
    notes: list[str] = []
    expected = (benchmark.database, benchmark.queries) if benchmark else (None, None)
    for what, said, found in zip(("database images", "queries"), expected, (len(database), len(queries)), strict=True):
        if said is not None and said != found:
            problems.append(f"{said} {what} expected, {found} found")
    if missing:
        problems.append(f"{len(missing)} image files are missing")
        if benchmark and len(missing) == len({frame.path for frame in frames.frames}):
            notes.append(f"no image was found; {benchmark.how}")
    if empty:
        problems.append(f"{len(empty)} image files are empty (0 bytes)")
    if right is None:
        problems.append("no right answers: the frames have no poses, no sequences and no categories")
    if without:
        # In a published set each query has a right answer; the user's own drive may leave the map.
        where = problems if expected[1] is not None else notes
        where.append(f"{len(without)} of {len(queries)} queries have no right answer in the database")
    if benchmark:
        _particular(benchmark, database, queries, problems, notes)
    return Check(
        name=name_or_path,
        title=benchmark.title if benchmark else "data of your own",
        root=str(frames.path),
        kind=frames.kind,
        database=len(database),
        queries=len(queries),
        expected_database=expected[0],
        expected_queries=expected[1],
        missing=missing,
        empty=empty,
        without_positives=tuple(without),
        tolerance=str(tolerance) if tolerance else None,
        problems=tuple(problems),
        notes=tuple(notes),
    )


def _files(frames: FrameSet) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Paths of the missing files, and of those with zero bytes."""
    missing, empty = [], []
    for path in dict.fromkeys(frame.path for frame in frames.frames if frame.path):
        try:
            size = path.stat().st_size if path.is_file() else None
        except OSError:  # no permission for the folder
            size = None
        if size is None:
            missing.append(str(path))
        elif size == 0:
            empty.append(str(path))
    return tuple(missing), tuple(empty)


def _particular(
    benchmark: Benchmark, database: Sequence[Frame], queries: Sequence[Frame], problems: list[str], notes: list[str]
) -> None:
    """Checks of single sets."""
    if benchmark.categories is not None:
        found = len({frame.category for frame in queries})
        if found != benchmark.categories:
            problems.append(f"{benchmark.categories} categories expected, {found} found")
    if benchmark.name == "tokyo247":
        panoramas = Counter(frame.extra.get("panorama") for frame in database)
        nameless = panoramas.pop(None, 0)
        odd = sum(count != CUTOUTS for count in panoramas.values())
        if nameless:
            notes.append(
                f"{nameless} database images do not name their panorama, so several images of one panorama may be returned"
            )
        if odd:
            problems.append(f"{odd} of {len(panoramas)} panoramas do not have {CUTOUTS} images")
        times = Counter(frame.extra.get("time", "unknown") for frame in queries)
        if times["unknown"]:
            notes.append(
                f"{times['unknown']} of {len(queries)} queries do not tell day, sunset or night; put the published folder "
                "247query_subset_v2, whose .csv files tell it, into the root"
            )
        else:
            notes.append("queries by " + ", ".join(f"{time}: {count}" for time, count in sorted(times.items())))
