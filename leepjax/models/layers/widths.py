"""Numbers of channels that suit hardware."""


def divisible(channels: float, divisor: int = 8, limit: float = 0.9) -> int:
    """The nearest multiple of a divisor, or the next one where the nearest is below `limit` times the argument.

    >>> divisible(36), divisible(35), divisible(10), divisible(3)
    (40, 32, 16, 8)
    """
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < limit * channels else nearest
