"""Where images were taken: names, tables and photos with degrees, two UTM zones, or nothing for one image."""

import math

import numpy as np
import pytest
import utm

from tests.cases.test_units import JPEG, built
from tests.command import refused, vpr
from vpr_aesvc.datasets.catalog import open_own
from vpr_aesvc.datasets.exif_gps import hold_gps
from vpr_aesvc.datasets.positives import positives
from vpr_aesvc.errors import VprError
from vpr_aesvc.geography import look_like_degrees, zone_of
from vpr_aesvc.inputs import open_input
from vpr_aesvc.placemap import PlaceMap

PARIS = (48.85, 2.35)
EAST, NORTH = 452314.8912, 5410984.8879  # of it, in zone 31


def images(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(JPEG + name.encode())  # no two have equal bytes
    return folder


def photo(path, latitude=None, longitude=None, **more):
    """A JPEG with GPS in its EXIF. ``more``: ``gps`` replaces tags by number."""
    image_module = pytest.importorskip("PIL.Image")
    picture = image_module.fromarray(np.full((24, 32, 3), 90, np.uint8))
    exif = image_module.Exif()
    exif[0x010F] = "maker"
    if latitude is not None:
        sexagesimal = [(abs(one) // 1, abs(one) * 60 % 60 // 1, abs(one) * 3600 % 60) for one in (latitude, longitude)]
        tags = {
            1: "NS"[latitude < 0],
            2: sexagesimal[0],
            3: "EW"[longitude < 0],
            4: sexagesimal[1],
            **more.get("gps", {}),
        }
        exif[0x8825] = {tag: value for tag, value in tags.items() if value is not None}
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, exif=exif)


def table(path, header, *rows):
    path.write_text("\n".join(["path,split," + header, *(f"{i}.jpg,{row}" for i, row in enumerate(rows))]))
    return open_input(path)


def xy(source):
    return [frame.pose and (round(frame.pose.x, 2), round(frame.pose.y, 2)) for frame in source]


@pytest.mark.parametrize(
    "names",
    [
        ["@48.8501@2.3501@.jpg", "@48.8503@2.3501@.jpg"],
        ["@2.3501@48.8501@.jpg", "@2.3503@48.8501@.jpg", "@2.3503@48.8511@.jpg"],
        ["@-33.86881@151.20931@.jpg", "@-33.86981@151.21931@.jpg"],
        ["@35.6581@139.7017@54@S@.jpg", "@35.6681@139.7117@54@S@.jpg"],
    ],
)  # fmt: skip
def test_other_degrees_in_names(names, tmp_path):
    with pytest.raises(VprError, match="looks like degrees"):
        open_input(images(tmp_path, names))
    rows = [f"database,{','.join(name.split('@')[1:3])}" for name in names]
    with pytest.raises(VprError, match="in easting and northing, found what looks like degrees"):
        table(tmp_path / "frames.csv", "easting,northing", *rows)


@pytest.mark.parametrize(
    "positions",
    [
        [(365000.12345, 4620000.0), (365010.0, 4620000.12345)],
        [(0.0, 0.0), (0.5, 0.1234), (0.6, 0.2)],  # a table top
        [(1.34051, 0.62661), (1.24051, 0.92661)],  # TUM RGB-D, a desk
        [(35.12, 20.501), (35.34, 20.6)],  # millimeters
        [(35.12345, 20.50123), (95.34567, 20.65432)],
        [(48.8501, 2.3501)],
        [],
    ],
)
def test_meters_are_no_degrees(positions):
    assert not look_like_degrees(positions)


def test_two_zones(tmp_path):
    """Two images 40 m apart, on either side of 6 degrees east, and one 2 km away."""
    names = []
    for latitude, longitude in ((50.0, 5.9998), (50.0, 6.0003), (50.0, 6.03)):
        east, north, zone, letter = utm.from_latlon(latitude, longitude)
        names.append(f"@{east:.2f}@{north:.2f}@{zone}@{letter}@x@.jpg")
    images(tmp_path / "database", names[:1])
    images(tmp_path / "queries", names[1:])
    for source in (open_input(tmp_path), open_own(tmp_path)):
        assert (
            "poses: the names have UTM zone 31 north and UTM zone 32 north; all were projected to UTM zone 31 north"
            in source.notes
        )
        (x, y), (near_x, near_y), _ = xy(source)
        assert math.hypot(near_x - x, near_y - y) == pytest.approx(35.8, abs=0.1)
        found = positives(source.split("query").frames, source.split("database").frames)
        assert found.counts.tolist() == [0, 0]  # 36 m
    assert open_input(images(tmp_path / "one", names[1:])).notes == [
        "poses: UTM in the names, in UTM zone 32 north, meters"
    ]


def test_the_equator(tmp_path):
    names = ["@166021.44@9999000.00@31@M@.jpg", "@166021.44@0000500.00@31@N@.jpg"]
    (_, south), (_, north) = xy(open_input(images(tmp_path, names)))
    assert abs(north - south) == pytest.approx(1500, abs=0.01)


def test_frames_csv_in_degrees(tmp_path):
    rows = ["database,48.85,2.35,35,0", "query,48.8501,2.35,36,1.5707963", "query,0,0,0,0", "query,,,,"]
    source = table(tmp_path / "frames.csv", "latitude,longitude,altitude,heading", *rows)
    assert xy(source)[:1] == [(round(EAST, 2), round(NORTH, 2))] and xy(source)[2:] == [None, None]
    assert source.frames[1].pose.y - NORTH == pytest.approx(11.116, abs=0.01) and source.frames[1].pose.z == 36
    assert any("latitude and longitude, in UTM zone 31 north" in note for note in source.notes)
    assert len(source.skip_counts) == 2
    assert xy(table(tmp_path / "frames.csv", "lon,lat", "database,2.35,48.85")) == [(round(EAST, 2), round(NORTH, 2))]
    assert table(tmp_path / "frames.csv", "easting,northing,lat,lon", "database,1,2,48,2").frames[0].pose.x == 1
    with pytest.raises(VprError, match="line 2: expected a latitude"):
        table(tmp_path / "frames.csv", "latitude,longitude", "database,148.85,2.35")


def test_the_frame_of_degrees_does_not_depend_on_the_set(tmp_path):
    """A map and queries that are opened at other times have one frame, and that of names with UTM."""
    first = table(tmp_path / "a.csv", "latitude,longitude", "database,48.85,2.35", "database,48.86,2.36")
    second = table(tmp_path / "b.csv", "latitude,longitude", "query,48.86,2.36", "query,48.2,4.9")
    assert xy(first)[1] == xy(second)[0]
    east, north, *_ = utm.from_latlon(48.86, 2.36)
    assert xy(open_input(images(tmp_path / "named", [f"@{east:.2f}@{north:.2f}@31@U@.jpg"]))) == xy(second)[:1]


def test_another_zone_is_not_added_to_a_map(drawn_model, tmp_path):
    for name, easting in (("a", 31), ("b", 31), ("c", 32)):
        images(tmp_path / name, [f"@365000.00@4620000.00@{easting}@T@{name}@.jpg"])
    built(drawn_model, tmp_path / "a", tmp_path / "map")
    add = ("map", "add", tmp_path / "map")
    refused(vpr(*add, tmp_path / "c", "--traverse", "c"), "its poses are in UTM zone 32 north, those of")
    assert vpr(*add, tmp_path / "b", "--traverse", "b").returncode == 0


def test_two_zones_in_a_column(tmp_path):
    rows = ["database,500000,5000000,31", "database,500100,5000000,32"]
    with pytest.raises(VprError, match="found 31, 32 in utm_zone"):
        table(tmp_path / "frames.csv", "easting,northing,utm_zone", *rows)


@pytest.mark.parametrize("value", ["90", "-180", "359.5"])
def test_headings_in_degrees(value, tmp_path):
    with pytest.raises(VprError, match=r"line 3: heading must be in radians"):
        table(tmp_path / "frames.csv", "easting,northing,heading", "database,1,2,3.14", f"database,1,2,{value}")


@pytest.mark.parametrize("separator", [";", "\t", ","])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables_as_windows_writes_them(separator, encoding, tmp_path):
    text = "path,split,easting,northing,stamp\r\na.jpg,database,1.5,2,1403636579763555584\r\nb.jpg,query,2,3,1403636580763555584\r\n"
    (tmp_path / "frames.csv").write_bytes(text.replace(",", separator).encode(encoding))
    source = open_input(tmp_path)
    assert xy(source) == [(1.5, 2), (2, 3)] and source.frames[0].stamp == 1403636579763555584 / 10**9
    assert source.notes == ["stamps: in nanoseconds"]
    (tmp_path / "frames.csv").write_text(text.replace(",", ";").replace("1.5", "1,5"))
    with pytest.raises(VprError, match="easting must be a number, found '1,5'; write a decimal point"):
        open_input(tmp_path)


def test_stamps_of_a_table_since_the_start(tmp_path):
    source = table(tmp_path / "frames.csv", "stamp", "database,0.5", "database,", "database,12")
    assert [frame.stamp for frame in source] == [0.5, None, 12] and not source.notes
    with pytest.raises(VprError, match="column stamp: expected stamps of one unit"):
        table(tmp_path / "frames.csv", "stamp", "database,1403636579.5", "database,1403636579763555584")


def test_photos_that_hold_gps_are_said_with_the_command(tmp_path):
    for i in range(3):
        photo(tmp_path / f"{i}.jpg", PARIS[0] + i * 1e-3, PARIS[1])
    source = open_input(tmp_path)
    assert xy(source) == [None] * 3 and "`exiftool -csv -n -r -GPSLatitude" in source.notes[0]


def test_the_table_that_exiftool_writes(tmp_path):
    rows = [f"./{i}.jpg,{PARIS[0] + i * 1e-3},{PARIS[1]},{35.5 + i}" for i in range(3)]
    text = "\n".join(["SourceFile,GPSLatitude,GPSLongitude,GPSAltitude", *rows, "./3.jpg,,,"])
    (tmp_path / "frames.csv").write_text(text + "\n")
    source = open_input(tmp_path)
    assert xy(source)[0] == (round(EAST, 2), round(NORTH, 2)) and xy(source)[3] is None
    assert source.frames[2].pose.z == 37.5 and source.frames[0].split is None and len(source.split("database")) == 4
    assert source.skip_counts.counts == {"poses (no latitude or longitude)": 1}


def test_photos_in_tiff(tmp_path):
    image_module = pytest.importorskip("PIL.Image")
    picture = image_module.fromarray(np.random.default_rng(0).integers(0, 256, (400, 500, 3), np.uint8))
    exif = image_module.Exif()
    exif[0x8825] = {1: "N", 2: (48.0, 51.0, 0.0), 3: "E", 4: (2.0, 21.0, 0.0)}
    picture.save(tmp_path / "a.tif", exif=exif.tobytes())
    assert "GPS" in open_input(tmp_path).notes[0]


def test_pairs_of_photos_stay_pairs(tmp_path):
    for folder in ("ref", "query"):
        photo(tmp_path / folder / "1.jpg", *PARIS)
        photo(tmp_path / folder / "2.jpg", *PARIS)
    assert open_own(tmp_path).kind.startswith("aligned pairs")


def test_a_table_of_photos_says_that_they_hold_gps(tmp_path):
    photo(tmp_path / "0.jpg", *PARIS)
    source = table(tmp_path / "frames.csv", "category", "database,a", "database,b")
    assert xy(source) == [None, None] and "exiftool" in source.notes[0]


def test_ordinary_folders_are_not_searched_for_gps(tmp_path, monkeypatch):
    """The ends of no more than 16 files are read."""
    folder = images(tmp_path, [f"{i:03d}.jpg" for i in range(100)])
    opened = []
    monkeypatch.setattr("vpr_aesvc.datasets.exif_gps._has_pointer", lambda path: opened.append(path))
    assert not hold_gps([frame.path for frame in open_input(folder)]) and len(opened) <= 32  # by open_input and here


def test_zones():
    assert str(zone_of(60.39, 5.32)) == "UTM zone 32 north"  # Bergen, in the wide zone
    assert str(zone_of(-33.87, 151.2)) == "UTM zone 56 south"
    with pytest.raises(VprError, match="cannot be projected to UTM"):
        zone_of(48.0, 2.0).project([89.0], [2.0])


# Frames that do not compare


def test_recall_of_another_zone_is_not_told(drawn_model, tmp_path):
    for name, zone in (("a", 31), ("c", 32)):
        images(tmp_path / name, [f"@365000.00@4620000.00@{zone}@T@{name}@.jpg"])
    built(drawn_model, tmp_path / "a", tmp_path / "map")
    done = vpr("query", tmp_path / "map", tmp_path / "c")
    assert done.returncode == 0 and "R@1" not in done.stderr
    assert "no recall: its poses are in UTM zone 32 north" in " ".join(done.stderr.split())
    built(drawn_model, tmp_path / "c", tmp_path / "other")
    refused(vpr("map", "merge", tmp_path / "map", tmp_path / "other", "-o", tmp_path / "both"), "UTM zone 32 north")


def test_local_meters_are_not_added_to_utm(drawn_model, tmp_path):
    images(tmp_path / "a", ["@365000.00@4620000.00@31@T@a@.jpg"])
    built(drawn_model, tmp_path / "a", tmp_path / "map")
    images(tmp_path / "b", ["b.jpg"])
    (tmp_path / "b" / "frames.csv").write_text("path,split,easting,northing\nb.jpg,database,1,2\n")
    refused(
        vpr("map", "add", tmp_path / "map", tmp_path / "b", "--traverse", "b"), "their poses are in different frames"
    )
    with PlaceMap.open(tmp_path / "map") as places:
        assert len(places) == 1


def test_a_set_around_the_world(tmp_path):
    """Meters are right within each region, and no two regions mix."""
    rows = [
        "database,47.3769,8.5417",
        "database,-33.8688,151.2093",
        "query,-33.86875,151.2093",
        "query,-33.8688,-70.7907",
    ]
    source = table(tmp_path / "frames.csv", "latitude,longitude", *rows)
    zurich, sydney, near, santiago = (np.array(position) for position in xy(source))
    assert np.linalg.norm(sydney - near) == pytest.approx(5.55, abs=0.05)
    assert min(np.linalg.norm(zurich - sydney), np.linalg.norm(sydney - santiago)) > 1e7
    assert any("3 images are too far from UTM zone 32 north" in note for note in source.notes)
    names = []
    for latitude, longitude in ((47.3769, 8.5417), (-33.8688, 151.2093), (-33.86875, 151.2093)):
        east, north, zone, letter = utm.from_latlon(latitude, longitude)
        names.append(f"@{east:.2f}@{north:.2f}@{zone}@{letter}@x{latitude}@.jpg")
    first, second, third = (np.array(position) for position in xy(open_input(images(tmp_path / "named", names))))
    assert np.linalg.norm(first - second) == pytest.approx(5.55, abs=0.05) and np.linalg.norm(first - third) > 1e7


@pytest.mark.parametrize(
    "rows",
    [
        ["database,47.3769,8.5417", "database,46.95,7.14"],  # Zurich to Bern
        ["database,48.851,2.351", "database,48.852,2.352"],  # three decimals
    ],
)
def test_what_may_be_degrees_is_said(rows, tmp_path):
    source = table(tmp_path / "frames.csv", "easting,northing", *rows)
    assert any("are taken for meters; if" in note and "latitude and longitude" in note for note in source.notes)


def test_local_meters_have_no_such_note(tmp_path):
    street = ["database,8.056,-0.352", "database,120.5,0.311"]
    for rows in (["database,0,0", "database,12.5,30.25"], ["database,365000,4620000"], ["database,200.5,10"], street):
        assert not table(tmp_path / "frames.csv", "easting,northing", *rows).notes


def test_degrees_times_ten_million(tmp_path):
    with pytest.raises(VprError, match="farther than around the earth"):
        table(tmp_path / "frames.csv", "easting,northing", "database,473769000,85417000")


def test_columns_in_other_spellings(tmp_path):
    assert xy(table(tmp_path / "a.csv", "Latitude, Longitude", "database,48.85,2.35")) == [
        (round(EAST, 2), round(NORTH, 2))
    ]
    assert xy(table(tmp_path / "b.csv", "gps_lat,gps_lon", "database,48.85,2.35")) == [
        (round(EAST, 2), round(NORTH, 2))
    ]
    notes = table(tmp_path / "c.csv", "x,y,speed", "database,1,2,3").notes
    assert notes == [
        "no poses: the columns x, y are not used; name positions easting and northing (meters), or latitude and longitude"
    ]


def test_zones_without_a_letter(tmp_path):
    with pytest.raises(VprError, match="UTM zones 32, 33, some without the letter"):
        open_input(images(tmp_path, ["@365000@5200000@32@@x@.jpg", "@365000@5200000@33@@x@.jpg"]))
    assert xy(open_input(images(tmp_path / "one", ["@365000@5200000@32@@x@.jpg"]))) == [(365000, 5200000)]
    assert len(xy(open_input(images(tmp_path / "two", ["@400000@5200000@a.jpg", "@400001@5200000@b.jpg"])))) == 2
