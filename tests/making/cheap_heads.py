"""Heads by least squares in place of logistic regression, of which each number of examples is compiled for seconds."""

import jax.numpy as jnp
import numpy as np

from leepjax.transfer.head import Head, Retrained


def least_squares(features, labels, num_classes, *, seed=0, l2=None):
    """A head with the arguments and the result of `retrain_head`."""
    design = np.c_[features, np.ones(len(features))]
    params = np.linalg.lstsq(design, np.eye(num_classes)[labels], rcond=None)[0]
    zeros, ones = np.zeros(features.shape[1]), np.ones(features.shape[1])
    return Retrained(Head(*map(jnp.asarray, (zeros, ones, params[:-1], params[-1]))), l2 or 1.0, 1.0)
