"""Every run draws the same examples, and compilation has no deadline."""

import gc
import os
import signal
import tempfile

# NumPy's threads soon stop spinning for more work, as in benchmarks/, because other tests need the cores.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

import jax
import profiles
import pytest

# A background job of a shell ignores Ctrl-C, and so would the programs that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# XLA doesn't optimise programs, here and in the processes that tests start, because most of them run only once.
# The files that use `optimised` compile as users do, as do the notebooks that `.ci/run` runs.
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
jax.config.update("jax_disable_most_optimizations", True)


# Processes share compiled programs in a folder, which `.ci/run` names: one compiles a program, the others read it.
# The many programs that compile in milliseconds aren't worth writing.
PROGRAMS, SECONDS = "JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"


def pytest_collection_finish():
    """Collect garbage less often, and never among modules, which stay: it took a tenth of the time of all tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(autouse=True, scope="module")
def programs():
    """Clear the programs after each file: thousands in one process exceed the memory maps that Linux allows."""
    shortest = jax.config.jax_persistent_cache_min_compile_time_secs
    yield
    jax.clear_caches()
    # Commands that tests run in this process cache only programs that take long to compile.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", shortest)


@pytest.fixture(scope="module")
def optimised(programs):
    """Compile as users do: for files that test the results of optimised programs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("JAX_DISABLE_MOST_OPTIMIZATIONS")
        jax.config.update("jax_disable_most_optimizations", False)
        yield
    jax.config.update("jax_disable_most_optimizations", True)


# They take the longest, and Ray's tests mostly wait. Started last, they would keep one core busy at the end of a run.
HEAVIEST = (
    "test_engines", "test_verified_weights", "test_docs", "test_laws", "test_degenerate", "test_distributed",
    "test_conditioning", "test_oracle", "test_conditioning_further", "test_further", "test_checkpoints", "test_cli",
    "test_sharding", "test_adaptation", "test_finetune", "test_families", "test_merging", "test_cli_errors",
    "test_sweep", "test_study_run", "test_interrupts", "test_figures", "test_streaming",
    "test_head_tasks", "test_lowering",
)  # fmt: skip


def pytest_configure(config):
    config.addinivalue_line("markers", "long: run only under --hypothesis-profile=long.")
    if PROGRAMS not in os.environ:
        folder = tempfile.TemporaryDirectory(prefix="leepjax-programs-", ignore_cleanup_errors=True)
        config.add_cleanup(folder.cleanup)
        os.environ |= {PROGRAMS: folder.name, SECONDS: "0.05"}
        jax.config.update("jax_compilation_cache_dir", folder.name)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)


def pytest_collection_modifyitems(config, items):
    """Run the files that take longest first and the others in their order; run long tests only in the long profile."""
    if not profiles.is_long():
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("long")])
        items[:] = [item for item in items if not item.get_closest_marker("long")]
    items.sort(key=lambda item: HEAVIEST.index(item.path.stem) if item.path.stem in HEAVIEST else len(HEAVIEST))
