"""Every run draws the same examples; compiling takes as long as it takes."""

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
