"""The card of a model on the Hugging Face hub: what its manifest says, and nothing else."""

from vpr_aesvc.describer import AnyManifest
from vpr_aesvc.export.known_encoders import KnownEncoder
from vpr_aesvc.model import Manifest

_ON_THE_HUB = ("apache-2.0", "mit", "gpl-3.0", "bsd-3-clause")  # how the hub spells the licences of the catalogue


def model_card(manifest: AnyManifest, repository: str, hub_id: str | None, known: KnownEncoder | None) -> str:
    """``README.md`` with the hub's metadata.

    Args:
        repository: ``OWNER/NAME``, for the commands.
        hub_id: of the encoder, if it is on the hub.
        known: the encoder, if the catalogue has it; else its licence is not known.
    """
    from huggingface_hub import ModelCardData

    spelled = known.licence.lower().replace(" ", "-") if known else None
    data = ModelCardData(
        license=spelled if spelled in _ON_THE_HUB else spelled and "other",
        license_name=None if spelled in _ON_THE_HUB else spelled,
        library_name="vpr_aesvc",
        base_model=hub_id,
        pipeline_tag="image-feature-extraction",
        tags=["visual-place-recognition", "robotics"],
    )
    spec = manifest.backbone.spec if isinstance(manifest, Manifest) else manifest.original.backbone
    rows = {
        "encoder": "histograms of gradients, without weights" if spec == "hog" else spec.removeprefix("hf:"),
        "licence of its weights": "none needed" if spec == "hog" else known.licence if known else "not known here",
        **_rows(manifest),
        "descriptor sizes": ", ".join(map(str, manifest.sizes)),
        "fingerprint": manifest.fingerprint,
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return (
        f"---\n{data.to_yaml()}\n---\n\n# {repository.partition('/')[2]}\n\n"
        "Visual place recognition: an image becomes a descriptor, by which vpr_aesvc finds its place in a map.\n\n"
        f"```sh\nvpr model pull {repository} -o model/\nvpr map build IMAGES -m model/ -o place.vprmap\n```\n\n"
        f"| | |\n|---|---|\n{table}\n"
    )


def _rows(manifest: AnyManifest) -> dict[str, str]:
    """What is known of the fit, or of the export and its check."""
    if isinstance(manifest, Manifest):
        info, variance = manifest.training, manifest.training.cosine_variance
        unread = f", {len(info.skipped)} more could not be read" if info.skipped else ""
        rows = {
            "method": f"{manifest.method}, because {info.why}",
            "fitted to": f"{info.images} images without labels{unread}; seed {info.seed}",
        }
        if scores := ", ".join(f"{name} {score:.3f}" for name, score in info.held_out_scores.items()):
            rows["mean reciprocal rank over the sizes, on held-out frames of them"] = scores
        if "after" in variance:
            rows["variance of the cosines of their pairs"] = "{before:.2g} before, {after:.2g} after".format_map(
                variance
            )
        return rows
    (height, width), original, check = manifest.input.size, manifest.original, manifest.check
    return {
        "method": f"{original.method}; the model {original.fingerprint}, from which this one was exported, has the record of the fit",
        "graph": f"{manifest.precision}, {manifest.how}; images of {width} x {height} pixels",
        "compared with that model": "no"
        if check is None
        else f"cosine of descriptors of {check.images} images: median {check.cosine_median:.4f}, lowest {check.cosine_min:.4f}; "
        f"{check.top1_changed:.1%} of {check.views} changed views find a clearly worse image",
    }
