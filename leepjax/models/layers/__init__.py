"""What the families of networks are built from."""

from leepjax.models.layers.convolution import max_pool as max_pool
