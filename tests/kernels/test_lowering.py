"""The compiled passes, read from the program that XLA gets and from the one that it produces."""

import json
import math
import re
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import pytest
from cases import MEASURES, problem
from places import environment
from profiles import by_turns, is_long

import leepjax as lj

pytestmark = pytest.mark.usefixtures("optimised")
N, Z, C = 20_000, 500, 10
ROWS = jax.ShapeDtypeStruct((N, Z), jnp.float32), jax.ShapeDtypeStruct((N,), jnp.int32)
MEASURES_OF_PROBS = {
    "leep": partial(lj.leep, num_classes=C),
    "leep from logits": partial(lj.leep, num_classes=C, from_logits=True),
    "leep_lift": partial(lj.leep_lift, num_classes=C),
    "em_leep": partial(lj.em_leep, num_classes=C),
    "soft_nce": partial(lj.soft_nce, num_classes=C),
    "leep_tasks": lambda probs, labels: lj.leep_tasks(probs, labels, jnp.eye(C, dtype=bool)),
}
SHARDED_MEASURES = [name for name in MEASURES_OF_PROBS if "logits" not in name]
every_measure = pytest.mark.parametrize("name", MEASURES_OF_PROBS)


@every_measure
def test_a_cpu_holds_few_numbers_beside_the_evidence(name):
    memory = jax.jit(MEASURES_OF_PROBS[name]).lower(*ROWS).compile().memory_analysis()
    block = 4 * 2**20 if name == "leep_tasks" else 0  # a block of rows, whatever their number
    assert memory.temp_size_in_bytes < 0.05 * 4 * N * Z + 4 * C * Z + 2 * block


def exported(platform, name, classes=C):
    function = partial(lj.leep, num_classes=classes) if name == "leep" else MEASURES_OF_PROBS[name]
    return jax.export.export(jax.jit(function), platforms=[platform])(*ROWS).mlir_module()


def sizes(module):
    return {math.prod(map(int, shape.split("x"))) for shape in re.findall(r"tensor<([\dx]+)x[fi]\d+>", module)}


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
@every_measure
def test_accelerators_get_matmuls_of_full_precision(platform, name):
    module = exported(platform, name)
    products = re.findall(r"stablehlo\.dot_general.*", module)
    assert products
    assert all("HIGHEST, HIGHEST" in product for product in products)
    assert "scatter" not in module, "atomic additions to few classes"
    assert max(sizes(module)) == N * Z, "no [n c z], and no [n z] but the evidence's"


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_is_a_program_for_accelerators(name):
    p = problem(0)
    rows = (jax.ShapeDtypeStruct(array.shape, jnp.dtype(array.dtype.name)) for array in (p.features, p.probs))

    def score(features, probs, labels):
        return MEASURES[name].score(features, probs, labels, num_classes=p.num_classes)

    lowered = jax.export.export(jax.jit(score), platforms=["cuda", "tpu"])
    module = lowered(*rows, jax.ShapeDtypeStruct(p.labels.shape, jnp.int32)).mlir_module()
    products = re.findall(r"stablehlo\.dot_general.*", module)
    assert all("HIGHEST, HIGHEST" in product for product in products), "a GPU would round operands to TF32"


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_many_classes_on_accelerators(platform):
    module = exported(platform, "leep", classes=1000)
    assert ("scatter" in module) == (platform == "cuda")
    scattering = [line for line in module.splitlines() if "stablehlo.scatter" in line]
    assert all(line.index('"stablehlo.scatter"') < 30 for line in scattering), "a scatter in a loop"
    assert max(sizes(module)) == N * Z


@pytest.mark.parametrize("name", [name for name in MEASURES_OF_PROBS if "logits" not in name])
def test_no_evidence_is_written_for_a_tpu(name):
    """Rows are read from the evidence in blocks only: no other array has its size, except where loops pass it on."""
    made = re.findall(rf"stablehlo\.(\w+).*tensor<{N}x{Z}xf32>\)?$", exported("tpu", name), re.MULTILINE)
    assert set(made) <= {"while"}


SHARDED = """
import json, re, sys
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType
import leepjax as lj
from cases import ORACLES, Problem
from test_lowering import MEASURES_OF_PROBS, SHARDED_MEASURES, C, Z

found = {}

def collectives(program):
    kinds = r" (all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter)(-start)?\\("
    return [line.strip()[:300] for line in program.as_text().splitlines() if re.search(kinds, line)]

rng = np.random.default_rng(0)
probs, labels = rng.dirichlet(np.ones(Z), 803).astype(np.float32), rng.integers(0, C, 803)
for turn, kind in enumerate((AxisType.Auto, AxisType.Explicit)):
    rows = lj.shard_rows(probs, labels, mesh=jax.make_mesh((8,), ("rows",), axis_types=(kind,)))
    for name in SHARDED_MEASURES if sys.argv[1:] == ["all"] else SHARDED_MEASURES[turn::2]:
        measure = MEASURES_OF_PROBS[name]
        program = jax.jit(lambda p, y, w: measure(p, y, where=w) if name != "leep_tasks" else lj.leep_tasks(
            p, y, jnp.eye(C, dtype=bool), where=w)).lower(*rows).compile()
        score = np.asarray(program(*rows))
        if name == "leep_tasks":
            expected = np.asarray(measure(probs, labels))
        else:
            expected = ORACLES[name](Problem(None, np.float64(probs), labels, None, C))
        found[f"{kind.name} {name}"] = {
            "hlo": collectives(program),
            "error": float(np.abs(score - expected).max()),
        }
features = rng.normal(size=(20_000, 20)).astype(np.float32)
of_features = lj.shard_rows(features, rng.integers(0, C, 20_000))[:2]
for name in ("h_score", "shrunk_h_score", "logme"):
    measure = jax.jit(lambda x, y: getattr(lj, name)(x, y, num_classes=C))
    found[name] = collectives(measure.lower(*of_features).compile())
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def sharded():
    eight = environment(XLA_FLAGS="--xla_force_host_platform_device_count=8")
    command = [sys.executable, "-c", SHARDED, *(["all"] if is_long() else [])]
    run = subprocess.run(command, env=eight, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize(("name", "kind"), by_turns(SHARDED_MEASURES, ["Auto", "Explicit"]))
def test_devices_exchange_the_statistics_and_nothing_else(name, kind, sharded):
    found = sharded[f"{kind} {name}"]
    assert found["error"] < 2e-6
    assert found["hlo"]
    for line in found["hlo"]:
        assert " all-reduce(" in line, line
        exchanged = re.findall(r"[fs]\d+\[([\d,]*)\]", line.partition(" all-reduce(")[0])
        assert all(math.prod(map(int, shape.split(","))) <= C * Z for shape in exchanged if shape), line


@pytest.mark.parametrize("name", ["h_score", "shrunk_h_score", "logme"])
def test_devices_exchange_the_moments_and_nothing_else(name, sharded):
    assert sharded[name]
    for line in sharded[name]:
        assert " all-reduce(" in line, line
        exchanged = re.findall(r"f\d+\[([\d,]*)\]", line.partition(" all-reduce(")[0])
        assert all(math.prod(map(int, shape.split(","))) <= 20 * 20 for shape in exchanged if shape), line
