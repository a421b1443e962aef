"""No image is embedded twice, and no stored embedding is lost."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap

import cv2
import numpy as np
import pytest

from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.embedding_cache import EmbeddingCache, frame_key
from vpr_aesvc.errors import VprError
from vpr_aesvc.extraction import extract
from vpr_aesvc.inputs import open_input
from vpr_aesvc.projections.artifact import unit
from vpr_aesvc.types import Frame


class CountingBackbone:
    """The HOG backbone, with a count of the images it was given."""

    def __init__(self):
        self._inner = open_backbone("hog")
        self.spec, self.dim, self.fingerprint = self._inner.spec, self._inner.dim, self._inner.fingerprint
        self.preprocessing = self._inner.preprocessing
        self.images = 0

    def embed(self, images):
        self.images += len(images)
        return self._inner.embed(images)


@pytest.fixture
def frames(drawn):
    return open_input(drawn).split("database").frames


def test_the_second_run_embeds_nothing(tmp_path, frames):
    backbone = CountingBackbone()
    plain = extract(backbone, frames, views=2)
    backbone.images = 0
    runs = []
    for _ in range(2):
        with EmbeddingCache(tmp_path, backbone.fingerprint, backbone.dim) as cache:
            runs.append(extract(backbone, frames, views=2, cache=cache))
    assert backbone.images == 3 * len(frames)
    for one, other in ((runs[0].embeddings, runs[1].embeddings), (runs[0].views, runs[1].views)):
        assert one.dtype == np.float16 and np.array_equal(one, other)
    assert np.allclose(runs[0].embeddings, unit(plain.embeddings), atol=5e-4)  # half precision of unit vectors
    assert np.allclose(runs[0].views, unit(plain.views), atol=5e-4)
    assert np.array_equal(runs[0].view_rows, plain.view_rows)
    with EmbeddingCache(tmp_path, backbone.fingerprint, backbone.dim) as cache:
        assert isinstance(extract(backbone, frames, cache=cache).embeddings.base, np.ndarray | type(None))
        extract(backbone, frames, views=2, seed=1, cache=cache)  # another seed: other views, same images
        assert backbone.images == (3 + 2) * len(frames)
        extract(backbone, frames[3:], views=2, cache=cache)  # views do not depend on the position of an image
    assert backbone.images == (3 + 2) * len(frames)


def test_numbers_that_are_not_finite_are_named_and_not_kept(tmp_path, frames):
    class Failing(CountingBackbone):
        def embed(self, images):
            found = super().embed(images)
            found[[np.array_equal(image, bad) for image in images], 0] = np.nan
            return found

    bad = _images(frames[4:5])[0]
    backbone = Failing()
    with EmbeddingCache(tmp_path, backbone.fingerprint, backbone.dim) as cache:
        found = extract(backbone, frames[:10], views=1, cache=cache)
        assert len(cache) == 9 + 10 and len(found.frames) == 9 and len(found.views) == 9
    assert found.skipped == [f"{frames[4].label}: the backbone gave numbers that are not finite"]
    assert np.isfinite(found.embeddings).all()


def test_images_on_another_mount_are_known(tmp_path, drawn):
    """The same files in another folder, with other times of change, are not embedded again."""
    backbone = CountingBackbone()
    shutil.copytree(drawn, tmp_path / "mount", copy_function=shutil.copyfile)
    runs = []
    for folder in (drawn, tmp_path / "mount"):
        with EmbeddingCache(tmp_path, backbone.fingerprint, backbone.dim) as cache:
            runs.append(extract(backbone, open_input(folder).frames[:12], views=1, cache=cache))
        assert backbone.images == 24
    assert np.array_equal(runs[0].embeddings, runs[1].embeddings) and np.array_equal(runs[0].views, runs[1].views)


def test_a_changed_file_is_another_image(tmp_path, random_image):
    path = tmp_path / "a.bmp"  # its size does not depend on its content
    cv2.imwrite(str(path), random_image)
    frame = Frame("a", path=path)
    before, first = path.stat(), frame_key(frame)
    assert frame_key(frame) == first
    cv2.imwrite(str(path), random_image[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size and frame_key(frame) != first
    other = Frame("b", image=random_image)
    assert frame_key(other) == frame_key(Frame("c", image=random_image.copy()))
    assert frame_key(other) == frame_key(Frame("d", decode=random_image.copy))
    assert frame_key(other) != frame_key(Frame("b", image=random_image[::-1]))


def test_two_backbones_do_not_share_rows(tmp_path):
    with EmbeddingCache(tmp_path, "a" * 16, 4) as one, EmbeddingCache(tmp_path, "b" * 16, 6) as other:
        one.append([b"k"], np.eye(4, dtype=np.float32)[:1])
        assert len(one) == 1 and len(other) == 0 and other.rows([b"k"]).tolist() == [-1]


def test_killed_while_embedding(tmp_path, drawn, frames):
    """After SIGKILL the next run continues and gives the same numbers."""
    backbone = CountingBackbone()
    code = textwrap.dedent(f"""
        import time
        from pathlib import Path
        from vpr_aesvc.backbones import open_backbone
        from vpr_aesvc.inputs import open_input
        from vpr_aesvc.embedding_cache import EmbeddingCache
        from vpr_aesvc.extraction import extract
        backbone = open_backbone("hog")
        with EmbeddingCache(Path({str(tmp_path)!r}), backbone.fingerprint, backbone.dim) as cache:
            def report(done, total):
                print(done, flush=True)
                time.sleep(0.2)
            extract(backbone, open_input({str(drawn)!r}).split("database").frames, progress=report, cache=cache)
    """)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout.readline().strip() == "16"
        run.send_signal(signal.SIGKILL)
    with (tmp_path / backbone.fingerprint / "embeddings.f16").open("ab") as file:
        file.write(b"torn")  # an incomplete row, as after a power failure
    with EmbeddingCache(tmp_path, backbone.fingerprint, backbone.dim) as cache:
        before = len(cache)
        found = extract(backbone, frames, cache=cache)
    assert 16 <= before < len(frames) and backbone.images == len(frames) - before
    assert np.array_equal(found.embeddings, unit(open_backbone("hog").embed(_images(frames))).astype(np.float16))


def test_a_bad_image_is_skipped_each_time(tmp_path, frames):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"not an image")
    mixed = [*frames[:5], Frame("bad.jpg", path=bad), *frames[5:8]]
    backbone = CountingBackbone()
    for _ in range(2):
        with EmbeddingCache(tmp_path / "cache", backbone.fingerprint, backbone.dim) as cache:
            found = extract(backbone, mixed, views=1, cache=cache)
        assert [frame.label for frame in found.frames] == [frame.label for frame in frames[:8]]
        assert len(found.skipped) == 1 and "bad.jpg" in found.skipped[0]
        assert found.view_rows.tolist() == list(range(8))
    assert backbone.images == 16
    with pytest.raises(VprError, match="none of the 1 images"):
        extract(backbone, [Frame("bad.jpg", path=bad)])


def test_a_full_disk_loses_nothing(tmp_path, drawn):
    """A file size limit of the operating system simulates the full disk."""
    code = textwrap.dedent(f"""
        import resource, signal, sys
        from pathlib import Path
        from vpr_aesvc import VprError
        from vpr_aesvc.backbones import open_backbone
        from vpr_aesvc.inputs import open_input
        from vpr_aesvc.embedding_cache import EmbeddingCache
        from vpr_aesvc.extraction import extract
        backbone = open_backbone("hog")
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20 * backbone.dim * 2, resource.RLIM_INFINITY))
        with EmbeddingCache(Path({str(tmp_path)!r}), backbone.fingerprint, backbone.dim) as cache:
            try:
                extract(backbone, open_input({str(drawn)!r}).split("database").frames, cache=cache)
            except VprError as error:
                print(error)
                print(len(cache))
    """)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    message, kept = run.stdout.splitlines()
    assert "cannot be written" in message and "earlier embeddings are safe" in message and kept == "16"
    backbone = CountingBackbone()
    frames = open_input(drawn).split("database").frames
    with EmbeddingCache(tmp_path, backbone.fingerprint, backbone.dim) as cache:
        assert len(extract(backbone, frames, cache=cache).frames) == len(frames)
    assert backbone.images == len(frames) - 16


def test_a_damaged_index_is_refused(tmp_path):
    folder = tmp_path / ("a" * 16)
    folder.mkdir()
    (folder / "index.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(VprError, match="cache cannot be opened"):
        EmbeddingCache(tmp_path, "a" * 16, 4)
    (tmp_path / "file").write_text("")
    with pytest.raises(VprError, match="cache cannot be opened"):
        EmbeddingCache(tmp_path / "file", "a" * 16, 4)


def test_rows_lost_with_the_file_are_embedded_again(tmp_path):
    rows = np.eye(4, dtype=np.float32)
    with EmbeddingCache(tmp_path, "a" * 16, 4) as cache:
        cache.append([b"0", b"1", b"2"], rows[:3])
    os.truncate(tmp_path / ("a" * 16) / "embeddings.f16", 2 * 4 * 2 + 3)
    with EmbeddingCache(tmp_path, "a" * 16, 4) as cache:
        assert cache.rows([b"0", b"1", b"2"]).tolist() == [0, 1, -1]
        cache.append([b"2"], rows[3:])
        assert np.array_equal(cache.read(cache.rows([b"2", b"0"])), rows[[3, 0]])


def test_two_processes_share_a_cache(tmp_path):
    code = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        import numpy as np
        from vpr_aesvc.embedding_cache import EmbeddingCache
        start = int(sys.argv[1])
        with EmbeddingCache(Path({str(tmp_path)!r}), "a" * 16, 4) as cache:
            for at in range(start, start + 50):
                row = np.array([[1, at % 7, at % 11, at % 13]], np.float32)
                cache.append([str(at).encode()], row)
    """)
    runs = [subprocess.Popen([sys.executable, "-c", code, str(start)]) for start in (0, 30)]
    assert [run.wait() for run in runs] == [0, 0]
    with EmbeddingCache(tmp_path, "a" * 16, 4) as cache:
        rows = cache.read(cache.rows([str(at).encode() for at in range(80)]))
    at = np.arange(80)
    assert np.allclose(rows, unit(np.stack([np.ones(80), at % 7, at % 11, at % 13], 1)), atol=1e-3)


def _images(frames):
    from vpr_aesvc.images import read_image

    return [read_image(frame.path) for frame in frames]
