"""Videos as recorders, phones and screens write them: dropped frames, pauses, a variable rate, many containers, and cuts."""

import struct
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import cv2
import numpy as np
import pytest

from tests.datasets.images import photo
from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import InputOptions
from vpr_aesvc.inputs import open_input

FULL = [at / 30 for at in range(90)]
STAMPS = {
    "full": FULL,
    "dropped": [stamp for at, stamp in enumerate(FULL) if at % 7],
    "pause": [stamp if stamp < 1 else stamp + 4 for stamp in FULL],
    "variable": [stamp**1.3 for stamp in FULL],
    "a pause at the end": [*FULL[:60], FULL[60] + 3],
}
CODECS = {".mp4": "mpeg4", ".mov": "mpeg4", ".mkv": "mpeg4", ".webm": "libvpx", ".ts": "mpeg2video"}


def write(path, stamps, codec="mpeg4", sound=0.0, **options):
    """A camera that pans over a drawn picture; milliseconds are the unit of its stamps where the codec allows it."""
    av = pytest.importorskip("av")
    wide = photo(3, (64, 400, 3))
    try:
        with av.open(str(path), "w", options=options) as container:
            stream = container.add_stream(codec, rate=30)
            stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 96, 64, "yuv420p", 2_000_000
            hiss = container.add_stream("aac", rate=16000) if sound else None
            unit = Fraction(1, 30) if codec == "mpeg2video" else Fraction(1, 1000)
            stream.codec_context.time_base = unit
            for at, stamp in enumerate(stamps):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(wide[:, 3 * at : 3 * at + 96]), format="rgb24")
                frame.pts, frame.time_base = round(stamp / unit), unit
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
            for at in range(int(sound * 16000 / 1024)):
                samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
                samples.pts, samples.sample_rate = 1024 * at, 16000
                container.mux(hiss.encode(samples))
            container.mux(hiss.encode() if sound else [])
    except ValueError as error:  # an unknown codec
        pytest.skip(f"this PyAV does not write {codec}: {error}")
    return path


@pytest.mark.parametrize("suffix", sorted(CODECS))
@pytest.mark.parametrize("kind", ["full", "dropped", "pause", "variable", "a pause at the end"])
def test_whole_videos_have_their_own_stamps(tmp_path, suffix, kind):
    stamps = STAMPS[kind]
    if suffix == ".ts":
        stamps = sorted({round(30 * stamp) / 30 for stamp in stamps})
    recording = open_input(write(tmp_path / f"v{suffix}", stamps, CODECS[suffix]))
    found = [frame.stamp for frame in recording]
    expected = np.array(stamps) - stamps[0]
    assert len(found) == len(stamps) and np.abs(np.array(found) - expected).max() < 0.035
    assert np.all(np.diff(found) > 0) and not recording.skip_counts
    assert ("does not tell its length" in " ".join(recording.notes)) == (suffix == ".ts")


@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".mp4", ".ts"])
@pytest.mark.parametrize("part", [0.4, 0.7])
def test_cut_short(tmp_path, suffix, part):
    options = {"movflags": "faststart"} if suffix == ".mp4" else {}  # the index comes first, as in videos for the web
    path = write(tmp_path / f"v{suffix}", FULL, CODECS[suffix], **options)
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data)) | 1])
    with pytest.raises(VprError, match=r"(of 3.0 s: it was cut short|last packet is incomplete).*--keep-good"):
        list(open_input(path))
    recording = open_input(path, InputOptions(keep_good=True))
    assert 10 < len(list(recording)) < 80 and recording.skip_counts


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [(".mkv", "mpeg4"), (".mp4", "mpeg4"), (".avi", "mpeg4"), (".ts", "mpeg2video")],
)
def test_longer_sound(tmp_path, suffix, codec):
    path = write(tmp_path / f"v{suffix}", FULL, codec, sound=6)
    if suffix == ".mkv":  # it tells one length, that of the sound
        with pytest.raises(VprError, match=r"of 6\.\d s: it was cut short or is damaged, or its sound.*; --keep-good"):
            list(open_input(path))
        assert len(list(open_input(path, InputOptions(keep_good=True)))) == 90
        return
    recording = open_input(path)
    assert len(list(recording)) == len(list(recording)) == 90 and not recording.skip_counts


def test_an_end_of_zeros_without_sound(tmp_path):
    path = write(tmp_path / "v.mkv", FULL)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2].ljust(len(data), b"\0"))
    with pytest.raises(VprError, match=r"of 3\.0 s: it was cut short or is damaged, .*; --keep-good"):
        list(open_input(path))


def test_a_live_stream_without_length_is_read_and_said(tmp_path):
    recording = open_input(write(tmp_path / "v.webm", FULL, "libvpx", live="1"))
    assert len(list(recording)) == 90 and any("does not tell its length" in note for note in recording.notes)


def test_av1(tmp_path):
    with ThreadPoolExecutor(
        1
    ) as thread:  # the encoder gives its thread real-time priority, where it may: the process must not inherit it
        path = thread.submit(write, tmp_path / "v.mp4", FULL, "libsvtav1").result()
    capture = cv2.VideoCapture(str(path))
    if capture.read()[0]:
        pytest.skip("this OpenCV decodes AV1")
    with pytest.raises(VprError, match=r"cannot decode any frame.*ffmpeg"):
        open_input(path)


def test_a_phone_held_upright(tmp_path):
    path = write(tmp_path / "v.mp4", FULL[:20])
    upright = next(iter(open_input(path))).decode()
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44  # the matrix of the track: turn by 90 degrees
    data[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 64 << 16, 0, 1 << 30)
    path.write_bytes(data)
    turned = next(iter(open_input(path))).decode()
    assert np.array_equal(turned, np.rot90(upright, -1))


def test_a_video_without_frames(tmp_path):
    path = write(tmp_path / "v.mkv", FULL)
    path.write_bytes(path.read_bytes()[:500])  # the header
    with pytest.raises(VprError, match=r"not a video|cannot decode any frame"):
        open_input(path, InputOptions(keep_good=True))
