"""MambaOut."""

from recorded.families import Case

_SMALL = {"depths": [1, 1, 1], "dims": [8, 12, 24], "kernel_size": 5}

CASES = {
    "norm-last": Case("mambaout_femto", (67, 64), _SMALL),
    "norm-first": Case("mambaout_base_wide_rw", (64, 72), _SMALL | {"kernel_size": 3}),
}

TRAINED = ("norm-last",)
