"""The studies by name."""

from collections.abc import Mapping

from leepjax.studies import convergence, imbalanced, large, small, source_selection
from leepjax.studies.config import Config, Scale

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
