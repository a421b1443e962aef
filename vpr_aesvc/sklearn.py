"""The projections as scikit-learn transformers of any embeddings: ``AESVC`` and ``SS2D``. ``to_faiss`` gives the same map to FAISS.

Omama, Li, Chinchali, "Exploiting Distribution Constraints for Scalable and Efficient Image Retrieval", ICLR 2025, arXiv 2410.07022.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import require_installed
from vpr_aesvc.projections.artifact import Array, Projection, prefix, unit
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.fit import default_sizes
from vpr_aesvc.projections.reduction import MAX_DIMENSIONS
from vpr_aesvc.projections.stages import Stages

require_installed("vpr_aesvc.sklearn", "sklearn")
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin  # noqa: E402
from sklearn.utils.validation import check_is_fitted, validate_data  # noqa: E402

if TYPE_CHECKING:
    import faiss


class AESVC(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """The latent of AE-SVC in closed form: a shrunk whitening. Needs no torch.

    Args:
        n_components: numbers of a descriptor: the first of the full one, renormalized. None for all. It may be changed after the fit.
        shrinkage: above 0 and below 1: how far the covariance is shrunk toward its mean eigenvalue, as in
            ``sklearn.covariance.ShrunkCovariance``. The fewer the embeddings, the more it should be.

    Attributes:
        projection_: the fitted map.
        n_features_in_: D, of the embeddings. Of more than 2,048 dimensions, 2,048 directions are kept.
    """

    def __init__(self, n_components: int | None = None, shrinkage: float = 0.3) -> None:
        self.n_components = n_components
        self.shrinkage = shrinkage

    def fit(self, X: NDArray[np.floating], y: object = None) -> AESVC:
        """
        Args:
            X: embeddings [n, D] of at least two different images. Rows are normalized.
            y: ignored.

        Raises:
            ValueError: numbers that are not finite, one image, or an argument out of range.
        """
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2, ensure_min_features=2)
        if not 0 < self.shrinkage < 1:
            raise ValueError(f"shrinkage must be above 0 and below 1, found {self.shrinkage}")
        rows = unit(X)
        if np.ptp(rows, axis=0).max() < 1e-6:
            raise ValueError("all embeddings are the same up to their length")
        dim = X.shape[1]
        data = TrainingData(rows, np.empty((0, dim), np.float32), np.empty(0, np.int64))
        given = self.shrinkage / (1 - self.shrinkage), 0.0
        stages = Stages(data, (), default_sizes(min(dim, MAX_DIMENSIONS)), 0, shrinkage=given)
        self.projection_: Projection = self._fitted(stages)
        self._size()
        return self

    def transform(self, X: NDArray[np.floating]) -> Array:
        """Embeddings [n, D] -> descriptors float32 [n, n_components], unit norm: their dot product is the cosine."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return prefix(self.projection_(X), self._size())

    def to_faiss(self) -> list[faiss.VectorTransform]:
        """The same map as FAISS transforms, in the order of application: to unit length, an affine map, to unit length.

        Prepend them, the last one first, to a ``faiss.IndexPreTransform``. Equal to ``transform`` to 1e-5.
        """
        import faiss

        check_is_fitted(self)
        projection = self.projection_.first(self._size())
        affine = faiss.LinearTransform(projection.dim_in, projection.dim_out, True)
        faiss.copy_array_to_vector(np.ascontiguousarray(projection.linear.T).ravel(), affine.A)
        faiss.copy_array_to_vector(-projection.mean @ projection.linear, affine.b)
        affine.is_trained = True
        affine.set_is_orthonormal()
        ends = (faiss.NormalizationTransform(size, 2.0) for size in (projection.dim_in, projection.dim_out))
        return [next(ends), affine, next(ends)]

    @property
    def _n_features_out(self) -> int:
        return self._size()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _size(self) -> int:
        full, size = self.projection_.dim_out, self.n_components
        if size is not None and not 1 <= size <= full:
            raise ValueError(f"n_components must be 1 to {full}, the numbers of the full descriptor, found {size}")
        return full if size is None else size

    def _fitted(self, stages: Stages) -> Projection:
        return stages.lift(stages.teacher, stages.outside)


class SS2D(AESVC):
    """(SS)2D: the latent of AE-SVC, whose first 64 numbers are rotated so that each prefix of them ranks like the whole. Needs torch to fit.

    Arguments and attributes are those of ``AESVC``.
    """

    def _fitted(self, stages: Stages) -> Projection:
        return stages.lift(stages.rotation, stages.outside)
