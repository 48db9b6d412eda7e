"""Networks with one input channel: every family has them, and they compute what three equal channels give."""

import jax
import numpy as np
import pytest
from flax import nnx
from profiles import is_long
from timm_layout import filled

from leepjax.models.architectures import ARCHITECTURES, abstract, family_of, with_arguments

MEMBERS = {family_of(name): name for name in reversed(ARCHITECTURES)}
QUICK = ("resnet", "vit", "nfnet")


@pytest.mark.parametrize("family", MEMBERS if is_long() else QUICK)
def test_a_network_of_every_family_takes_grey_images(family):
    network = abstract(with_arguments(MEMBERS[family], {"in_chans": 1}), 5)
    image = network.one_example()
    assert image.shape[-1] == 1
    network.eval()
    graphdef, state = nnx.split(network)
    outputs = jax.eval_shape(lambda state, image: nnx.merge(graphdef, state)(image), state, image)
    assert outputs.logits.shape == (1, 5)
    assert all(leaf.ndim < 4 or leaf.shape[-2] != 3 for leaf in jax.tree.leaves(state))


def test_grey_images_are_one_channel_of_three():
    grey, colour = filled(abstract('test_resnet:{"in_chans":1}', 5)), abstract("test_resnet", 5)
    kernel = grey.conv1[0].kernel[...]
    nnx.update(colour, nnx.state(grey))
    colour.conv1[0].kernel = nnx.Param(np.pad(kernel, ((0, 0), (0, 0), (0, 2), (0, 0))))
    image = np.random.default_rng(0).normal(size=(2, 32, 32, 1)).astype(np.float32)
    grey.eval()
    colour.eval()
    logits = nnx.jit(lambda network, image: network(image).logits)
    np.testing.assert_allclose(logits(grey, image), logits(colour, np.repeat(image, 3, axis=3)), rtol=1e-5, atol=1e-6)
