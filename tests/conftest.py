"""Every run draws the same examples; compiling takes as long as it takes."""

import signal

import jax
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "leepjax",
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("leepjax")

# A background job of a shell ignores Ctrl-C, and so would the programs that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="module")
def programs():
    """Forget a file's programs after it: thousands in one process are more pieces of memory than Linux maps for one."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="module")
def compiled_fast():
    """Have XLA spend no time on making programs fast: for files that compile each measure many times."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


# They take the longest, and Ray's tests mostly wait: begun last, they would be what a run ends with on one core.
HEAVIEST = ("test_sweep", "test_verified_weights", "test_docs", "test_sharding", "test_families", "test_laws")


def pytest_collection_modifyitems(items):
    """The files that take the longest first; all others in their order."""
    items.sort(key=lambda item: HEAVIEST.index(item.path.stem) if item.path.stem in HEAVIEST else len(HEAVIEST))
