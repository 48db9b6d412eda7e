"""Predict the logits of images in memory."""

from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding

from leepjax.data.preprocessing import Preprocessing
from leepjax.distributed.sharding import local_rows
from leepjax.models.source import Apply, forward
from leepjax.types import DType


def predict(
    apply: Apply,
    params: Any,
    images: np.ndarray,
    preprocessing: Preprocessing,
    dtype: DType = "float32",
    rows: NamedSharding | None = None,
    batch_size: int = 256,
) -> np.ndarray:
    """Compute the logits [n c] of uint8 images [n s s 3].

    All batches have the same shape (the last is padded) and are sharded by `rows`, by default over all devices.
    """
    rows = rows or local_rows(jax.local_device_count())
    batch_size = rows.num_devices * -(-min(batch_size, len(images)) // rows.num_devices)
    logits = []
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        padded = np.pad(batch, ((0, batch_size - len(batch)), (0, 0), (0, 0), (0, 0)))
        outputs = forward(apply, params, jax.device_put(padded, rows), preprocessing, dtype)
        logits.append(np.asarray(outputs.logits)[: len(batch)])
    return np.concatenate(logits)
