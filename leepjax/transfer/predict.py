"""What a network says of images that are in memory."""

from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding

from leepjax.data.preprocessing import Preprocessing
from leepjax.distributed.sharding import local_rows
from leepjax.models.source import Apply, DType, forward


def predict(
    apply: Apply,
    params: Any,
    images: np.ndarray,
    preprocessing: Preprocessing,
    dtype: DType = "float32",
    rows: NamedSharding | None = None,
    batch_size: int = 256,
) -> np.ndarray:
    """The logits [n c] of uint8 images [n s s 3].

    Batches have one shape, the last is padded and cut, and are spread as `rows` says: over all devices by default.
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
