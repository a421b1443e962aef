"""What the fuzzer found once, input by input: each crashed, filled the memory, or ended in an exception that is no VprError."""

import io
import json
import sqlite3
import struct
import zipfile

import numpy as np
import pytest

from tests.fuzz import seed_models, seeds
from tests.fuzz.checks import read_source
from tests.fuzz.reading import read_bag, read_embeddings, read_encoder, read_map, read_model
from vpr_aesvc.errors import VprError
from vpr_aesvc.images import Preprocess, decode_image
from vpr_aesvc.types import Pose


def test_a_png_chunk_that_is_longer_than_the_file():
    png = bytearray(seeds.coded(0, ".png"))
    at = png.index(b"IDAT") - 4
    png[at : at + 4] = struct.pack(">I", 2**31 - 1)
    with pytest.raises(VprError, match="the file is truncated"):
        decode_image(bytes(png))


def test_letters_that_do_not_exist_in_an_npz(tmp_path):
    seed_models.embeddings(".npz")(tmp_path)
    names = np.array(["0.png", "1.png", "2.png"]).view(np.uint32).copy()
    names[3] = 2**31
    np.savez(tmp_path / "table.npz", embeddings=seed_models.rows(3), names=names.view("<U5"))
    with pytest.raises(VprError, match="holds no text"):
        read_embeddings(tmp_path)


def test_a_file_in_an_npz_that_is_no_array(tmp_path):
    seed_models.embeddings(".npz")(tmp_path)
    header = io.BytesIO()
    np.save(header, seed_models.rows(3))
    with zipfile.ZipFile(tmp_path / "table.npz", "w") as file:
        file.writestr("a.npy", header.getvalue().replace(b"}", b"("))
    with pytest.raises(VprError, match=r"table\.npz: the embeddings cannot be read"):
        read_embeddings(tmp_path)


def test_names_of_files_with_a_null_byte_or_too_many_letters(tmp_path):
    seeds.frames_csv(tmp_path)
    table = tmp_path / "frames.csv"
    text = table.read_text()
    for name in ("a\0b.png", "a" * 5000 + ".png"):
        table.write_text(text.replace("0.png", name))
        assert read_source(tmp_path) == [3, 4, 4]


def test_a_name_with_a_line_end_stays_in_one_line(tmp_path):
    (tmp_path / "set\r\n.xyz").write_bytes(b"")
    with pytest.raises(VprError) as caught:
        read_source(tmp_path)
    assert "\n" not in str(VprError("two\nlines, \x1b[31mred")) and "\n" not in str(caught.value)


def test_positions_where_no_robot_was():
    with pytest.raises(ValueError, match="must be within 1e"):
        Pose(0, 0, -1e308)


def test_sizes_that_would_fill_the_memory(tmp_path):
    seed_models.encoder()(tmp_path)
    path = tmp_path / "encoder/preprocess.json"
    described = json.loads(path.read_text())
    described["input"]["size"] = [2**31, 16]
    path.write_text(json.dumps(described))
    with pytest.raises(VprError, match=r"preprocess\.json"):
        read_encoder(tmp_path)
    narrow = np.zeros((1, 64_000, 3), np.uint8)
    with pytest.raises(VprError, match="more than the limit"):
        Preprocess(height=224, width=224, resize="crop")(narrow)


def test_a_graph_for_a_billion_images_at_once(tmp_path):
    seed_models.encoder(batch=2**30)(tmp_path)
    with pytest.raises(VprError, match="at once, too many for the memory"):
        read_encoder(tmp_path)


def test_weights_so_large_that_descriptors_overflow(tmp_path):
    weights = seed_models.projection()
    weights.linear[0, 0] = 3e38
    seed_models.model(tmp_path, weights)
    with pytest.raises(VprError, match="not finite or too large"):
        read_model(tmp_path)


@pytest.mark.parametrize(
    "script",
    [
        "DROP TABLE learned; CREATE VIEW learned AS SELECT 'kept' AS name, '{}' AS value, 1 AS checksum",
        "UPDATE meta SET key = x'00' WHERE key = 'dim'",
    ],
)
def test_maps_that_another_program_changed(tmp_path, script):
    seed_models.place_map(tmp_path)
    with sqlite3.connect(tmp_path / "street.vprmap") as db:
        db.executescript(script)
    db.close()
    with pytest.raises(VprError, match="the map is damaged"):
        read_map(tmp_path)


def test_times_of_a_bag_that_are_text(tmp_path):
    seeds.bag("sqlite3")(tmp_path)
    with sqlite3.connect(next(tmp_path.glob("run/*.db3"))) as db:
        db.execute("UPDATE messages SET timestamp = 'soon' WHERE id = 4")
    db.close()
    with pytest.raises(VprError, match="str"):
        read_bag(tmp_path)
