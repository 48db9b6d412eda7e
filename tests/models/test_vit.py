"""Vision transformers whose heads or positions aren't those of a plain one."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx
from recorded.random_state import uniform
from timm_layout import computed, filled, torch_layout

from leepjax.adapting.retrain import set_head
from leepjax.models import weights
from leepjax.models.families.vit import DistilledViT, ViT
from leepjax.models.layers.tokens import resample_grid
from leepjax.models.opening import load_source
from leepjax.transfer.head import Head
from leepjax.types import InputError

TINY = {"embed_dim": 16, "num_heads": 2, "depth": 1, "patch_size": 8, "img_size": 16}
HEAD = {"mean": (16,), "std": (16,), "kernel": (16, 3), "bias": (3,)}


@pytest.fixture(scope="module")
def distilled():
    def made():
        network = DistilledViT(4, **TINY, rngs=nnx.Rngs(0))
        network.replace_head(3, seed=1)
        return network

    return filled(nnx.eval_shape(made))


def test_equal_heads_compute_what_one_computes_from_the_features(distilled):
    head = Head(*(jnp.asarray(uniform(name, shape)) for name, shape in HEAD.items()))
    set_head(distilled, head)
    features, logits = computed(distilled, uniform("images", (2, 16, 16, 3)))
    np.testing.assert_allclose(logits, head.logits(features), rtol=1e-5, atol=1e-5)


def test_a_folder_without_a_head_opens_at_another_image_size(tmp_path):
    """As those of DINO, with the positions of images of 16 pixels."""
    network = filled(nnx.eval_shape(lambda: ViT(0, **TINY, rngs=nnx.Rngs(0))))
    tensors = {name: value for name, value in torch_layout(network).items() if not name.startswith("head.")}
    safetensors.numpy.save_file(tensors, tmp_path / "model.safetensors")
    config = {"architecture": "vit_tiny_patch16_224", "model_args": {**TINY, "img_size": 24}, "num_classes": 0}
    config["pretrained_cfg"] = {"input_size": [3, 24, 24]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    source = load_source(f"local-dir:{tmp_path}")
    features, logits = source(np.zeros((2, 24, 24, 3), np.uint8))
    assert (features.shape, logits.shape) == ((2, 16), (2, 0))
    grid = np.asarray(network.pos_embed[0, 1:]).reshape(2, 2, 16)
    opened = source.network.model().pos_embed[0]
    np.testing.assert_array_equal(opened[0], network.pos_embed[0, 0])
    np.testing.assert_allclose(opened[1:].reshape(3, 3, 16), resample_grid(grid, (3, 3)), atol=1e-6)


def test_a_token_pool_needs_a_class_token():
    with pytest.raises(InputError, match="ViT: expected a pool of patches without class_token, got 'token'; choose"):
        ViT(3, class_token=False, rngs=nnx.Rngs(0))


def test_weights_of_pytorchs_layout_are_saved_as_they_were_loaded(tmp_path):
    """Kernels are transposed views of the arrays of a file, until a network is trained."""
    network, opened, reopened = (nnx.eval_shape(lambda: ViT(3, **TINY, rngs=nnx.Rngs(0))) for _ in range(3))
    filled(network)
    weights.load_torch(opened, torch_layout(network))
    weights.save(opened, tmp_path / "saved.safetensors", np.float32)
    weights.load(reopened, tmp_path / "saved.safetensors")
    np.testing.assert_array_equal(reopened.blocks[0].mlp.fc1.kernel[...], network.blocks[0].mlp.fc1.kernel[...])
