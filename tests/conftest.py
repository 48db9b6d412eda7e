"""Every run draws the same examples; compiling takes as long as it takes."""

import signal

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
