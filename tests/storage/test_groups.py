"""Records of several commands in one folder: comparable ones form a group, and one group is shown per target."""

from msgspec.structs import replace
from small_records import record

from leepjax.storage.record_groups import chosen_groups, groups


def measured(**fields):
    """A source's score and accuracy, of version 2."""
    fields = {"schema": 2, "resamples": 0, "split": "s", "revision": "3", "source_hash": "h"} | fields
    source = fields.pop("source", "a")
    return [record(source, name, 0.5, **fields) for name in ("leep", "head")]


def test_records_that_differ_in_how_they_were_measured_are_groups_of_their_own():
    changes = [{"split": "t"}, {"seed": 1}, {"resamples": 5}, {"confidence": 0.9}, {"target_hash": "u"}]
    changes += [{"revision": "4"}, {"num_classes": 5}]
    every = [each for change in ({}, *changes) for each in measured(**change)]
    found = groups(every)
    assert len(found) == 1 + len(changes)
    assert [group.records[0] for group in found] == every[::2]


def test_the_newest_complete_group_of_a_target_is_chosen():
    old, new = measured(source="a"), measured(source="a", seed=1)
    assert [group.conditions.seed for group in chosen_groups(groups([*old, *new]))] == [1]
    torn = new + measured(source="b", seed=1)[:1]
    assert [group.conditions.seed for group in chosen_groups(groups([*old, *torn]))] == [0]
    assert [group.conditions.seed for group in chosen_groups(groups(torn))] == [1]
    other = measured(target="dogs", target_hash="d")
    assert [group.target for group in chosen_groups(groups([*old, *other]))] == ["pets", "dogs"]


def test_sources_of_one_name_are_distinguished_by_their_hash():
    every = measured(source="best", source_hash="0123456789") + measured(source="best", source_hash="abcdefabcd")
    (group,) = groups(every)
    assert group.sources == ("best (01234567)", "best (abcdefab)")
    assert group.is_complete


def test_the_newest_number_of_a_source_counts():
    every = measured()
    (group,) = groups([*every, replace(every[0], value=0.7)])
    assert [each.value for each in group.records] == [0.7, 0.5]


def test_records_of_version_1_are_grouped_by_their_draws():
    first = [record("a", "leep", 0.1, draws=(0.1, 0.2)), record("a", "head", 0.5, num_examples=9)]
    second = [record("a", "leep", 0.1, draws=(0.1,)), record("b", "leep", 0.1, draws=(0.2,))]
    assert [(len(group.records), group.conditions.resamples) for group in groups(first)] == [(2, 2)]
    assert sorted(group.conditions.resamples for group in groups(first + second)) == [1, 2]
