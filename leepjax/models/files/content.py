"""The bytes of a weights file, with a limit on the memory that its declared arrays may take."""

from dataclasses import dataclass, field


class ContentError(ValueError):
    """A file holds something else than expected; the message names it in a few words."""


@dataclass
class Content:
    """A file's bytes and a budget: a small file can declare terabytes, by compression, strides or shapes."""

    data: bytes
    name: str
    """Name of the file in messages."""
    budget: int = field(default=0)
    """Bytes that further arrays may take."""

    def __post_init__(self) -> None:
        # Weights hardly compress, but a small file of zeros, as written by tests, compresses far more.
        self.budget = self.budget or 16 * len(self.data) + (1 << 26)

    def take(self, size: int) -> None:
        """Reserve memory for an array or a compressed member of `size` bytes.

        Raises:
            ContentError: when the file is too small for what it declares.
        """
        if not 0 <= size <= self.budget:
            raise ContentError(f"{size:,} bytes declared in a file of {len(self.data):,}")
        self.budget -= size
