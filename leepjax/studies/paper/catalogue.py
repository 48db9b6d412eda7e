"""The studies by name."""

from collections.abc import Mapping

from leepjax.studies.config import Config, Scale
from leepjax.studies.paper import convergence, imbalanced, large, small, source_selection

STUDIES: Mapping[str, Mapping[Scale, Config]] = {
    scales["paper"].study: scales
    for scales in (
        large.SCALES,
        small.SCALES,
        imbalanced.SCALES,
        convergence.SCALES,
        source_selection.SCALES,
    )
}
