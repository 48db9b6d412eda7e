"""Convert MobileNets exported by TFLite, with BatchNorm folded into convolutions and layers in graph order."""

from collections.abc import Iterator, Sequence

import numpy as np

from leepjax.models.files.layouts import blocks_of_widths

Layer = tuple[np.ndarray, np.ndarray]
"""Float kernel and bias in TFLite's layout: convolution [o h w i], depthwise convolution [1 h w c], linear [o i]."""


def from_tflite(layers: Sequence[Layer], epsilon: float = 1e-3) -> dict[str, np.ndarray]:
    """The state dict of a MobileNetV1 or V2, with timm's names and PyTorch's layout, for ``tf_mobilenetv1_100`` etc.

    A folded bias becomes the bias of a BatchNorm that is otherwise the identity: scale 1, mean 0, variance 1 − ε.

    Args:
        layers: stem, blocks, MobileNetV2's last 1 × 1 convolution, classifier; quantised tensors must be dequantised.
        epsilon: ε of the architecture's BatchNorm.

    >>> shapes = [(8, 3, 3, 3), (1, 3, 3, 8), (16, 1, 1, 8), (5, 16)]
    >>> list(from_tflite([(np.ones(shape), np.ones(max(shape))) for shape in shapes]))[::5]
    ['conv_stem.weight', 'blocks.0.0.conv_dw.weight', 'blocks.0.0.conv_pw.weight', 'classifier.weight']
    """
    *convolutions, (kernel, bias) = layers
    state = {}
    for (conv, norm), (weight, shift) in zip(_names(convolutions), convolutions, strict=True):
        ones = np.ones_like(shift)
        state[f"{conv}.weight"] = weight.transpose((3, 0, 1, 2) if _is_depthwise(weight) else (0, 3, 1, 2))
        state[f"{norm}.weight"], state[f"{norm}.bias"] = ones, shift
        state[f"{norm}.running_mean"], state[f"{norm}.running_var"] = 0 * ones, (1 - epsilon) * ones
    return state | {"classifier.weight": kernel.reshape(len(kernel), -1), "classifier.bias": bias}


def _names(convolutions: Sequence[Layer]) -> Iterator[tuple[str, str]]:
    """Yield timm's names of each convolution and of the BatchNorm after it."""
    kernels = [kernel for kernel, _ in convolutions]
    yield "conv_stem", "bn1"
    blocks, at = [], 1
    while at < len(kernels):
        # A block has its depthwise kernel first or after the expansion; without one it is the last convolution.
        size = 2 if _is_depthwise(kernels[at]) else 3 if any(map(_is_depthwise, kernels[at + 1 : at + 2])) else 1
        blocks.append(kernels[at : at + size])
        at += size
    names = blocks_of_widths([len(block[-1]) for block in blocks if len(block) > 1])
    for name, block in zip(names, blocks, strict=False):
        for number, layer in enumerate(_LAYERS[len(block)], start=1):
            yield f"{name}.{layer}", f"{name}.bn{number}"
    if len(names) < len(blocks):
        yield "conv_head", "bn2"


_LAYERS = {2: ("conv_dw", "conv_pw"), 3: ("conv_pw", "conv_dw", "conv_pwl")}


def _is_depthwise(kernel: np.ndarray) -> bool:
    return kernel.ndim == 4 and len(kernel) == 1 and kernel.shape[1] > 1
