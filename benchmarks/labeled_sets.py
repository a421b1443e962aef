"""The paper's sets of products, with categories as ground truth: Stanford Online Products and In-Shop Clothes. Used by `paper.py`.

Stanford Online Products is at https://cvgl.stanford.edu/projects/lifted_struct/: Ebay_test.txt and the folders bicycle_final to toaster_final.
In-Shop Clothes is at https://mmlab.ie.cuhk.edu.hk/projects/DeepFashion/InShopRetrieval.html: Eval/list_eval_partition.txt and the folder img, of
256 x 256 pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vpr_aesvc.datasets.catalog import BENCHMARKS, open_dataset
from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.datasets.image_files import find_images
from vpr_aesvc.datasets.positives import Tolerance
from vpr_aesvc.errors import VprError
from vpr_aesvc.types import Frame

CATEGORY = Tolerance("category")
TITLES = {
    **{name: one.title for name, one in BENCHMARKS.items()},
    "sop": "Stanford Online Products (test)",
    "inshop": "In-Shop Clothes Retrieval (DeepFashion)",
}
SOP_LISTS = tuple(f"{folder}Ebay_{which}.txt" for which in ("test", "info") for folder in ("", "Info_Files/"))
IN_SHOP_LISTS = ("Eval/list_eval_partition.txt", "list_eval_partition.txt")
_SOP_COLUMNS = ["image_id", "class_id", "super_class_id", "path"]
_IN_SHOP_COLUMNS = ["image_name", "item_id", "evaluation_status"]
_SOP_TRAIN_CLASSES = 11_318  # class ids up to this one are the training split; Ebay_info.txt lists both


def open_set(name: str, data: Path) -> FrameSet:
    """The frames of one of the paper's four sets."""
    if name in BENCHMARKS:
        return open_dataset(name, data)
    lists, read = (SOP_LISTS, read_sop) if name == "sop" else (IN_SHOP_LISTS, read_in_shop)
    table = next((data / one for one in lists if (data / one).is_file()), None)
    if table is None:
        raise VprError(f"{data}: expected {TITLES[name]}, found no {lists[0]}")
    return read(table)


def read_sop(table: Path) -> FrameSet:
    """The test split of Stanford Online Products, from ``Ebay_test.txt`` or ``Ebay_info.txt``.

    Every image is a query and a database image: the frames have no split, and an image is no right answer for itself.

    Raises:
        VprError: the file is not that table, or a line is malformed.
    """
    rows = [
        (fields[3], fields[1])
        for line, fields in _rows(table, _SOP_COLUMNS, header=1)
        if _whole(fields[1], table, line, "class_id") > _SOP_TRAIN_CLASSES or table.name != "Ebay_info.txt"
    ]
    if not rows:
        raise VprError(f"{table}: lists no test image")
    root = table.parent
    images, paths = find_images(
        [name for name, _ in rows], [root, root / "images", root.parent, root.parent / "images"]
    )
    frames = tuple(Frame(label=name, path=path, category=item) for (name, item), path in zip(rows, paths, strict=True))
    return FrameSet(table, f"Stanford Online Products, images in {images}", frames, CATEGORY)


def read_in_shop(table: Path) -> FrameSet:
    """In-Shop Clothes Retrieval (DeepFashion), from ``list_eval_partition.txt``: ``gallery`` is the database, ``train`` is not read.

    Raises:
        VprError: the file is not that table, a line is malformed, or it lists no query or no gallery image.
    """
    rows: dict[str, list[tuple[str, str]]] = {"gallery": [], "query": [], "train": []}
    for line, (name, item, status) in _rows(table, _IN_SHOP_COLUMNS, header=2):
        if status not in rows:
            raise VprError(f"{table}, line {line}: evaluation_status must be {', '.join(rows)}, found {status!r}")
        rows[status].append((name, item))
    for status in ("gallery", "query"):
        if not rows[status]:
            raise VprError(f"{table}: no line has evaluation_status {status}")
    root = table.parent.parent if table.parent.name == "Eval" else table.parent
    chosen = [("database", row) for row in rows["gallery"]] + [("query", row) for row in rows["query"]]
    images, paths = find_images([name for _, (name, _) in chosen], [root, root / "Img"])
    frames = tuple(
        Frame(label=name, path=path, category=item, split=split)
        for (split, (name, item)), path in zip(chosen, paths, strict=True)
    )
    return FrameSet(table, f"In-Shop Clothes, images in {images}", frames, CATEGORY)


def _rows(table: Path, columns: list[str], header: int) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of each line after the ``header`` lines; the last header line names the columns."""
    try:
        lines = table.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise VprError(f"{table}: cannot be read as text ({error})") from error
    found = lines[header - 1].split() if len(lines) >= header else []
    if found != columns:
        raise VprError(
            f"{table}, line {header}: expected the columns {' '.join(columns)}, found {' '.join(found) or 'none'}"
        )
    for line, text in enumerate(lines[header:], header + 1):
        fields = text.split()
        if fields and len(fields) != len(columns):
            raise VprError(f"{table}, line {line}: expected {' '.join(columns)}, found {text.strip()!r}")
        if fields:
            yield line, fields


def _whole(text: str, table: Path, line: int, column: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise VprError(f"{table}, line {line}: {column} must be a whole number, found {text!r}") from None
