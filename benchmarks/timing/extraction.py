"""What does extraction cost beyond the bare forward pass, how fast is that compared with PyTorch, and what limits it?

python benchmarks --size full extraction

`$TORCH_PYTHON` names an interpreter with PyTorch and timm; without one, PyTorch isn't timed.
"""

import os
from io import BytesIO

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from measuring import all_quartiles, compiled, quartiles, report, size, timings
from PIL import Image
from torch_forward import Torch

from leepjax.data.iterable import from_iterable
from leepjax.data.preprocessing import Preprocessing
from leepjax.data.target import Target
from leepjax.extraction.forward import forward_batches
from leepjax.models.architectures import build
from leepjax.models.source import Merged, forward

# Architecture, pixels, images, images in a batch.
SMALL = [("resnet20", 32, 32, 16)]
FULL = [
    ("resnet20", 32, 2048, 256),
    ("resnet18", 224, 128, 32),
    ("resnet50", 224, 64, 32),
    ("mobilenetv1_100", 224, 128, 32),
    ("mobilenetv2_100", 224, 128, 32),
]
REPEATS = {"small": 2, "full": 7}


def photographs(count: int, width: int, height: int) -> Target:
    """JPEGs with colours, shades and edges, which take as long to decode as photographs of that size."""
    rng = np.random.default_rng(0)
    files = []
    for _ in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (height // 16, width // 16, 3), np.uint8))
        file = BytesIO()
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    return from_iterable((file, i % 2) for i, file in enumerate(files))


def measure(model: str, pixels: int, count: int, batch_size: int, repeats: int) -> None:
    target = photographs(count, *((40, 30) if pixels == 32 else (500, 375)))
    prepare = Preprocessing(image_size=pixels, crop=0.875)
    network = build(model, 1000)
    network.eval()
    graphdef, state = nnx.split(network)

    def apply(images):
        return forward(Merged(graphdef), state, images, prepare)

    decoded = target.images(range(count), prepare)
    batches = [decoded[start : start + batch_size] for start in range(0, count, batch_size)]

    def bare():
        return [np.asarray(apply(batch).features) for batch in batches]

    def extraction():
        return [outputs.features for outputs in forward_batches(apply, target, prepare, batch_size=batch_size)]

    np.testing.assert_allclose(np.concatenate(extraction()), np.concatenate(bare()), rtol=1e-4, atol=1e-4)
    rival = Torch(model, pixels, batch_size) if os.environ.get("TORCH_PYTHON") and model != "resnet20" else None
    functions = {"bare": bare, "extraction": extraction} | ({"pytorch": lambda: rival(len(batches))} if rival else {})
    seconds = timings(functions, repeats)
    decoding = timings({"decoding": lambda: target.images(range(count), prepare)}, 1)["decoding"][0]
    flops = jax.jit(apply).lower(batches[0]).compile().cost_analysis()["flops"] * len(batches)
    report(
        benchmark="extraction",
        architecture=model,
        pixels=pixels,
        images=count,
        batch_size=batch_size,
        images_a_second=quartiles(count / seconds["bare"]),
        extraction_over_bare=quartiles(seconds["extraction"] / seconds["bare"]),
        pytorch_over_bare=quartiles(seconds["pytorch"] / seconds["bare"]) if rival else None,
        decoding_over_bare=float(f"{decoding / np.median(seconds['bare']):.3g}"),
        gigaflops_a_second=quartiles(flops / seconds["bare"] / 1e9),
        gigaflops_a_second_of_a_matmul=round(matmul_rate() / 1e9, 1),
        seconds=all_quartiles(seconds),
    )
    if rival:
        rival.close()


def matmul_rate() -> float:
    """Floating-point operations per second of a large matrix product: what a convolution could reach."""
    a = jnp.ones((2048, 2048))
    product = compiled(jnp.matmul, a, a)
    seconds = timings({"matmul": lambda: product(a, a)}, 5)["matmul"]
    return 2 * 2048**3 / float(np.median(seconds))


def main() -> None:
    chosen = size()
    for case in FULL if chosen == "full" else SMALL:
        measure(*case, repeats=REPEATS[chosen])


if __name__ == "__main__":
    main()
