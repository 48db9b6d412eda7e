"""Windows of feature maps, within which attention is local, and positions within them."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

Pair = tuple[int, int]


def partition(x: jax.Array, window: Pair) -> jax.Array:
    """Cut a feature map [n h w c], whose sides are multiples of the window's, into windows [n windows t c]."""
    n, h, w, c = x.shape
    rows, columns = window
    x = x.reshape(n, h // rows, rows, w // columns, columns, c).swapaxes(2, 3)
    return x.reshape(n, -1, rows * columns, c)


def merge(windows: jax.Array, window: Pair, size: Pair) -> jax.Array:
    """The feature map [n h w c] of this size from its windows [n windows t c]."""
    n, _, _, c = windows.shape
    (rows, columns), (h, w) = window, size
    return windows.reshape(n, h // rows, w // columns, rows, columns, c).swapaxes(2, 3).reshape(n, h, w, c)


def partition_grid(x: jax.Array, grid: Pair) -> jax.Array:
    """Spread a feature map [n h w c] over windows [n windows t c], each an evenly spaced grid of the map's places."""
    n, h, w, c = x.shape
    rows, columns = grid
    x = x.reshape(n, rows, h // rows, columns, w // columns, c).transpose(0, 2, 4, 1, 3, 5)
    return x.reshape(n, -1, rows * columns, c)


def merge_grid(windows: jax.Array, grid: Pair, size: Pair) -> jax.Array:
    """The feature map [n h w c] of this size from the windows of `partition_grid`."""
    n, _, _, c = windows.shape
    (rows, columns), (h, w) = grid, size
    windows = windows.reshape(n, h // rows, w // columns, rows, columns, c).transpose(0, 3, 1, 4, 2, 5)
    return windows.reshape(n, h, w, c)


def attend_in_windows(
    x: jax.Array, window: Pair, shift: Pair, attention: Callable[[jax.Array, np.ndarray | None], jax.Array]
) -> jax.Array:
    """Apply attention within the windows of a feature map [n h w c], which are shifted cyclically.

    Args:
        x: feature map; zeros are added below and right of the shifted map up to a multiple of the window.
        window: rows and columns of a window.
        shift: rows and columns by which the map is shifted up and left, and back after attention.
        attention: from windows [n windows t c] and a bias [windows 1 t t], None without a shift, to the same shape.
    """
    h, w = x.shape[1:3]
    down, right = (-size % side for size, side in zip((h, w), window, strict=True))
    shifted = jnp.roll(x, (-shift[0], -shift[1]), axis=(1, 2)) if any(shift) else x
    padded = jnp.pad(shifted, ((0, 0), (0, down), (0, right), (0, 0))) if down or right else shifted
    size = (h + down, w + right)
    mask = shift_mask(size, window, shift) if any(shift) else None
    x = merge(attention(partition(padded, window), mask), window, size)[:, :h, :w]
    return jnp.roll(x, shift, axis=(1, 2)) if any(shift) else x


def fitted_window(size: Pair, window: Pair, shift: Pair) -> tuple[Pair, Pair]:
    """Window and shift for a map of this size: an axis no longer than the window is one window, without shift."""
    fits = [side <= length for side, length in zip(size, window, strict=True)]
    rows, columns = (min(side, length) for side, length in zip(size, window, strict=True))
    down, right = (0 if fit else step for fit, step in zip(fits, shift, strict=True))
    return (rows, columns), (down, right)


def shift_mask(size: Pair, window: Pair, shift: Pair) -> np.ndarray:
    """A bias [windows 1 t t] of -100 between tokens of one window that a cyclic shift brought together."""
    rows, columns = (_parts(length, side, step) for length, side, step in zip(size, window, shift, strict=True))
    labels = 3 * rows[:, None] + columns
    (h, w), (high, wide) = size, window
    labels = labels.reshape(h // high, high, w // wide, wide).swapaxes(1, 2).reshape(-1, 1, high * wide)
    return np.where(labels[..., None] == labels[:, :, None], 0.0, -100.0).astype(np.float32)


def _parts(length: int, window: int, shift: int) -> np.ndarray:
    """For each place along an axis, which part of the map it belongs to."""
    places = np.arange(length)
    return (places >= length - window).astype(int) + (places >= length - shift) if shift else np.zeros(length, int)


def relative_index(window: Pair) -> np.ndarray:
    """For each token of a window and each other [t t], the row of a table with one row per difference of positions."""
    rows, columns = window
    positions = np.indices(window).reshape(2, -1)
    dy, dx = positions[:, :, None] - positions[:, None]
    return (dy + rows - 1) * (2 * columns - 1) + dx + columns - 1


def relative_positions(window: Pair) -> np.ndarray:
    """The differences of positions [rows 2], down and right, in the order of the table of `relative_index`."""
    rows, columns = window
    return np.indices((2 * rows - 1, 2 * columns - 1)).reshape(2, -1).T - np.array([rows - 1, columns - 1])


def distances(size: Pair, stride: int = 1) -> np.ndarray:
    """For each query and key of a map [q t], the index of the bias for their distance in rows and columns.

    With a `stride`, queries are only at every second, third … row and column.
    """
    rows, columns = np.indices(size)
    down, right = (positions[::stride, ::stride].reshape(-1, 1) for positions in (rows, columns))
    return np.abs(down - rows.reshape(-1)) * size[1] + np.abs(right - columns.reshape(-1))
