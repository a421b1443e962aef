"""Units and order: stamps in any unit, columns in any order, text as Windows writes it."""

import math

import numpy as np
import pytest

from tests.command import vpr
from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import InputOptions
from vpr_aesvc.images import encode_jpeg
from vpr_aesvc.inputs import open_input
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.trajectory import read_trajectory

JPEG = encode_jpeg(np.full((24, 32, 3), 90, np.uint8))
START = 1_403_636_579_763_555_584  # nanoseconds since 1970, as in EuRoC's names
NANOSECONDS = [START + 250_000_000 * i for i in range(8)]
SECONDS = [stamp / 10**9 for stamp in NANOSECONDS]


def built(model, images, output, *options):
    """What `vpr map build` prints, and the places."""
    done = vpr("map", "build", images, "-m", model, "-o", output, *options)
    assert done.returncode == 0, done.stderr
    with PlaceMap.open(output) as places:
        return " ".join((done.stdout + done.stderr).split()), list(places.places().values())


def folder(path, names):
    path.mkdir(exist_ok=True)
    for name in names:
        (path / f"{name}.jpg").write_bytes(JPEG + f"{name}".encode())  # no two have equal bytes
    return path


def opened(images, trajectory):
    recording = open_input(images, InputOptions(trajectory=trajectory))
    return recording, list(recording)


def written(path, text):
    path.write_text(text)
    return path


def tum(path, stamps, step=0.6):
    return written(path, "".join(f"{stamp} {step * i} 0 0 0 0 0 1\n" for i, stamp in enumerate(stamps)))


@pytest.mark.parametrize(
    ("name_of", "unit"),
    [
        (lambda stamp: stamp, "nanoseconds"),
        (lambda stamp: f"cam0_{stamp // 10**3}", "microseconds"),
        (lambda stamp: f"frame-{stamp // 10**6}", "milliseconds"),
        (lambda stamp: f"{stamp // 10**9}-{stamp % 10**9:09d}", "seconds"),
        (lambda stamp: f"left.{stamp // 10**9}_{stamp % 10**9:09d}", "seconds"),
        (lambda stamp: f"000017_{stamp}", "nanoseconds"),
    ],
)
def test_names_in_any_unit(name_of, unit, tmp_path):
    images = folder(tmp_path / "img", map(name_of, NANOSECONDS))
    recording, frames = opened(images, tum(tmp_path / "t.tum", NANOSECONDS))
    assert [frame.stamp for frame in frames] == pytest.approx(SECONDS, abs=1e-3)
    assert [frame.pose.x for frame in frames[1:-1]] == pytest.approx([0.6 * i for i in range(1, 7)], abs=0.01)
    noted = "stamps: the images' names" + ("" if unit == "seconds" else f", in {unit}")
    assert noted in recording.notes


def test_nanoseconds_keep_their_precision(tmp_path):
    frames = opened(
        folder(tmp_path / "img", NANOSECONDS), tum(tmp_path / "t.tum", [f"{n}.000000" for n in NANOSECONDS])
    )[1]
    assert [frame.stamp for frame in frames] == SECONDS == read_trajectory(tmp_path / "t.tum").stamps


@pytest.mark.parametrize("names", ["img_{:03d}", "IMG_20230412_1234{:02d}", "2023041212345678{:d}", "{:06d}"])
def test_names_that_are_no_stamps(names, tmp_path):
    images = folder(tmp_path / "img", [names.format(i) for i in range(8)])
    with pytest.raises(VprError, match="cannot tell when the images were taken"):
        opened(images, tum(tmp_path / "t.tum", SECONDS))


@pytest.mark.parametrize("unit", [10**9, 10**6, 10**3])
def test_listed_times_in_any_unit(unit, tmp_path):
    """KITTI's times.txt and the rgb.txt of TUM RGB-D, since 1970 and since the start of the run."""
    images = folder(tmp_path / "img", [f"{i:06d}" for i in range(8)])
    trajectory = tum(tmp_path / "t.tum", SECONDS)
    (images / "times.txt").write_text("".join(f"{stamp * unit // 10**9}\n" for stamp in NANOSECONDS))
    recording, frames = opened(images, trajectory)
    assert [frame.stamp for frame in frames] == pytest.approx(SECONDS, abs=1e-3)
    (images / "times.txt").rename(tmp_path / "t.txt")
    (images / "rgb.txt").write_text("".join(f"{n * unit // 10**9} {i:06d}.jpg\n" for i, n in enumerate(NANOSECONDS)))
    recording, frames = opened(images, trajectory)
    assert [frame.stamp for frame in frames] == pytest.approx(SECONDS, abs=1e-3)
    (images / "rgb.txt").write_text("".join(f"{i * unit // 4} {i:06d}.jpg\n" for i in range(8)))
    recording, frames = opened(images, tum(tmp_path / "t.tum", [0.25 * i for i in range(8)]))
    assert [frame.stamp for frame in frames] == [0.25 * i for i in range(8)]
    assert any("stamps of the images: taken to be" in note for note in recording.notes)


def test_a_trajectory_since_the_start_of_the_run(tmp_path):
    images = folder(tmp_path / "img", [f"{5 + 0.5 * i:.2f}" for i in range(8)])
    recording, frames = opened(images, tum(tmp_path / "t.tum", [(4 + i) * 500_000_000 for i in range(16)]))
    assert [frame.stamp for frame in frames] == [5 + 0.5 * i for i in range(8)]
    assert [frame.pose.x for frame in frames] == pytest.approx([0.6 * (i + 6) for i in range(8)])
    assert "stamps of the trajectory: taken to be nanoseconds, which fit the others" in recording.notes
    with pytest.raises(VprError, match="no image of"):  # of another time: no unit makes it fit
        opened(images, tum(tmp_path / "t.tum", [100 + i for i in range(16)]))


def test_both_in_another_unit(tmp_path):
    """Milliseconds since a computer started: nothing but their distance shows it."""
    images = folder(tmp_path / "img", [f"{i:06d}" for i in range(8)])
    (images / "times.txt").write_text("".join(f"{523000 + 250 * i}\n" for i in range(8)))
    words = "s apart or more: if their stamps are not seconds, write seconds"
    with pytest.raises(VprError, match=f"images and poses lie 20 {words}"):
        opened(images, tum(tmp_path / "t.tum", range(522987, 525000, 20)))
    recording = opened(images, tum(tmp_path / "t.tum", range(523000, 525000, 250)))[0]
    assert f"images and poses lie 250 {words}" in recording.notes


def test_two_units_in_one_series(tmp_path):
    images = folder(tmp_path / "img", [*NANOSECONDS[:4], *(stamp // 10**3 for stamp in NANOSECONDS[4:])])
    with pytest.raises(VprError, match="expected stamps of one unit"):
        opened(images, tum(tmp_path / "t.tum", SECONDS))
    with pytest.raises(VprError, match="expected stamps of one unit"):
        read_trajectory(tum(tmp_path / "t.tum", [*SECONDS[:4], *NANOSECONDS[4:]]))


EUROC = (
    "#timestamp, p_RS_R_x [m], p_RS_R_y [m], p_RS_R_z [m], q_RS_w [], q_RS_x [], q_RS_y [], q_RS_z [], v_RS_R_x [m s^-1], v_RS_R_y [m s^-1], "
    "v_RS_R_z [m s^-1], b_w_RS_S_x [rad s^-1], b_w_RS_S_y [rad s^-1], b_w_RS_S_z [rad s^-1], b_a_RS_S_x [m s^-2], b_a_RS_S_y [m s^-2], b_a_RS_S_z [m s^-2]"
)
ROS1 = (
    "%time,field.header.seq,field.header.stamp,field.header.frame_id,field.pose.pose.position.x,field.pose.pose.position.y,field.pose.pose.position.z,"
    "field.pose.pose.orientation.x,field.pose.pose.orientation.y,field.pose.pose.orientation.z,field.pose.pose.orientation.w,field.pose.covariance0,"
    "field.twist.twist.linear.x,field.twist.twist.linear.y,field.twist.twist.linear.z,field.twist.twist.angular.x"
)
BAGPY = (
    "Time,header.seq,header.stamp.secs,header.stamp.nsecs,header.frame_id,pose.position.x,pose.position.y,pose.position.z,pose.orientation.x,"
    "pose.orientation.y,pose.orientation.z,pose.orientation.w"
)
TURNED = (math.cos(0.4), math.sin(0.4))  # qw and qz


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (EUROC, "{ns},1,2,3,{w},0,0,{z}" + ",9" * 9),
        (ROS1, "{other},7,{ns},odom,1,2,3,0,0,{z},{w},0.1,9,9,9,9"),
        (ROS1, "{other},7,{ns},,1,2,3,0,0,{z},{w},0.1,9,9,9,9"),
        ("stamp.nanosec,stamp.sec,x,y,z,qx,qy,qz,qw", "{nsec},{sec},1,2,3,0,0,{z},{w}"),
        (BAGPY, "{other},7,{sec},{nsec},map,1,2,3,0,0,{z},{w}"),
        ("timestamp,tx,ty,tz,qw,qx,qy,qz", "{s},1,2,3,{w},0,0,{z}"),
        ("qx,qy,qz,qw,x,y,z,t", "0,0,{z},{w},1,2,3,{s}"),
        ("timestamp_ns;pos_x;pos_y;pos_z;quat_w;quat_x;quat_y;quat_z", "{ns};1;2;3;{w};0;0;{z}"),
        ("# stamp x y z qx qy qz qw", "{s} 1 2 3 0 0 {z} {w}"),
        ("# format: timestamp tx ty tz qw qx qy qz", "{s} 1 2 3 {w} 0 0 {z}"),
        ("__time\t/odom/pose/position/x\t/odom/pose/position/y\t/odom/pose/position/z\t/odom/pose/orientation/x\t/odom/pose/orientation/y\t"
         "/odom/pose/orientation/z\t/odom/pose/orientation/w\t/odom/twist/linear/x", "{s}\t1\t2\t3\t0\t0\t{z}\t{w}\t9"),
        ('"time [us]","positionX","positionY","positionZ","rotationW","rotationX","rotationY","rotationZ"', '"{us}","1","2","3","{w}","0","0","{z}"'),
        ("# a comment\n# of two lines, with qw", "{s},1,2,3,0,0,{z},{w}"),
    ],
)  # fmt: skip
def test_headers(header, row, tmp_path):
    (w, z), lines = TURNED, []
    for n in NANOSECONDS:
        sec, nsec = divmod(n, 10**9)
        words = {
            "ns": n,
            "s": f"{sec}.{nsec:09d}",
            "us": f"{n / 1000:.3f}",
            "sec": sec,
            "nsec": nsec,
            "other": n + 5 * 10**15,
        }
        lines.append(row.format(**words, w=w, z=z))
    found = read_trajectory(written(tmp_path / "t.csv", "\n".join([header, *lines])))
    assert found.stamps == SECONDS
    assert found.poses[3].as_tuple() == pytest.approx((1, 2, 3, 0, 0, z, w))
    assert ("header" in found.note) != header.startswith(("# a", "# stamp", "__time"))  # those are in the usual order


@pytest.mark.parametrize(
    ("header", "row", "words"),
    [
        ("stamp,x,y,z,qx,qy,qz", "1,0,0,0,0,0,0", "a header that names stamp, x, y, z, qx, qy, qz and qw; found 7 columns"),
        ("stamp,x,y,z,qx,qy,qz,qw", "1,0,0,0,0,0,1", "8 columns in all"),
        ("stamp,lat,lon,alt,qx,qy,qz,qw", "1,48.85,2.35,0,0,0,0,1", "found the columns lat, lon"),
        ("stamp,x [mm],y [mm],z [mm],qx,qy,qz,qw", "1,0,0,0,0,0,0,1", "expected positions in meters"),
        ("stamp,pose.x,pos.x,y,z,qx,qy,qz,qw", "1,0,0,0,0,0,0,0,1", "which column to use? Found pose.x, pos.x"),
        ("stamp;x;y;z;qx;qy;qz;qw", "1,5;0;0;0;0;0;0;1", "decimal comma"),
        ("# none", "1,5 0,0 0,0 0,0 0,0 0,0 0,0 1,0", "decimal comma"),
        ("# none", "1,5;0,0;0,0;0,0;0,0;0,0;0,0;1,0", "decimal comma"),
        ("stamp,x,y,z,qx,qy,qz,qw", "1,0,0,0,0,0,0,", "line 2: expected `stamp x y z qx qy qz qw"),
        ("stamp,x,y,z,qx,qy,qz,qw", "", "holds no pose"),
        ("sec,nsec,x,y,z,qx,qy,qz,qw", "1403636579,1403636579763555584,0,0,0,0,0,0,1", "line 2: expected `sec x y z"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_read(header, row, words, tmp_path):
    with pytest.raises(VprError, match=r"t\.csv") as caught:
        read_trajectory(written(tmp_path / "t.csv", f"{header}\n{row}\n"))
    assert words in str(caught.value)


def test_qw_first_without_a_header_is_said(tmp_path):
    rows = [f"{stamp} {i} 0 0 {math.cos(i / 20)} 0 0 {math.sin(i / 20)}" for i, stamp in enumerate(SECONDS)]
    assert "if qw comes first" in read_trajectory(written(tmp_path / "t.tum", "\n".join(rows))).note
    for quaternion in ("0 0 0 1", "-0.5 0.5 -0.5 0.5", "0.7071 0 0 0.7071", "0 0 1 0"):  # a robot's, and optical ones
        rows = [f"{stamp} {i} 0 0 {quaternion}" for i, stamp in enumerate(SECONDS)]
        assert "qw" not in read_trajectory(written(tmp_path / "t.tum", "\n".join(rows))).note


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_text_as_windows_writes_it(encoding, tmp_path):
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    images = folder(tmp_path / "img", [f"{i:06d}" for i in range(8)])
    text = "".join(f"{stamp} {0.6 * i} 0 0 0 0 0 1\r\n" for i, stamp in enumerate(SECONDS))
    (tmp_path / "t.tum").write_bytes((mark + text).encode(encoding))
    (images / "times.txt").write_bytes((mark + "".join(f"{stamp}\r\n" for stamp in SECONDS)).encode(encoding))
    frames = opened(images, tmp_path / "t.tum")[1]
    assert [frame.pose.x for frame in frames] == pytest.approx([0.6 * i for i in range(8)])
    listing = "# color\r\n" + "".join(f"{stamp} {i:06d}.jpg\r\n" for i, stamp in enumerate(SECONDS))
    (images / "rgb.txt").write_bytes((mark + listing).encode(encoding))
    assert [frame.stamp for frame in opened(images, tmp_path / "t.tum")[1]] == SECONDS


def test_degrees_in_a_trajectory_are_said(tmp_path):
    rows = [f"{stamp} {48.85 + i * 1e-5} 2.3501 35 0 0 0 1" for i, stamp in enumerate(SECONDS)]
    assert "are they degrees?" in read_trajectory(written(tmp_path / "t.tum", "\n".join(rows))).note
    assert "degrees" not in read_trajectory(tum(tmp_path / "t.tum", SECONDS)).note


def test_stamps_of_a_table_beside_a_trajectory(tmp_path):
    """As `vpr bag images` writes the keyframes of a bag: the names are no stamps."""
    images = folder(tmp_path / "img", [f"k{i}" for i in range(4)])
    rows = [f"k{i}.jpg,database,{NANOSECONDS[3 - i]}" for i in range(4)]
    (images / "frames.csv").write_text("\n".join(["path,split,stamp", *rows]))
    recording, frames = opened(images, tum(tmp_path / "t.tum", SECONDS))
    assert [(frame.label, frame.stamp) for frame in frames] == [(f"k{3 - i}.jpg", SECONDS[i]) for i in range(4)]
    assert "stamps: frames.csv" in recording.notes


def test_what_is_left_out_beside_a_trajectory_is_counted(tmp_path):
    images = folder(tmp_path / "img", [f"{stamp:.6f}" for stamp in SECONDS])
    (images / "@eaDir").mkdir()
    (images / "@eaDir" / "1.jpg").write_bytes(JPEG)
    recording, frames = opened(images, tum(tmp_path / "t.tum", SECONDS))
    assert len(frames) == 8 and len(recording.skip_counts) == 1 and len(list(recording)) == 8
    assert len(recording.skip_counts) == 1
