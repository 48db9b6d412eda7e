"""The bytes of a file of weights, and how much memory what they declare may take."""

from dataclasses import dataclass, field


class ContentError(ValueError):
    """What a file holds in place of what it should, in a few words."""


@dataclass
class Content:
    """A file's bytes and a budget: a small file can declare terabytes, by compression, strides or shapes."""

    data: bytes
    name: str
    """What messages call the file."""
    budget: int = field(default=0)
    """Bytes that its arrays may still take."""

    def __post_init__(self) -> None:
        # Weights hardly compress; a network of zeros, as a test may write, does so by far more in a small file.
        self.budget = self.budget or 16 * len(self.data) + (1 << 26)

    def take(self, size: int) -> None:
        """Reserve memory for an array or a compressed member of `size` bytes.

        Raises:
            ContentError: when the file is too small for what it declares.
        """
        if not 0 <= size <= self.budget:
            raise ContentError(f"{size:,} bytes declared in a file of {len(self.data):,}")
        self.budget -= size
