"""The CIFAR ResNets, their weights between files and PyTorch's layout, and sources as pure functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

from leepjax.models import weights
from leepjax.models.architectures import abstract, build
from leepjax.models.families import cifar_resnet
from leepjax.models.opening import load_source
from leepjax.types import InputError

RNG = np.random.default_rng(0)


class Small(nnx.Module):
    """One layer of each kind that a weights file holds."""

    def __init__(self, seed=0, width=3):
        rngs = nnx.Rngs(seed)
        self.conv1 = nnx.Conv(2, width, (3, 3), 2, padding=1, use_bias=False, rngs=rngs)
        self.bn1 = nnx.BatchNorm(width, momentum=0.9, epsilon=1e-5, use_running_average=True, rngs=rngs)
        self.linear = nnx.Linear(width, 4, rngs=rngs)

    def __call__(self, images):
        return self.linear(nnx.relu(self.bn1(self.conv1(images))).mean(axis=(1, 2)))


def torch_state():
    """A state dict of `Small` as PyTorch names and lays it out."""
    shapes = {
        "conv1.weight": (3, 2, 3, 3),
        "bn1.weight": (3,),
        "bn1.bias": (3,),
        "bn1.running_mean": (3,),
        "bn1.running_var": (3,),
        "linear.weight": (4, 3),
        "linear.bias": (4,),
    }
    state = {name: RNG.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return state | {"bn1.running_var": np.float32([0.5, 1.0, 2.0])}


def torch_by_hand(state, images):
    """What PyTorch computes of images [n c h w], written out."""
    n, _, height, width = images.shape
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    maps = np.empty((n, 3, height // 2, width // 2))
    for i, j in np.ndindex(height // 2, width // 2):
        patch = padded[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
        maps[:, :, i, j] = np.einsum("nchw,ochw->no", patch, state["conv1.weight"])
    channels = {name: state[f"bn1.{name}"][:, None, None] for name in ("weight", "bias", "running_mean", "running_var")}
    maps = (maps - channels["running_mean"]) / np.sqrt(channels["running_var"] + 1e-5)
    maps = np.maximum(maps * channels["weight"] + channels["bias"], 0)
    return maps.mean(axis=(2, 3)) @ state["linear.weight"].T + state["linear.bias"]


@pytest.mark.parametrize("depth", [20, 32, 44, 56])
def test_parameters_and_layers_are_those_of_the_paper(depth):
    model = nnx.eval_shape(lambda: build(f"resnet{depth}", 10))
    millions = {20: 0.27, 32: 0.46, 44: 0.66, 56: 0.85}  # He et al. 2016, table 6
    assert round(weights.num_parameters(model) / 1e6, 2) == millions[depth]
    kernels = [leaf for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)) if leaf.ndim > 1]
    assert len(kernels) == depth == 6 * cifar_resnet.DEPTHS[f"resnet{depth}"] + 2


def test_stages_halve_the_image_and_double_the_width():
    model = nnx.eval_shape(lambda: build("resnet20", 7))
    outputs = nnx.eval_shape(lambda m, x: m(x), model, jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32))
    assert (outputs.features.shape, outputs.logits.shape) == ((2, 64), (2, 7))


def test_load_torch_computes_what_pytorch_does():
    model, state = Small(), torch_state()
    images = RNG.normal(size=(2, 2, 6, 8)).astype(np.float32)
    weights.load_torch(
        model, {f"module.{name}": value for name, value in state.items()} | {"bn1.num_batches_tracked": 9}
    )
    logits = model(jnp.asarray(images.transpose(0, 2, 3, 1)))
    np.testing.assert_allclose(logits, torch_by_hand(state, images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"bn1.running_var": None},
            r"load: expected tensor bn1\.var in that file, got none; name the architecture",
        ),
        (
            {"fc.weight": np.ones(3)},
            r"load: expected only the model's tensors, got fc\.weight in that file; name the arch",
        ),
        (
            {"linear.weight": np.ones((5, 3))},
            r"expected shape \(3, 4\) for linear\.kernel, got \(3, 5\) in that file; correct the num",
        ),
    ],
)
def test_load_torch_names_the_tensor_that_does_not_fit(change, message):
    state = {name: value for name, value in (torch_state() | change).items() if value is not None}
    with pytest.raises(InputError, match=message):
        weights.load_torch(Small(), state, "that file")


def test_save_and_load_round_trip(tmp_path):
    saved, loaded, path = Small(), Small(seed=1), tmp_path / "small.safetensors"
    saved.bn1.mean[...] = jnp.array([1.0, 2.0, 3.0])
    weights.save(saved, path, np.float32)
    weights.load(loaded, path)
    jax.tree.map(np.testing.assert_array_equal, nnx.state(loaded), nnx.state(saved))


def test_weights_are_halved_by_default(tmp_path):
    model, path = Small(), tmp_path / "small.safetensors"
    weights.save(model, path)
    weights.load(model, path)
    tensors = safetensors.numpy.load_file(path)
    assert {tensor.dtype for tensor in tensors.values()} == {np.dtype(np.float16)}
    assert model.conv1.kernel.dtype == jnp.float32
    np.testing.assert_array_equal(model.conv1.kernel[...], tensors["conv1.kernel"].astype(np.float32))


def test_a_network_of_shapes_is_filled_alone(tmp_path):
    weights.save(build("resnet20", 10), tmp_path / "weights.safetensors")
    filled, other = abstract("resnet20", 10), abstract("resnet20", 10)
    weights.load(filled, tmp_path / "weights.safetensors")
    filled.linear = nnx.Linear(64, 2, rngs=nnx.Rngs(0))
    for network in (other, abstract("resnet20", 10)):
        leaves = jax.tree.leaves(nnx.state(network))
        assert len(leaves) > 60
        assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in leaves)
        assert network.linear.out_features == 10


def test_load_names_the_tensor_that_does_not_fit(tmp_path):
    path = tmp_path / "small.safetensors"
    weights.save(Small(width=5), path)
    with pytest.raises(
        InputError, match=r"load: expected shape \(\d.*\) for \S+, got .* in .*small\.safetensors; correct"
    ):
        weights.load(Small(), path)
    safetensors.numpy.save_file({"conv1.kernel": np.ones(3, np.float32)}, path)
    with pytest.raises(InputError, match=r"load: expected tensor bn1\.bias in .*small\.safetensors, got none"):
        weights.load(Small(), path)


@pytest.mark.parametrize("content", [b"", b"not safetensors at all", bytes(100)])
def test_load_of_another_file(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"read_tensors: expected .* in .*x\.safetensors, got .*; download it again"):
        weights.load(Small(), path)


def test_load_of_no_file(tmp_path):
    with pytest.raises(InputError, match=r"read_tensors: expected .*x\.safetensors.*; check the path"):
        weights.load(Small(), tmp_path / "x.safetensors")


def test_a_source_is_pure_and_compiles_once_for_each_shape(monkeypatch):
    traced = []
    plain = cifar_resnet.CifarResNet.__call__
    monkeypatch.setattr(
        cifar_resnet.CifarResNet, "__call__", lambda self, x: (traced.append(x.shape), plain(self, x))[1]
    )
    images = RNG.integers(0, 256, (3, 32, 32, 3), np.uint8)  # three as in no other test: nothing is compiled yet
    source = load_source("random")
    first, again = source(images), source(jnp.asarray(images))
    reopened = load_source(source.network.path)(images)
    backwards = source(images[::-1])
    assert traced == [(3, 32, 32, 3)]
    for outputs in (again, reopened):
        jax.tree.map(np.testing.assert_array_equal, outputs, first)
    # Examples don't see each other: BatchNorm uses its running statistics, and leaves them alone.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[::-1], b, atol=1e-5), backwards, first)
    assert first.features.shape == (3, 64)
    assert np.isfinite(first.logits).all()
