"""LEEP at the temperature with the highest leave-one-out score."""

import numpy as np

from reference.leep_family import leep, loo_leep
from reference.sums import Array, Weights, select

TEMPERATURES = [2.0 ** (step / 5) for step in range(-15, 16)]  # 1/8 to 8


def at_temperature(probs: Array, temperature: float) -> Array:
    """theta_z^(1/T) / sum over z of theta_z^(1/T), of each row; the same as the softmax of the logits over T."""
    cooled = np.zeros(probs.shape)
    for i, theta in enumerate(probs):
        powers = (theta / theta.max()) ** (1 / temperature)  # the largest is one, however low T is
        cooled[i] = powers / powers.sum()
    return cooled


def temperature_scores(probs: Array, labels: Array, num_classes: int, where: Weights = None) -> Array:
    """LOO-LEEP, of smoothing 1, at each temperature of the grid."""
    w, probs, labels = select(where, probs, labels)
    return np.array([loo_leep(at_temperature(probs, t), labels, num_classes, 1.0, w) for t in TEMPERATURES])


def leep_temperature(probs: Array, labels: Array, num_classes: int, where: Weights = None) -> float:
    """The temperature of the grid with the highest score, the lowest of equals (one-hot rows know no temperature)."""
    return TEMPERATURES[int(np.argmax(temperature_scores(probs, labels, num_classes, where)))]


def calibrated_leep(probs: Array, labels: Array, num_classes: int, where: Weights = None) -> float:
    """LEEP of the probabilities at that temperature."""
    w, probs, labels = select(where, probs, labels)
    return leep(at_temperature(probs, leep_temperature(probs, labels, num_classes, w)), labels, num_classes, w)
