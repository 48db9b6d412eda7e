"""From the outcomes of studies to conclusions: settings, correlations, levels and convergence."""

from leepjax.studies.by_level import (
    Convergence,
    Level,
    LevelCurve,
    LevelMeans,
    convergence,
    level_means,
)
from leepjax.studies.correlations import (
    BASELINES,
    LEAD,
    PAPER_MEASURES,
    Correlation,
    Winner,
    Wins,
    correlations,
    winner,
    wins,
)
from leepjax.studies.levels import edges, levels
from leepjax.studies.settings import Setting, settings

__all__ = [
    "BASELINES",
    "LEAD",
    "PAPER_MEASURES",
    "Convergence",
    "Correlation",
    "Level",
    "LevelCurve",
    "LevelMeans",
    "Setting",
    "Winner",
    "Wins",
    "convergence",
    "correlations",
    "edges",
    "level_means",
    "levels",
    "settings",
    "winner",
    "wins",
]
