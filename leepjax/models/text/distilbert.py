"""DistilBERT of Sanh et al. (2019), with the parameter names of transformers."""

from collections.abc import Iterator, Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from leepjax.models.layers.activations import activation
from leepjax.models.layers.attention import attend, split_heads
from leepjax.models.network import linear_head
from leepjax.models.text.state import bare_tensors
from leepjax.models.text.tokens import EncoderLayers, TextNetwork, Tokens, check_pool, embed

_norm = partial(nnx.LayerNorm, epsilon=1e-12, use_fast_variance=False)


class _Embeddings(nnx.Module):
    """The sum of the embeddings of tokens and their positions, normalised: [n t d]."""

    def __init__(self, vocabulary: int, positions: int, width: int, rngs: nnx.Rngs):
        self.word_embeddings = embed(vocabulary, width, rngs)
        self.position_embeddings = embed(positions, width, rngs)
        self.LayerNorm = _norm(width, rngs=rngs)

    def __call__(self, tokens: Tokens) -> jax.Array:
        positions = self.position_embeddings(jnp.arange(tokens.ids.shape[1]))
        return self.LayerNorm(self.word_embeddings(tokens.ids) + positions)


class _Attention(nnx.Module):
    def __init__(self, width: int, heads: int, rngs: nnx.Rngs):
        self.q_lin = nnx.Linear(width, width, rngs=rngs)
        self.k_lin = nnx.Linear(width, width, rngs=rngs)
        self.v_lin = nnx.Linear(width, width, rngs=rngs)
        self.out_lin = nnx.Linear(width, width, rngs=rngs)
        self.heads = heads

    def __call__(self, x: jax.Array, bias: jax.Array) -> jax.Array:
        q, k, v = (split_heads(layer(x), self.heads) for layer in (self.q_lin, self.k_lin, self.v_lin))
        return self.out_lin(attend(q, k, v, bias).reshape(x.shape))


class _Perceptron(nnx.Module):
    def __init__(self, width: int, inner: int, act: str, rngs: nnx.Rngs):
        self.lin1 = nnx.Linear(width, inner, rngs=rngs)
        self.lin2 = nnx.Linear(inner, width, rngs=rngs)
        self.activation = activation(act)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.lin2(self.activation(self.lin1(x)))


class _Layer(nnx.Module):
    """A block: attention and a perceptron, each with a shortcut and a norm after it."""

    def __init__(self, width: int, heads: int, inner: int, act: str, rngs: nnx.Rngs):
        self.attention = _Attention(width, heads, rngs)
        self.sa_layer_norm = _norm(width, rngs=rngs)
        self.ffn = _Perceptron(width, inner, act, rngs)
        self.output_layer_norm = _norm(width, rngs=rngs)

    def __call__(self, x: jax.Array, bias: jax.Array) -> jax.Array:
        x = self.sa_layer_norm(self.attention(x, bias) + x)
        return self.output_layer_norm(self.ffn(x) + x)


class DistilBert(TextNetwork):
    """DistilBERT: `Tokens` → ``Outputs``. Arguments are those of transformers' configuration.

    With `head`, features are those of its classifier: the class token through a linear layer and a ReLU. Otherwise they
    are a pool of the last block's tokens.

    Reference:
        Sanh et al., *DistilBERT, a distilled version of BERT*, 2019.
    """

    HEAD = "classifier"
    PREFIXES = ("distilbert.",)

    def __init__(
        self,
        num_classes: int,
        *,
        vocab_size: int = 30522,
        dim: int = 768,
        n_layers: int = 6,
        n_heads: int = 12,
        hidden_dim: int = 3072,
        activation: str = "gelu",
        max_position_embeddings: int = 512,
        pool: str = "mean",
        head: bool = False,
        rngs: nnx.Rngs,
    ):
        self.embeddings = _Embeddings(vocab_size, max_position_embeddings, dim, rngs)
        self.transformer = EncoderLayers(_Layer(dim, n_heads, hidden_dim, activation, rngs) for _ in range(n_layers))
        self.pool = "cls" if head else check_pool(pool)
        self.pre_classifier = nnx.Linear(dim, dim, rngs=rngs) if head else None
        self.classifier = linear_head(dim, num_classes, rngs)

    def trunk(self, inputs: Tokens) -> Iterator[tuple[str, jax.Array]]:
        return self.transformer.trunk("transformer", self.embeddings(inputs), inputs.mask)

    def features(self, x: jax.Array, inputs: Tokens) -> jax.Array:
        x = super().features(x, inputs)
        return x if self.pre_classifier is None else nnx.relu(self.pre_classifier(x))

    def adapted(self, tensors: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        unused = () if self.classifier.out_features else ("classifier.",)
        return bare_tensors(tensors, self.PREFIXES, unused if self.pre_classifier else ("pre_classifier.", *unused))


ARCHITECTURES = {"distilbert": partial(DistilBert)}
