"""Save and load the weights of Flax NNX models, from leepjax's own safetensors files or PyTorch state dicts.

In leepjax's files, a tensor has its path in the model as name (``layer1.0.conv1.kernel``), and Flax's layout.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np
import safetensors.numpy
from flax import nnx

from leepjax.models.files.formats import read_tensors
from leepjax.models.files.layouts import to_timm
from leepjax.models.files.wrappers import unwrapped
from leepjax.models.network import BlockNetwork, NamedParam, head_of, head_paths
from leepjax.storage.files import write_atomically
from leepjax.types import InputError

_TORCH_LEAF = {
    "kernel": "weight",
    "scale": "weight",
    "embedding": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}


def save(model: nnx.Module, path: Path, dtype: type = np.float16) -> None:
    """Write the parameters and BatchNorm statistics of `model` to `path`, atomically."""
    # In order "C", because the format stores the bytes of an array as they lie in memory.
    tensors = {name: np.asarray(leaf[...], dtype, order="C") for name, leaf in _leaves(model).items()}
    write_atomically(path, safetensors.numpy.save(tensors))


def load(model: nnx.Module, path: Path, content: bytes | None = None) -> None:
    """Load the values of a weights file, or of its `content` if given, into `model`.

    The file is one written by `save`, or a PyTorch-layout state dict in any format of ``read_tensors``, with the names
    of timm, torchvision, pytorchcv, Keras or EfficientNet-PyTorch, with or without prefixes of wrappers.

    Raises:
        InputError: when the file can't be read, or a tensor is missing, unknown, of another shape, not of real numbers,
            or not finite.
    """
    tensors = read_tensors(path, content)
    if any(name.endswith(".kernel") for name in tensors):
        _fill(model, tensors, str(path))
    else:
        bare, outside = unwrapped(tensors, str(path), *_prefixes(model))
        _fill_torch(model, to_timm(bare), outside, str(path))


def load_torch(model: nnx.Module, state_dict: Mapping[str, np.ndarray], origin: str = "state dict") -> None:
    """Load a PyTorch-layout state dict (convolutions O I H W, linear layers out × in) into `model`.

    Names must be the model's own paths with PyTorch's leaves (``layer1.0.bn1.running_mean``), as in torchvision, timm
    and the common CIFAR ResNets; nested prefixes of wrappers (``module.``, ``_orig_mod.``, ``model.``), and one of any
    other name around the whole network, are removed. ``num_batches_tracked`` is ignored, as are the tensors that the
    model's class lists in ``IGNORED``. A parameter outside layers (``cls_token``) keeps its name and layout.

    Raises:
        InputError: when a tensor is missing, unknown, of another shape, not of real numbers, or not finite.
    """
    bare, outside = unwrapped(state_dict, origin, *_prefixes(model))
    _fill_torch(model, bare, outside, origin)


def _fill_torch(model: nnx.Module, state_dict: Mapping[str, np.ndarray], outside: set[str], origin: str) -> None:
    ignored: tuple[str, ...] = getattr(model, "IGNORED", ())
    theirs = {name: np.asarray(value) for name, value in state_dict.items() if name.rpartition(".")[2] not in ignored}
    theirs = dict(model.adapted(theirs)) if isinstance(model, BlockNetwork) else theirs
    first_parts: Mapping[str, str] = getattr(model, "TIMM_NAMES", {})
    ours = {}
    for name, variable in _leaves(model).items():
        path, _, leaf = name.rpartition(".")
        renamed = leaf in _TORCH_LEAF and not isinstance(variable, NamedParam)
        first, *rest = (f"{path}.{_TORCH_LEAF[leaf]}" if renamed else name).split(".")
        torch_name = ".".join([first_parts.get(first, first), *rest])
        if torch_name in theirs:
            ours[name] = _from_torch(leaf, theirs.pop(torch_name), variable.ndim)
    if strangers := sorted(outside & theirs.keys()):
        logging.getLogger("leepjax").warning(
            "%s: tensors outside the network are left out: %d, such as %s.", origin, len(strangers), strangers[0]
        )
    _fill(model, ours | {name: value for name, value in theirs.items() if name not in outside}, origin)


def num_parameters(model: nnx.Module) -> int:
    """Number of parameters learned by gradient descent; running statistics don't count."""
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


def num_features(model: nnx.Module) -> int:
    """Width d of the features, the input of the linear head."""
    return head_of(model).in_features


def _from_torch(leaf: str, value: np.ndarray, ndim: int) -> np.ndarray:
    """Put the output and input channels of a kernel, PyTorch's first two axes, last; other tensors stay as they are.

    A 1 × 1 convolution becomes the linear layer that it is where the model has one.
    """
    if ndim == 2 and value.shape[2:] == (1, 1):
        value = value[:, :, 0, 0]
    return value.transpose(*range(2, value.ndim), 1, 0) if leaf == "kernel" and value.ndim >= 2 else value


def _leaves(model: nnx.Module) -> dict[str, nnx.Variable]:
    """Dotted path → parameter or running statistic of a model, without random-number state."""
    state = nnx.to_flat_state(nnx.state(model, (nnx.Param, nnx.BatchStat)))
    return {".".join(map(str, path)): leaf for path, leaf in state}


def _prefixes(model: nnx.Module) -> tuple[set[str], set[str]]:
    """A model's own prefixes, which are the first parts of its tensors' names and what its class knows; its trunk's.

    Where a class knows prefixes, as that of a network of texts, another one would be of another network.
    """
    renamed: Mapping[str, str] = getattr(model, "TIMM_NAMES", {})
    firsts = {name.partition(".")[0] for name in _leaves(model)}
    heads = {path.partition(".")[0] for path in head_paths(model)} if isinstance(model, BlockNetwork) else set()
    own, trunk = ({f"{renamed.get(first, first)}." for first in each} for each in (firsts, firsts - heads))
    known: tuple[str, ...] = getattr(model, "PREFIXES", ())
    return own | {*known}, set() if known else trunk


def _fill(model: nnx.Module, tensors: Mapping[str, np.ndarray], origin: str) -> None:
    leaves = _leaves(model)
    # A network without a head has one for no classes, which no file holds.
    tensors = {name: np.zeros(leaf.shape, np.float32) for name, leaf in leaves.items() if not leaf.size} | dict(tensors)
    unknown = sorted(tensors.keys() - leaves.keys())
    if missing := sorted(leaves.keys() - tensors.keys()):
        got = f"others, such as {unknown[0]}" if unknown else "none"
        raise InputError(
            f"load: expected tensor {missing[0]} in {origin}, got {got}; name the architecture of these weights, or "
            "save the network's own state_dict()."
        )
    if unknown:
        raise InputError(
            f"load: expected only the model's tensors, got {unknown[0]} in {origin}; "
            "name the architecture of these weights."
        )
    for name, leaf in leaves.items():
        if leaf.shape != tensors[name].shape:
            raise InputError(
                f"load: expected shape {leaf.shape} for {name}, got {tensors[name].shape} in {origin}; "
                "correct the number of classes or the architecture."
            )
    filled = [(_path(name), leaf.replace(_float32(tensors[name], name, origin))) for name, leaf in leaves.items()]
    nnx.update(model, nnx.from_flat_state(filled))


def _float32(tensor: np.ndarray, name: str, origin: str) -> np.ndarray:
    if tensor.dtype.kind != "f":
        raise InputError(
            f"load: expected real numbers for {name}, got {tensor.dtype} in {origin}; dequantise quantised weights "
            "and save them as floats."
        )
    with np.errstate(over="ignore"):
        array = np.asarray(tensor, np.float32)
    if not np.isfinite(array).all():
        raise InputError(
            f"load: expected finite float32 for {name}, got NaN or infinity in {origin}; save the weights of a "
            "training run that converged."
        )
    return array


def _path(name: str) -> tuple[str | int, ...]:
    return tuple(int(part) if part.isdigit() else part for part in name.split("."))
