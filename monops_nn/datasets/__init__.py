"""Images and texts for training: from a folder, an installed package, or a checksummed download; never shipped."""

from monops_nn.datasets.digits import Digits, download_mnist, load_digits, load_mnist, read_idx
from monops_nn.datasets.images import DATA, Images, load_cifar10, load_fashion_mnist, load_images
from monops_nn.datasets.text import Text, load_text, split_text

__all__ = [
    "DATA",
    "Digits",
    "Images",
    "Text",
    "download_mnist",
    "load_cifar10",
    "load_digits",
    "load_fashion_mnist",
    "load_images",
    "load_mnist",
    "load_text",
    "read_idx",
    "split_text",
]
