"""Convolutions and pools have the values and derivatives of XLA's own in float64, on CPUs by other programs."""

import re
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import leepjax
from leepjax.models.layers.convolution import max_pool
from leepjax.models.layers.convolve import NUMBERS, convolve

PACKAGE = Path(leepjax.__file__).parent
SAME = ((1, 1), (1, 1))
WINDOWS = {
    "plain": ((5, 6), (3, 3), (1, 1), SAME, (1, 1)),
    "pointwise": ((4, 3), (1, 1), (1, 1), "VALID", (1, 1)),
    "strided": ((7, 6), (3, 3), (2, 2), SAME, (1, 1)),
    "strided pointwise": ((5, 4), (1, 1), (2, 2), "VALID", (1, 1)),
    "TensorFlow's padding": ((6, 7), (4, 3), (2, 3), "SAME", (1, 1)),
    "dilated": ((6, 7), (3, 2), (1, 1), ((2, 2), (0, 1)), (2, 3)),
    "strided and dilated": ((9, 8), (3, 3), (2, 1), ((2, 1), (2, 2)), (2, 2)),
    "larger than the map": ((2, 2), (3, 3), (1, 1), SAME, (1, 1)),
    "larger and strided": ((3, 2), (5, 5), (2, 2), ((2, 2), (2, 2)), (1, 1)),
    "of the map's size": ((4, 3), (4, 3), (1, 1), "VALID", (1, 1)),
    "negative padding": ((6, 6), (3, 3), (2, 2), ((-1, 1), (0, -1)), (1, 1)),
}
# The others have in common with one of these which program a CPU runs.
QUICK = ("plain", "strided and dilated", "larger than the map", "of the map's size")


@pytest.fixture(params=[pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in WINDOWS])
def problem(request):
    """Ours and the library's function of map and kernel, and two of each in float64."""
    sides, size, strides, padding, dilation = WINDOWS[request.param]
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in [(2, 2, *sides, 3), (2, *size, 3, 4)]]
    options = {"rhs_dilation": dilation, "dimension_numbers": NUMBERS}
    functions = [
        lambda x, kernel, made=made: jnp.sin(made(x, kernel, strides, padding, **options))
        for made in (convolve, lax.conv_general_dilated)
    ]
    with jax.enable_x64(True):
        yield *functions, *map(jnp.asarray, arrays)


def everything(function, x, kernel):
    """By `vmap` values, gradients and forward derivatives along one argument and both; and a product with a Hessian."""

    def gradients(x, kernel):
        return jax.grad(lambda *both: (function(*both) ** 2).sum(), argnums=(0, 1))(x, kernel)

    def derivatives(x, kernel):
        only = jax.jvp(lambda x: function(x, kernel), (x,), (x,)), jax.jvp(partial(function, x), (kernel,), (kernel,))
        return gradients(x, kernel), jax.jvp(function, (x, kernel), (x, kernel)), only

    return (
        jax.vmap(derivatives)(x, kernel),
        jax.vmap(gradients, (0, None))(x, kernel[0]),
        jax.jvp(gradients, (x[0], kernel[0]), (x[1], kernel[1]))[1],
    )


def test_convolutions_and_all_their_derivatives_are_the_librarys(problem):
    ours, librarys, x, kernel = problem
    got, expected = (jax.jit(partial(everything, function))(x, kernel) for function in (ours, librarys))
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("stride", "ceil"),
    [(2, False), *(pytest.param(*each, marks=pytest.mark.long) for each in [(1, False), (1, True), (2, True)])],
)
def test_maxima_and_their_derivatives_are_the_librarys_where_places_tie(stride, ceil):
    rng = np.random.default_rng(0)
    x = rng.integers(-1, 2, (2, 7, 6, 3)).astype(np.float32)
    along = rng.standard_normal(x.shape).astype(np.float32)
    window, strides = (1, 3, 3, 1), (1, stride, stride, 1)
    padding = [(0, 0), *((0, (side - 3) % stride) if ceil else (1, 1) for side in x.shape[1:3]), (0, 0)]

    # Two passes: a window's first largest place is then that of its first column that has it.
    def librarys(x):
        for axis in (2, 1):
            one = [np.where(np.arange(4) == axis, whole, 1).tolist() for whole in (window, strides)]
            x = lax.reduce_window(
                x, -jnp.inf, lax.max, *one, [p if i == axis else (0, 0) for i, p in enumerate(padding)]
            )
        return x

    def all_of(function, x, along):
        value, moved = jax.jvp(function, (x,), (along,))
        return (
            value,
            moved,
            jax.vjp(function, x)[1](jnp.cos(moved)),
            jax.vmap(jax.grad(lambda x: function(x[None]).sum()))(x),
        )

    got, expected = (
        jax.jit(partial(all_of, each))(x, along) for each in (partial(max_pool, stride=stride, ceil=ceil), librarys)
    )
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6), got, expected)


def lowered(platform, stride=1, side=8, arguments=(0, 1)):
    """The program of the gradients of a 3 × 3 convolution whose value they need."""
    x, kernel = jnp.ones((2, side, side, 4)), jnp.ones((3, 3, 4, 4))

    def loss(x, kernel):
        return (convolve(x, kernel, (stride, stride), SAME, dimension_numbers=NUMBERS) ** 2).sum()

    traced = jax.jit(jax.grad(loss, argnums=arguments)).trace(x, kernel)
    return traced.lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.parametrize(("stride", "side", "convolutions"), [(1, 8, 3), (2, 8, 2), (1, 2, 0)])
def test_programs_of_cpus_have_no_convolution_that_is_slow_there(stride, side, convolutions):
    on_cpu, on_gpu = (lowered(platform, stride, side) for platform in ("cpu", "cuda"))
    assert on_cpu.count("stablehlo.convolution") == convolutions
    assert on_gpu.count("stablehlo.convolution") == 3
    assert "optimization_barrier" in on_cpu
    assert "optimization_barrier" not in on_gpu
    assert "dot_general" not in on_gpu


@pytest.mark.parametrize("argument", [0, 1])
def test_an_argument_that_does_not_vary_costs_nothing(argument):
    assert lowered("cpu", arguments=argument).count("stablehlo.convolution") == 2


def test_networks_make_their_convolutions_in_one_place():
    """A plain `nnx.Conv` has XLA's own gradients, which are slow on CPUs."""
    made = [
        path
        for path in PACKAGE.rglob("*.py")
        if re.search(r"(partial\(nnx\.Conv|nnx\.Conv(Transpose)?\()", path.read_text("utf-8"))
    ]
    assert made == [PACKAGE / "models/layers/convolution.py"]
