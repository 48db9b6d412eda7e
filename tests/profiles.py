"""How thorough the tests are: quick by default, and with many more examples under ``--hypothesis-profile=long``.

A test or a parameter that is marked ``long`` runs under that profile only: what is left out by default are further
combinations of choices that don't depend on each other, each of which another test or combination holds.
"""

import itertools

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
settings.register_profile("long", settings.get_profile("leepjax"), max_examples=200)
settings.load_profile("leepjax")


def is_long():
    """Whether pytest was asked for the long profile, which it loads before it imports the tests."""
    return settings.default is settings.get_profile("long")


def examples(number):
    """This many examples if each is expensive, and ten times as many under the long profile."""
    return settings(max_examples=10 * number if is_long() else number)


def only_long(*cases):
    """Cases of a parametrised test, each a tuple of arguments, that only the long profile tries."""
    return [pytest.param(*arguments, marks=pytest.mark.long) for arguments in cases]


def some_of(chosen, cases):
    """The chosen cases of a test of one parameter; all of them in the long profile."""
    return [*chosen, *only_long(*((case,) for case in cases if case not in chosen))]


def one_in(number, cases):
    """One case of every `number`, beginning with the first; all of them in the long profile."""
    return some_of(list(cases)[::number], cases)


def by_turns(*parameters, of=2):
    """One in `of` of all combinations of the parameters' values; in the long profile, all of them.

    They are the combinations in which the positions of the values add up to a multiple of `of`, so that each value
    occurs with different values of the others. If one of three parameters has two values, half of the combinations
    contain every pair of values of the other two.
    """
    found = list(itertools.product(*map(enumerate, parameters)))
    cases = [(sum(at for at, _ in case) % of, tuple(value for _, value in case)) for case in found]
    return [*(case for place, case in cases if not place), *only_long(*(case for place, case in cases if place))]


def of_this_profile(cases):
    """The arguments of those cases of a parametrised test that run under this profile."""
    return [getattr(case, "values", case) for case in cases if is_long() or not getattr(case, "marks", ())]
