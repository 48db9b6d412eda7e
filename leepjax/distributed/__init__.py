"""Programs of many processes: start and connect them, and shard the rows of a data set over them."""

from leepjax.distributed.peers import initialize

__all__ = ["initialize"]
