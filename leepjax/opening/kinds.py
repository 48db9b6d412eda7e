"""Whether a source can read a target."""

from leepjax.data.target import Target
from leepjax.models.ready import ready
from leepjax.models.source import Source
from leepjax.types import NOUNS, InputError


def check_reads(source: Source, target: Target) -> None:
    """Check that a source reads the kind of the target's examples; embeddings fit examples of every kind.

    Raises:
        InputError: when it reads something else.
    """
    if ready(source):
        return
    if source.reads != target.kind:
        has, reads = NOUNS[target.kind].many, NOUNS[source.reads].many
        raise InputError(
            f"source {source.name}: expected one that reads {has}, as {target.name} has them, got one that reads "
            f"{reads}; name a source of {has}."
        )
