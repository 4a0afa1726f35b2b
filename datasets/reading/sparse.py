"""A sparse matrix as scipy.sparse.save_npz keeps it (text, TF-IDF), as rows of numbers."""

from __future__ import annotations

import numpy as np

from ...benchmark.text import reason
from ...benchmark.types import Features
from .base import DataError
from .npz import keys, read_npz

DENSE = 2**31
"""Bytes of float32 up to which all numbers are written out; rules and learners see rows of numbers."""

PARTS = {
    "csr": ("indices", "indptr"),
    "csc": ("indices", "indptr"),
    "bsr": ("indices", "indptr"),
    "coo": ("row", "col"),
    "dia": ("offsets",),
}
"""What the formats are made of besides ``data``."""


def is_sparse(path: str) -> bool:
    """Return whether an .npz is a sparse matrix rather than named arrays."""
    return {"format", "shape", "data"} <= keys(path)


def read_sparse(path: str) -> Features:
    """Return a sparse matrix (rows, D) with its zeros written out, or raise `DataError`."""
    from scipy import sparse  # noqa: PLC0415  heavy, only needed for this kind of file

    if not is_sparse(path):
        raise DataError([f"{path}: is no matrix of scipy.sparse.save_npz; give an .npz of several arrays as path"])
    try:
        about = {key: source.array for key, source in read_npz(path, ("format", "shape")).items()}
        kind, shape = about["format"].astype(str).item(), tuple(int(length) for length in about["shape"])
        parts = {key: s.array for key, s in read_npz(path, ("data", *PARTS[kind])).items()}
    except DataError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise DataError([f"{path}: format or shape are damaged; legal formats: {', '.join(PARTS)}"]) from error
    if len(shape) != 2 or parts["data"].dtype.kind not in "fiub":
        raise DataError([f"{path}: holds {parts['data'].dtype} of shape {shape}; needed are numbers, (rows, features)"])
    if 4 * shape[0] * shape[1] > DENSE:
        size = f"{shape[0]:,} x {shape[1]:,}, {shape[0] * shape[1] / 2**28:,.1f} GiB with its zeros (at most 2)"
        fewer = "svd = TruncatedSVD(256); train = svd.fit_transform(train); test = svd.transform(test)"
        raise DataError([f"{path}: is {size}; give fewer columns, by scikit-learn's {fewer}, say"])
    try:
        data, rest = parts["data"].astype(np.float32), tuple(parts[key] for key in PARTS[kind])
        of = (data, rest) if kind == "coo" else (data, *rest)
        matrix = getattr(sparse, f"{kind}_array")(of, shape=shape)
        if hasattr(matrix, "check_format"):
            matrix.check_format(full_check=True)  # what points outside would be written outside
        return np.asarray(matrix.toarray())
    except Exception as error:  # scipy says what does not fit together in many ways
        raise DataError([f"{path}: is damaged ({reason(error)})"]) from error
