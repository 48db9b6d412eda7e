"""The passes in C++ against NumPy in float64, and when they are used."""

import ctypes
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from leepjax.kernels import class_sums, first_largest, native, own_likelihood

COMPILER = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
built = pytest.mark.skipif(not native.is_built(), reason="leepjax was installed without a C++ compiler")


@pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")
def test_passes_are_built_where_there_is_a_compiler():
    assert native.is_built()


def evidence(n, z, dtype):
    rows = np.random.default_rng(0).dirichlet(np.ones(z), size=n)
    return jnp.asarray(rows.astype(np.float32)).astype(dtype)


def exact(array):
    return np.asarray(array.astype(jnp.float32), np.float64)


@built
@pytest.mark.parametrize(
    ("n", "z", "c", "dtype"),
    [  # widths around those that are padded and those that are read at once; blocks of rows, and ranges of classes
        (1, 1, 1, "float32"),
        (300, 10, 3, "float32"),
        (40, 16, 3, "float16"),
        (40, 17, 5, "bfloat16"),
        (9, 64, 2, "float32"),
        (9, 65, 2, "float16"),
        (30, 512, 30, "float32"),
        (30, 513, 4, "bfloat16"),
        (700, 1100, 9, "float32"),
    ],
)
def test_both_passes_are_those_of_numpy(n, z, c, dtype):
    rows, rng = evidence(n, z, dtype), np.random.default_rng(1)
    labels, weights = rng.integers(0, c, n).astype(np.int32), rng.integers(0, 3, n).astype(np.float32)
    table = rng.random((c, z)).astype(np.float32)
    one_hot = np.eye(c)[labels] * weights[:, None]

    sums, counts = class_sums(rows, jnp.asarray(labels), jnp.asarray(weights), c)
    np.testing.assert_allclose(sums, one_hot.T @ exact(rows), rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(counts, one_hot.sum(axis=0))

    likelihood, total = own_likelihood(jnp.asarray(table), rows, jnp.asarray(labels), jnp.asarray(weights))
    for found, wanted in ((likelihood, (exact(rows) * table[labels]).sum(axis=1)), (total, exact(rows).sum(axis=1))):
        np.testing.assert_allclose(found, np.where(weights > 0, wanted, 1), rtol=2e-6)


@built
def test_float64_is_summed_in_float64():
    with jax.enable_x64(True):
        rows = np.random.default_rng(0).dirichlet(np.ones(70), size=50)
        labels, table = np.arange(50) % 3, np.random.default_rng(1).random((3, 70))
        sums, _ = class_sums(jnp.asarray(rows), jnp.asarray(labels), jnp.ones(50), 3)
        likelihood, _ = own_likelihood(jnp.asarray(table), jnp.asarray(rows), jnp.asarray(labels), jnp.ones(50))
        np.testing.assert_allclose(sums, np.eye(3)[labels].T @ rows, rtol=1e-14)
        np.testing.assert_allclose(likelihood, (rows * table[labels]).sum(axis=1), rtol=1e-14)


@built
@pytest.mark.parametrize("z", [10, 70])
def test_rows_of_weight_zero_are_not_read_and_negative_numbers_are_reported(z):
    rows = np.array(evidence(6, z, "float32"))
    rows[1], rows[2, -1], rows[5, 0] = np.nan, -1e-6, np.inf
    labels, weights = jnp.array([0, 0, 1, 1, 0, 0], jnp.int32), jnp.array([1, 0, 1, 1, 1, 0], jnp.float32)
    sums, counts = class_sums(jnp.asarray(rows), labels, weights, 2)
    np.testing.assert_allclose(sums[0], rows[0] + rows[4], rtol=1e-6)
    assert counts.tolist() == [2, 2]
    _, total = own_likelihood(jnp.ones((2, z)), jnp.asarray(rows), labels, weights)
    # Narrow rows are read together with the beginning of the next, which changes nothing.
    assert np.isnan(total).tolist() == [False, False, True, False, False, False]


@built
def test_labels_of_no_class_touch_no_memory_of_others():
    rows, labels = evidence(5, 10, "float32"), jnp.array([0, -1, 2, 1_000_000_000, 1], jnp.int32)
    sums, counts = jax.jit(class_sums, static_argnums=3)(rows, labels, jnp.ones(5), 2)
    np.testing.assert_array_equal(sums, np.asarray(rows)[[0, 4]])
    assert counts.tolist() == [1, 1]
    likelihood, _ = jax.jit(own_likelihood)(jnp.ones((2, 10)), rows, labels, jnp.ones(5))
    assert np.isnan(likelihood).tolist() == [False, True, True, True, False]


@built
def test_the_first_largest_number_is_that_of_numpy():
    rows = np.random.default_rng(0).integers(0, 5, (50, 1200)).astype(np.float32)
    rows[3] = -np.inf
    rows[4, [7, 900]], rows[5, 1199] = 9, 9
    rows[6, 1100], rows[7, 3], rows[7, [2, 1100]] = np.nan, np.nan, [9, 99]
    assert first_largest(jnp.asarray(rows)).tolist() == rows.argmax(axis=1).tolist()


ALL_HALVES = np.arange(2**16, dtype=np.uint16)


@built
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_every_16_bit_number_is_read_as_it_is(dtype):
    numbers = ALL_HALVES.view(jnp.dtype(dtype))
    found, _ = class_sums(jnp.asarray(numbers)[:, None], jnp.arange(2**16), jnp.ones(2**16), 2**16)
    wanted = numbers.astype(np.float32)
    if dtype == "bfloat16":  # XLA has its threads take subnormal floats as zero
        wanted = np.where(np.abs(wanted) < np.finfo(np.float32).tiny, 0, wanted)
    np.testing.assert_array_equal(np.asarray(found)[:, 0], wanted)


@pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")
def test_float16_is_read_as_it_is_without_instructions_for_it(tmp_path):
    source, library = tmp_path / "halves.cc", tmp_path / "halves.so"
    call = "leepjax::from_float16_by_bits(stored, values, count);"
    source.write_text(
        f'#include "rows.h"\nextern "C" void halves(const uint16_t* stored, float* values, int64_t count) {{ {call} }}'
    )
    flags = ["-std=c++17", "-O2", "-fPIC", "-shared", f"-I{Path(native.__file__).parent}"]
    subprocess.run([COMPILER, *flags, source, "-o", library], check=True)
    found = np.zeros(2**16, np.float32)
    pointers = (array.ctypes.data_as(ctypes.c_void_p) for array in (ALL_HALVES, found))
    ctypes.CDLL(str(library)).halves(*pointers, ctypes.c_int64(2**16))
    np.testing.assert_array_equal(found, ALL_HALVES.view(np.float16).astype(np.float32))


@built
def test_more_callers_than_threads_all_get_whole_results():
    # So few blocks of so many rows that a thread is at one for long after others have no more to do.
    n, c = 8000, 500
    rows, labels = jnp.ones((n, 1000)), jnp.arange(n) % c
    sums, others = jax.jit(class_sums, static_argnums=3), []

    def call():
        # Each call has sums of its own, so that memory of an earlier one, where a task isn't done, shows.
        for weight in [1, 2, 4, 8] * 5:
            found = np.asarray(sums(rows, labels, jnp.full(n, float(weight)), c)[0])
            others.extend([] if (found == weight * n / c).all() else [found])

    callers = [threading.Thread(target=call) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not others


@built
def test_the_environment_rules_them_out():
    code, env = "from leepjax.kernels import native; print(native.is_built())", {**os.environ, "LEEPJAX_NATIVE": "0"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout == "False\n"


@built
def test_a_library_for_a_newer_jax_is_not_registered(monkeypatch):
    monkeypatch.setattr(native, "_interface", lambda: 0)
    monkeypatch.setattr(jax.ffi, "register_ffi_target", lambda *_, **__: pytest.fail("it was registered"))
    assert not native.is_built.__wrapped__()
