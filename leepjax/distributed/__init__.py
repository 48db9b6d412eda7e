"""Programs of many processes: started together, connected, with the rows of one data set spread over them."""

from leepjax.distributed.peers import initialize

__all__ = ["initialize"]
