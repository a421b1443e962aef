import numpy as np

from vpr_aesvc.augment import make_view
from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.extraction import Reader, extract
from vpr_aesvc.images import read_image
from vpr_aesvc.inputs import open_input
from vpr_aesvc.types import Frame


def test_rows_stay_with_their_frames_when_some_are_skipped(drawn):
    frames = list(open_input(drawn).frames[:20])
    frames.insert(3, Frame("gone.jpg", path=drawn / "gone.jpg"))
    reported = []
    result = extract(open_backbone("hog"), frames, views=2, progress=lambda *done: reported.append(done))
    assert len(result.frames) == 20 and len(result.views) == 40
    assert len(result.skipped) == 1 and "gone.jpg" in result.skipped[0]
    assert reported[-1] == (21, 21)
    alone = open_backbone("hog").embed([read_image(result.frames[3].path)])[0]
    assert np.allclose(result.embeddings[3], alone)
    assert result.frames[3].label == frames[4].label
    own = np.einsum("nd,nd->n", result.views, result.embeddings[result.view_rows]).mean()
    other = np.einsum("nd,nd->n", result.views, result.embeddings[(result.view_rows + 10) % 20]).mean()
    assert own > other + 0.002  # all images show one street: cosines are near 1


def test_extraction_is_deterministic(drawn):
    frames = open_input(drawn).frames[:12]
    runs = [extract(open_backbone("hog"), frames, views=1, seed=5) for _ in range(2)]
    assert runs[0].embeddings.tobytes() == runs[1].embeddings.tobytes()
    assert runs[0].views.tobytes() == runs[1].views.tobytes()
    assert extract(open_backbone("hog"), frames, views=1, seed=6).views.tobytes() != runs[0].views.tobytes()


def test_a_view_has_the_shape_and_scene_of_its_image(drawn):
    image = read_image(open_input(drawn).frames[0].path)
    views = [make_view(image, "image", seed) for seed in range(20)]
    assert all(view.shape == image.shape and view.dtype == np.uint8 for view in views)
    correlation = [np.corrcoef(view.mean(2)[::8, ::8].ravel(), image.mean(2)[::8, ::8].ravel())[0, 1] for view in views]
    assert np.median(correlation) > 0.5 and max(correlation) < 0.999


def test_frames_may_carry_their_image(random_image):
    reader = Reader([Frame("a", image=random_image), Frame("b")])
    assert [at for at, _ in reader] == [0]
    assert "neither an image nor a path" in reader.skipped[0]
