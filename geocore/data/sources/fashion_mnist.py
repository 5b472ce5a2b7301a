"""Fashion-MNIST: 60,000 + 10,000 articles of clothing, 28 x 28 (Xiao, Rasul & Vollgraf, 2017)."""

from __future__ import annotations

from geocore.data.sources.idx import IdxDataset

__all__ = ["FASHION_MNIST"]

FASHION_MNIST = IdxDataset(
    name="fashion_mnist",
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    side=28,
    # Of the decompressed files. The authors publish those of the archives only; these four are
    # what everybody finds who unpacks archives with the published sums.
    md5={
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
)
