"""Data: IDX files read strictly, the embedded MNIST, label pairs, train/validation/test splits."""

from mathdnn.data.dataset import CLASSES, Dataset, Split, digest, load_mnist, readable
from mathdnn.data.files import checked_path, open_regular, replace_file
from mathdnn.data.idx import read_idx, write_idx
from mathdnn.data.selection import ThreeWay, label_pair, split_train_validation

__all__ = [
    "CLASSES",
    "Dataset",
    "Split",
    "ThreeWay",
    "checked_path",
    "digest",
    "label_pair",
    "load_mnist",
    "open_regular",
    "read_idx",
    "readable",
    "replace_file",
    "split_train_validation",
    "write_idx",
]
