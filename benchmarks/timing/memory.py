"""How much memory does `leep` take besides its input, and how much do its rivals?

python benchmarks --size full memory

The memory is measured, not computed: each case runs in a fresh process that makes its input, calls the function once
to compile it, gives free memory back to the system, resets the kernel's peak (Linux's VmHWM) and calls again. The
temporaries that XLA planned are reported, too.
"""

import json
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from measuring import child_arguments, compiled, in_fresh_process, report, reset_peak, resident, size
from problems import assert_leep_is_right, leep_of, logits_of, probs_of
from rivals import RIVALS

import leepjax as lj

OURS = ("leep", "leep_with_checks", "leep_of_logits")
LOGITS = ("leep_of_logits", "softmax")
CASES = {
    "small": [("leep", 2_000, 50, 10)],
    "full": [
        *((method, 50_000, 1000, 100) for method in (*OURS, "softmax", *RIVALS)),
        *(("leep", 50_000, 1000, c) for c in (10, 1000)),
        *(("leep", n, 1000, 100) for n in (10_000, 200_000)),
    ],
}


def child(method: str, *shape: str) -> None:
    """Print by how many bytes the peak of one call exceeds the memory before it."""
    call, planned = prepare(method, *map(int, shape))
    jax.block_until_ready(call())
    before = reset_peak()
    jax.block_until_ready(call())
    print(json.dumps({"extra_bytes": resident("VmHWM") - before, "planned_bytes": planned}))


def prepare(method: str, n: int, z: int, c: int) -> tuple[Callable[[], Any], int | None]:
    """The call to measure, which holds its input and nothing else, and XLA's plan of its temporaries in bytes."""
    arrays = (logits_of if method in LOGITS else probs_of)(n, z, c)
    if method in RIVALS:
        return lambda: RIVALS[method](*arrays, c), None
    arrays = tuple(map(jnp.asarray, arrays))
    if method == "leep_with_checks":
        return lambda: lj.leep(*arrays, num_classes=c), None
    function = _softmax if method == "softmax" else leep_of(c, from_logits=method in LOGITS)
    run = compiled(function, *arrays)
    return lambda: run(*arrays), run.memory_analysis().temp_size_in_bytes


def _softmax(logits, _):
    return jax.nn.softmax(logits)


def main() -> None:
    chosen = size()
    assert_leep_is_right()
    for method, n, z, c in CASES[chosen]:
        found = in_fresh_process(__file__, method, str(n), str(z), str(c))
        input_bytes, table = 4 * n * z, 4 * c * z
        report(
            benchmark="memory",
            method=method,
            n=n,
            z=z,
            c=c,
            input_bytes=input_bytes,
            table_bytes=table,
            **found,
            extra_over_input=round(found["extra_bytes"] / input_bytes, 4),
            extra_without_table_over_input=round((found["extra_bytes"] - table) / input_bytes, 4),
        )


if __name__ == "__main__":
    child(*arguments) if (arguments := child_arguments()) else main()
