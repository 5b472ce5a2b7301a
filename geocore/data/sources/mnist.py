"""MNIST: 60,000 + 10,000 handwritten digits, 28 x 28 (LeCun, Cortes & Burges, 1998)."""

from __future__ import annotations

from geocore.data.sources.idx import IdxDataset

__all__ = ["MNIST"]

MNIST = IdxDataset(
    name="mnist",
    classes=tuple("0123456789"),
    side=28,
    md5={
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    # The authors' own page no longer hands the files out; these two are the copies it led to.
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
)
