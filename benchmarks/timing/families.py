"""How fast is a forward pass of one network of each family, compared with PyTorch's eager one?

TORCH_PYTHON=… python benchmarks --size full families

`$TORCH_PYTHON` names an interpreter with PyTorch and timm; without one, PyTorch isn't timed.
"""

import os
import time

import jax
import numpy as np
from flax import nnx
from measuring import all_quartiles, quartiles, report, size, timings
from torch_forward import Torch

from leepjax.models import weights
from leepjax.models.architectures import build

# Architecture, pixels, images in a batch.
SMALL = [("test_resnet", 96, 2)]
FULL = [
    ("resnet50", 224, 8),
    ("resnext50_32x4d", 224, 8),
    ("seresnet50", 224, 8),
    ("resnetv2_50", 224, 8),
    ("regnety_032", 224, 8),
    ("vgg16", 224, 8),
    ("densenet121", 224, 8),
    ("hgnetv2_b4", 224, 8),
    ("efficientnet_b0", 224, 8),
    ("tf_efficientnetv2_s", 224, 8),
    ("mobilenetv3_large_100", 224, 8),
    ("mobilenetv4_conv_medium", 224, 8),
    ("efficientvit_b1", 224, 8),
    ("convnext_tiny", 224, 8),
    ("convnextv2_tiny", 224, 8),
    ("caformer_s18", 224, 8),
    ("vit_small_patch16_224", 224, 8),
    ("vit_small_patch14_dinov2", 518, 2),
    ("deit3_small_patch16_224", 224, 8),
    ("beit_base_patch16_224", 224, 8),
    ("eva02_small_patch14_336", 336, 4),
    ("swin_tiny_patch4_window7_224", 224, 8),
    ("swinv2_tiny_window8_256", 256, 8),
    ("maxvit_tiny_tf_224", 224, 8),
    ("cait_s24_224", 224, 8),
    ("xcit_small_12_p16_224", 224, 8),
    ("volo_d1_224", 224, 8),
    ("legacy_seresnet50", 224, 8),
    ("gcresnet33ts", 256, 8),
    ("nfnet_l0", 224, 8),
    ("darknet53", 256, 8),
    ("rexnet_100", 224, 8),
    ("repghostnet_100", 224, 8),
    ("repvit_m1", 224, 8),
    ("mobilevit_s", 256, 8),
    ("levit_256", 224, 8),
    ("nextvit_small", 224, 8),
    ("tiny_vit_5m_224", 224, 8),
    ("inception_next_tiny", 224, 8),
    ("mambaout_tiny", 224, 8),
    ("focalnet_tiny_srf", 224, 8),
    ("pvt_v2_b2", 224, 8),
    ("twins_svt_small", 224, 8),
    ("pit_s_224", 224, 8),
    ("hiera_small_224", 224, 8),
    ("swinv2_cr_tiny_ns_224", 224, 8),
    ("vit_relpos_small_patch16_224", 224, 8),
    ("vit_small_r26_s32_224", 224, 8),
    ("mixer_s16_224", 224, 8),
]
REPEATS = {"small": 2, "full": 5}


def measure(architecture: str, pixels: int, batch_size: int, repeats: int) -> None:
    network = build(architecture, 1000)
    network.eval()
    graphdef, state = nnx.split(network)
    images = np.random.default_rng(0).random((batch_size, pixels, pixels, 3), np.float32)
    started = time.perf_counter()
    forward = jax.jit(lambda state, images: nnx.merge(graphdef, state)(images)).lower(state, images).compile()
    compiling = time.perf_counter() - started
    functions = {"leepjax": lambda: forward(state, images)}
    rival = Torch(architecture, pixels, batch_size) if os.environ.get("TORCH_PYTHON") else None
    if rival:
        functions["pytorch"] = lambda: rival(1)
    seconds = timings(functions, repeats)
    report(
        benchmark="families",
        architecture=architecture,
        pixels=pixels,
        batch_size=batch_size,
        parameters=weights.num_parameters(network),
        images_a_second=quartiles(batch_size / seconds["leepjax"]),
        pytorch_over_leepjax=quartiles(seconds["pytorch"] / seconds["leepjax"]) if rival else None,
        seconds_compiling=round(compiling, 2),
        seconds=all_quartiles(seconds),
    )
    if rival:
        rival.close()


def main() -> None:
    chosen = size()
    for case in FULL if chosen == "full" else SMALL:
        measure(*case, repeats=REPEATS[chosen])


if __name__ == "__main__":
    main()
