"""Join the training part of a set with the part to verify on."""

import logging
from dataclasses import replace

import numpy as np

from leepjax.data.target import Target
from leepjax.tables import some


def with_test(where: str, train: Target, test: Target) -> Target:
    """The training part with the part to verify on as its `test`.

    A warning names the classes of which the test part has no example: they may be no classes, as ``unsup`` in IMDB.
    """
    if train.task == "classes":
        lacking = np.setdiff1d(train.labels, test.labels)
        if len(lacking):
            logging.getLogger("leepjax").warning(
                "%s: the part to verify on has no example of %s; leave them out of the training part if they are no "
                "classes.",
                where,
                some([repr(train.classes[label]) for label in lacking], 3),
            )
    return replace(train, test=test)
