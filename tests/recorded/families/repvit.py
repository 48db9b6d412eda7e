"""RepViT."""

from typing import Any

from recorded.families import NUM_CLASSES, Case

CASES = {
    "m0_9": Case("repvit_m0_9", (66, 51), {"embed_dim": [16, 24], "depth": [2, 1], "kernel_size": 5}),
    "m1": Case("repvit_m1", (66, 51), {"embed_dim": [16, 24], "depth": [1, 2], "mlp_ratio": 3}),
}


TRAINED = ("m1",)


def timm_network(case: Case) -> Any:
    """The network of a case in timm, with one linear head, as after its ``fuse``."""
    from timm import create_model
    from torch import nn

    network = create_model(case.architecture, num_classes=NUM_CLASSES, **case.model_args)
    network.head = nn.Linear(network.num_features, NUM_CLASSES)
    return network
