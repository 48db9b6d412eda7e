"""The place of `open_target` up to version 0.1."""

from leepjax.opening.target import open_target

__all__ = ["open_target"]
