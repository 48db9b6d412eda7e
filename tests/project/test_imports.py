"""What importing costs, and which module may import which."""

import ast
import functools
import re
import subprocess
import sys
from graphlib import TopologicalSorter

import pytest
from places import ROOT

import leepjax
import leepjax.measures

sys.path.insert(0, str(ROOT / "docs"))
from component_picture import ENTRIES, PICTURE, drawn_components, svg
from import_graph import PACKAGE, component_of, graph_of_modules

# What every module may use: text made safe for terminals, the type of progress callbacks, arrays as callers pass them.
EVERYWHERE = {"printable", "callbacks", "inputs"}
# Module or folder → what it may import of the package: always what stands above it, never below.
BASE = {"types", "tasks", "storage", "kernels", "checks", "tables"}
STATISTICS = {"types", "kernels", "checks", "statistics"}
ALLOWED = {
    "__init__": {"exports"},
    "exports": set(),
    "types": set(),
    "tasks": {"types"},
    "printable": set(),
    "callbacks": set(),
    "inputs": {"types", "inputs"},
    "storage": {"types", "storage"},
    "kernels": {"types", "kernels"},
    "checks": {"types", "kernels", "checks"},
    "tables": {"types"},
    "streaming": BASE | {"statistics", "streaming"},
    "statistics": BASE | {"statistics"},
    "solvers": {"types", "kernels", "checks", "solvers"},
    "interrupts": set(),
    "distributed": {"types", "interrupts", "distributed"},
    "measures": STATISTICS | {"tasks", "exports", "streaming", "solvers", "measures"},
    "agreement": {"types", "tasks", "tables", "storage", "agreement"},
    "data": BASE | {"data"},
    "models": BASE | {"data", "models"},
    "extraction": BASE | {"distributed", "opening", "data", "models", "extraction"},
    "transfer": BASE | {"interrupts", "solvers", "distributed", "data", "models", "extraction", "transfer"},
    "opening": BASE | {"data", "models", "opening"},
    "meta": BASE | {"interrupts", "statistics", "agreement", "data", "models", "opening", "transfer", "meta"},
    "engines": {"types", "storage", "interrupts", "engines"},
    "ranking": BASE
    | STATISTICS
    | {"measures", "agreement", "opening", "engines", "data", "models", "extraction", "transfer", "ranking"},
    "experiments": {"opening"},
    "adapting": BASE | {"data", "models", "opening", "extraction", "transfer", "adapting"},
    "choosing": BASE
    | {"interrupts", "agreement", "solvers", "opening", "engines", "data", "models", "extraction"}
    | {"transfer", "ranking", "adapting", "choosing"},
    "studies": BASE
    | STATISTICS
    | {"measures", "agreement", "opening", "engines", "data", "models", "extraction", "transfer", "meta", "studies"},
    "report": {
        "types",
        "tasks",
        "storage",
        "tables",
        "measures",
        "agreement",
        "ranking",
        "choosing",
        "studies",
        "report",
    },
    "sklearn": {"types", "checks", "measures"},
    "cli": {
        "types",
        "tasks",
        "storage",
        "tables",
        "interrupts",
        "distributed",
        "measures",
        "agreement",
        "data",
        "models",
        "cli",
    }
    | {"opening", "extraction", "transfer", "meta", "ranking", "adapting", "choosing", "studies", "report"},
    "__main__": {"cli"},
}


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


graph = functools.cache(graph_of_modules)


def test_a_module_imports_only_what_stands_above_it():
    imported = {module: {component_of(name) for name in names} for module, names in graph().items()}
    below = {module: components - ALLOWED[component_of(module)] - EVERYWHERE for module, components in imported.items()}
    assert {module: components for module, components in below.items() if components} == {}


def test_the_walk_sees_imports_inside_functions_and_of_modules():
    assert "ranking.rank" in graph()["cli.rank"]
    assert "cli.catalogue" in graph()["cli.ls"]
    assert graph()["measures.of_probs.leep"] >= {"statistics.joint", "measures.shell"}


def test_neither_the_modules_nor_the_layers_form_a_cycle():
    order = list(TopologicalSorter(graph()).static_order())
    assert set(order) == set(graph())
    list(TopologicalSorter({name: above - {name} for name, above in ALLOWED.items()}).static_order())


def test_every_public_name_resolves():
    assert set(leepjax.__all__) < set(dir(leepjax))
    for name in leepjax.__all__:
        assert getattr(leepjax, name) is not None


def test_a_public_name_is_listed_once():
    places = [PACKAGE / "__init__.pyi", *(PACKAGE / "measures" / name for name in ("__init__.pyi", "table.py"))]
    imported = [
        alias.name
        for path in [*places, PACKAGE / "measures" / "further.py"]
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    ]
    assert sorted(imported) == leepjax.__all__


def test_a_measure_with_a_row_is_public():
    assert {*leepjax.MEASURES, *leepjax.FURTHER} <= set(leepjax.__all__) & set(leepjax.measures.__all__)


def test_a_star_import_has_all_public_names_and_no_others():
    names = run("from leepjax import *; print(*(name for name in dir() if name[:2] != '__'))").split()
    assert sorted(names) == leepjax.__all__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'leepjax' has no attribute 'leap'"):
        leepjax.leap  # noqa: B018
    with pytest.raises(ImportError, match="leap"):
        from leepjax import leap  # noqa: F401


HEAVY = ("flax", "optax", "tensorflow", "matplotlib", "sklearn", "ray")
HEAVY += ("tensorflow_datasets", "array_record", "datasets", "pyarrow", "PIL")
AGREE = "from leepjax.agreement import kendall; kendall([1, 2], [1, 3])"
OF_A_RANKING = ("sklearn", "pandas", "orbax", "pyarrow", "tensorflow", "matplotlib", "scipy.stats")


@pytest.mark.parametrize(
    ("use", "unwanted"),
    [
        ("", (*HEAVY, "jax", "numpy")),
        ("; dir(lj), lj.__all__; import leepjax.measures", (*HEAVY, "jax", "numpy")),
        ("; lj.leep([[0.9, 0.1], [0.2, 0.8]], [0, 1])", HEAVY),
        ("; import leepjax.cli.commands", (*HEAVY, "jax", "numpy", "scipy")),
        ("; import leepjax.report.make", HEAVY),
        (
            "; lj.rank; lj.read_target('digits'); from leepjax import agreement; agreement.kendall([1, 2], [1, 3])",
            OF_A_RANKING,
        ),
    ],
    ids=["import", "names", "leep", "cli", "page of a ranking", "rank"],
)
def test_importing_loads_nothing_heavy(use, unwanted):
    loaded = run(f"import sys, leepjax as lj{use}; print(*sys.modules)").split()
    assert "leepjax" in loaded
    assert not {*loaded, *(name.partition(".")[0] for name in loaded)} & set(unwanted)


def test_a_sweep_loads_ray_only_when_it_is_the_engine():
    loaded = run("import sys, leepjax as lj; lj.sweep; import leepjax.engines.ray; print(*sys.modules)").split()
    assert "leepjax.engines.ray" in loaded
    assert "ray" not in loaded


def test_help_loads_nothing_heavy():
    show = "app(['--help'], result_action='return_value'); print('\\nloaded:', *sys.modules)"
    help_text, _, loaded = run(f"import sys; from leepjax.cli.commands import app; {show}").partition("\nloaded:")
    assert "rank" in help_text
    assert not {name.partition(".")[0] for name in loaded.split()} & {*HEAVY, "jax", "numpy", "scipy"}


def test_the_picture_of_the_components_is_that_of_their_imports():
    picture = svg()
    assert PICTURE.read_text("utf-8") == picture, "run python docs/component_picture.py"
    assert all(f">{component}</text>" in picture for component in drawn_components())


def test_each_component_has_its_line_in_the_architecture():
    rows = re.findall(r"^\| (`.*?`) \|", (ROOT / "docs" / "architecture.md").read_text("utf-8"), re.MULTILINE)
    described = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert described == {component_of(name) for name in graph()} - set(ENTRIES)
