"""The layers from which the families of networks are built."""

from leepjax.models.layers.convolution import max_pool as max_pool
