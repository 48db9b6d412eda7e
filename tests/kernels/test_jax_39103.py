"""jax-ml/jax#39103: jax 0.10.2 on CPU, under jit, gets a vmapped matrix–vector product before a reduction wrong.

The second pass of LEEP is such a product. This fails on a JAX with that fault.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("optimised")


@pytest.mark.parametrize(("dtype", "n"), [("float64", 16_385), ("float32", 32_769)])
def test_vmapped_matrix_vector_product_under_jit(dtype, n):
    with jax.enable_x64(True):
        first = jnp.arange(n, dtype=dtype)
        rows = jnp.stack([first, jnp.zeros_like(first), jnp.zeros_like(first)], axis=1)
        matrix = jnp.eye(3, dtype=dtype)
        squared_norms = jax.jit(jax.vmap(lambda row: jnp.sum((matrix @ row) ** 2)))(rows)
    np.testing.assert_array_equal(squared_norms, np.arange(n, dtype=dtype) ** 2)
