"""Vision transformers whose heads or positions aren't those of a plain one."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from recorded.random_state import uniform

from leepjax.adapting.retrain import set_head
from leepjax.models.families.vit import DistilledViT, ViT
from leepjax.transfer.head import Head
from leepjax.types import InputError

TINY = {"embed_dim": 16, "num_heads": 2, "depth": 1, "patch_size": 8, "img_size": 16}
HEAD = {"mean": (16,), "std": (16,), "kernel": (16, 3), "bias": (3,)}


@pytest.fixture(scope="module")
def distilled():
    network = DistilledViT(4, **TINY, rngs=nnx.Rngs(0))
    network.replace_head(3, seed=1)
    return network


def test_equal_heads_compute_what_one_computes_from_the_features(distilled):
    head = Head(*(jnp.asarray(uniform(name, shape)) for name, shape in HEAD.items()))
    set_head(distilled, head)
    features, logits = distilled(jnp.asarray(uniform("images", (2, 16, 16, 3))))
    np.testing.assert_allclose(logits, head.logits(features), rtol=1e-5, atol=1e-5)


def test_a_token_pool_needs_a_class_token():
    with pytest.raises(InputError, match="ViT: expected a pool of patches without class_token, got 'token'; choose"):
        ViT(3, class_token=False, rngs=nnx.Rngs(0))
