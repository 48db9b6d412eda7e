"""Predict the logits of examples in memory."""

from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from leepjax.data.preparation import Preparation
from leepjax.distributed.sharding import local_rows
from leepjax.models.source import Apply, forward
from leepjax.types import DType


def predict(
    apply: Apply,
    params: Any,
    images: np.ndarray,
    preparation: Preparation,
    dtype: DType = "float32",
    rows: NamedSharding | None = None,
    batch_size: int = 256,
) -> np.ndarray:
    """Compute the logits [n c] of prepared examples in memory, such as uint8 images [n s s 3].

    Batches have few shapes and are sharded by `rows`, by default over all devices.
    """
    rows = rows or local_rows(jax.local_device_count())
    batch_size = rows.num_devices * -(-min(batch_size, len(images)) // rows.num_devices)
    everywhere = NamedSharding(rows.mesh, PartitionSpec())
    places, logits = [], []
    for start in range(0, len(images), batch_size):
        for part in preparation.parts(list(images[start : start + batch_size]), batch_size):
            sharding = everywhere if len(part.inputs) % rows.num_devices else rows
            outputs = forward(apply, params, jax.device_put(part.inputs, sharding), preparation, dtype)
            logits.append(np.asarray(outputs.logits)[: len(part.places)])
            places.append(start + part.places)
    return np.concatenate(logits)[np.argsort(np.concatenate(places))]
