"""Damage below the container: messages and rows of a bag, arrays of an archive, parts of a graph, and rows of a map and weights with
checksums that match them."""

from __future__ import annotations

import io
import math
import shutil
import sqlite3
import zipfile
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from tests.fuzz import seed_models, seeds
from tests.fuzz.damage import damaged
from tests.fuzz.damage_text import NUMBERS, WORDS, json_value
from vpr_aesvc.placemap.checksums import metadata_checksum, place_checksum, row_checksum, write_tally
from vpr_aesvc.projections.artifact import Projection


def damage_messages(folder: Path, random: Random, variant: str) -> None:
    """Damages messages in a bag that is otherwise intact."""
    seeds.empty(folder)
    storage, poses, raw = variant.split()
    messages = list(seeds.bag_messages(storage, poses, raw == "raw"))
    for _ in range(random.choice((1, 2, 20))):
        at = random.randrange(len(messages))
        topic, type, data, received = messages[at]
        messages[at] = topic, type, damaged(data, random, [one[2] for one in messages]), received
    with seeds.BagWriter(seeds.bag_path(folder, storage), storage) as writer:
        for message in messages:
            writer.raw(*message)


def damage_members(folder: Path, random: Random, _: str) -> None:
    """Damages arrays of an .npz whose checksums are right."""
    path = next(path for path in folder.iterdir() if path.suffix == ".npz")
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    for _ in range(random.choice((1, 1, 3))):
        name = random.choice(list(members))
        members[name] = (
            _damaged_array(members[name], random)
            if random.random() < 0.6
            else damaged(members[name], random, list(members.values()))
        )
    if random.random() < 0.05:
        del members[random.choice(list(members))]
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)


def _damaged_array(content: bytes, random: Random) -> bytes:
    """An array with absurd values, of another type or another shape, in a valid file."""
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception:
        return content
    what = random.randrange(4)
    if what == 0 and array.size:
        flat = array.reshape(-1).copy()
        with suppress(ValueError, OverflowError), np.errstate(all="ignore"):
            flat[random.randrange(flat.size)] = random.choice(
                NUMBERS[:30] if array.dtype.kind != "U" else NUMBERS[:30] + WORDS[:30]
            )
        array = flat.reshape(array.shape)
    elif what == 1:
        kind = random.choice(("f4", "f8", "i8", "u1", "?", "U3", "S4", "c8", "M8[s]", "f2"))
        with suppress(ValueError, TypeError, OverflowError, RuntimeError), np.errstate(all="ignore"):
            array = array.astype(kind)
    elif what == 2:
        array = random.choice(
            (
                array[:-1] if array.ndim else array,
                array[..., None],
                array.ravel()[:0],
                np.concatenate([array.ravel()] * 2),
            )
        )
    elif array.dtype.kind == "U" and array.ndim == 0:
        array = np.array(damaged(str(array).encode(), random, [b"x"]).decode(errors="replace"))
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def damage_learned(folder: Path, random: Random, _: str) -> None:
    """Absurd values in what recognition learned from a map."""
    with closing(sqlite3.connect(folder / "street.vprmap", isolation_level=None)) as db:
        learned = db.execute("SELECT name, value FROM learned").fetchall()
        for _change in range(random.choice((1, 1, 4))):
            name, value = random.choice(learned)
            value = json_value(value, random)
            db.execute(
                "UPDATE learned SET value = ?, checksum = ? WHERE name = ?", (value, row_checksum(name, value), name)
            )


_ENDLESS = """DROP TABLE learned; CREATE VIEW learned AS
WITH RECURSIVE n(name) AS (SELECT 'kept' UNION ALL SELECT name FROM n) SELECT name, max(name) AS value, 1 AS checksum FROM n"""


def damage_rows(folder: Path, random: Random, _: str) -> None:
    """Absurd values in the tables of a map, most of the time with checksums that match them."""
    with closing(sqlite3.connect(folder / "street.vprmap", isolation_level=None)) as db:
        if random.random() < 0.02:
            db.executescript(_ENDLESS)
            return
        db.execute("PRAGMA ignore_check_constraints = 1")
        for _change in range(random.choice((1, 1, 3))):
            table = random.choice(("meta", "places", "places", "places", "traverses", "thumbnails", "learned", "tally"))
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            column = random.choice(columns)
            value = random.choice(
                (
                    None,
                    b"",
                    b"\xff" * 16,
                    math.inf,
                    -math.inf,
                    1e308,
                    -1,
                    0,
                    2**62,
                    *NUMBERS,
                    *[w for w in WORDS if w.isascii()],
                )
            )
            where = "rowid" if table != "meta" else "key"
            keys = [row[0] for row in db.execute(f"SELECT {where} FROM {table}")]
            with suppress(sqlite3.Error, IndexError):
                if random.random() < 0.1:
                    db.execute(f"DELETE FROM {table} WHERE {where} = ?", (random.choice(keys),))
                else:
                    db.execute(f"UPDATE {table} SET {column} = ? WHERE {where} = ?", (value, random.choice(keys)))
        if random.random() < 0.8:
            with suppress(Exception):  # a value may be of any type
                _seal(db)


def _seal(db: sqlite3.Connection) -> None:
    """Makes all checksums match."""
    meta = dict(db.execute("SELECT key, value FROM meta WHERE key != 'checksum'"))
    db.execute("UPDATE meta SET value = ? WHERE key = 'checksum'", (metadata_checksum(meta),))
    for row in db.execute("SELECT id, name, started, robot, notes FROM traverses").fetchall():
        db.execute("UPDATE traverses SET checksum = ? WHERE id = ?", (row_checksum(*row), row[0]))
    for row in db.execute("SELECT name, value FROM learned").fetchall():
        db.execute("UPDATE learned SET checksum = ? WHERE name = ?", (row_checksum(*row), row[0]))
    total = count = 0
    query = "SELECT id, traverse, stamp, x, y, z, qx, qy, qz, qw, descriptor, label, path, extra, thumbnail FROM places"
    for row in db.execute(query).fetchall():
        pose, words = place_checksum(row[0], row[1], row[2:10], row[10]), row_checksum(row[0], *row[11:])
        db.execute("UPDATE places SET checksum = ?, words_checksum = ? WHERE id = ?", (pose, words, row[0]))
        count, total = count + 1, total + pose + words
    write_tally(db, count, total, 0)


def damage_weights(folder: Path, random: Random, _: str) -> None:
    """Absurd weights in a model whose fingerprint matches them."""
    shutil.rmtree(folder / "model")
    weights = seed_models.projection()
    arrays = {name: array.copy() for name, array in weights.tensors().items()}
    name = random.choice(list(arrays))
    if arrays[name].size and random.random() < 0.7:
        arrays[name].reshape(-1)[random.randrange(arrays[name].size)] = random.choice(
            (math.nan, math.inf, 3e38, -3e38, 1e-45)
        )
    elif random.random() < 0.5:
        arrays[name] = arrays[name] * np.float32(random.choice((0, 1e30, 3e38, 1e-38)))
    else:
        arrays[name] = arrays[name][..., :-1]
    with np.errstate(all="ignore"):
        seed_models.model(folder, replace(Projection.of(weights.mean, weights.linear), **arrays))


def damage_graph(folder: Path, random: Random, _: str) -> None:
    """A damaged graph in a robot model whose fingerprint matches it."""
    graph = (folder / "model/descriptor.onnx").read_bytes()
    shutil.rmtree(folder / "model")
    seed_models.robot_model(folder, damaged(graph, random, [b"x" * 50]))


def damage_onnx(folder: Path, random: Random, _: str) -> None:
    """A graph that can be parsed, with absurd sizes, types, operators, attributes or names."""
    import onnx

    path = next(folder.glob("*/*.onnx"))
    model = onnx.load(path, load_external_data=False)
    for _change in range(random.choice((1, 1, 2))):
        _change_graph(model.graph, random)
    content = model.SerializeToString()
    if folder.joinpath("model").is_dir():
        shutil.rmtree(folder / "model")
        seed_models.robot_model(folder, content)
    else:
        path.write_bytes(content)


def _change_graph(graph: Any, random: Random) -> None:
    what = random.randrange(7)
    node = random.choice(graph.node)
    if what in (0, 1):  # of an input or output
        tensor = random.choice((graph.input[0], graph.output[0])).type.tensor_type
        if random.random() < 0.3:
            tensor.elem_type = random.choice((1, 2, 3, 6, 7, 8, 9, 10, 11, 16, 99))
        elif random.random() < 0.2 or not tensor.shape.dim:
            del tensor.shape.dim[random.randrange(3) :]
        else:
            dim = random.choice(tensor.shape.dim)
            dim.Clear()
            dim.dim_value = random.choice((-1, 0, 1, 2, 7, 300, 2**16, 2**31 - 1, 2**31, 2**62))
    elif what == 2:
        node.op_type = random.choice(
            ("Relu", "Exp", "Log", "Shape", "Size", "Loop", "If", "Expand", "Tile", "NonZero", "Nonsense", "Reciprocal")
        )
    elif what == 3 and node.attribute:
        attribute = random.choice(node.attribute)
        attribute.i = random.choice((-1, 2, 2**31, 2**62))
        if attribute.ints:
            attribute.ints[random.randrange(len(attribute.ints))] = random.choice((-9, -1, 0, 3, 99, 2**62))
    elif what == 4:
        tensor = random.choice(graph.initializer)
        if random.random() < 0.5:
            tensor.dims[random.randrange(len(tensor.dims))] = random.choice((-1, 0, 1, 5, 2**31, 2**62))
        else:
            tensor.raw_data = damaged(tensor.raw_data or b"1", random, [b"\xff" * 96, b"\0" * 96])
    elif what == 5:
        names = node.input if random.random() < 0.5 else node.output
        names[random.randrange(len(names))] = random.choice(("image", "weights", "mean", "", "nothing", "embedding"))
    else:
        random.choice((graph.input[0], graph.output[0], node, graph)).name = random.choice(
            ("", "x", "image", "embedding", "a" * 5000)
        )


def damage_bag_rows(folder: Path, random: Random, _: str) -> None:
    """Absurd values in the tables of a sqlite3 bag."""
    with closing(sqlite3.connect(next(folder.glob("run/*.db3")), isolation_level=None)) as db:
        for _change in range(random.choice((1, 1, 3))):
            table = random.choice([row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")])
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            rows = [row[0] for row in db.execute(f"SELECT rowid FROM {table}")]
            value = random.choice(
                (
                    None,
                    b"",
                    b"\xff" * 16,
                    math.inf,
                    1e308,
                    -1,
                    0,
                    2**62,
                    -(2**63),
                    *NUMBERS,
                    *[w for w in WORDS if w.isascii()],
                )
            )
            with suppress(sqlite3.Error, IndexError):
                if random.random() < 0.1:
                    db.execute(f"DELETE FROM {table} WHERE rowid = ?", (random.choice(rows),))
                else:
                    db.execute(
                        f"UPDATE {table} SET {random.choice(columns)} = ? WHERE rowid = ?", (value, random.choice(rows))
                    )
