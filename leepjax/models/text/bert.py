"""BERT of Devlin et al. (2019), RoBERTa and XLM-R, with the parameter names of transformers.

MiniLM, E5, BGE and GTE are encoders of these architectures.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from leepjax.models.layers.activations import activation
from leepjax.models.layers.attention import attend, split_heads
from leepjax.models.network import linear_head
from leepjax.models.text.state import bare_tensors
from leepjax.models.text.tokens import EncoderLayers, TextNetwork, Tokens, check_pool, embed

_norm = partial(nnx.LayerNorm, use_fast_variance=False)


class _Embeddings(nnx.Module):
    """The sum of the embeddings of tokens, their positions and their types, normalised: [n t d]."""

    def __init__(self, vocabulary: int, positions: int, types: int, width: int, epsilon: float, rngs: nnx.Rngs):
        self.word_embeddings = embed(vocabulary, width, rngs)
        self.position_embeddings = embed(positions, width, rngs)
        self.token_type_embeddings = embed(types, width, rngs)
        self.LayerNorm = _norm(width, epsilon=epsilon, rngs=rngs)

    def __call__(self, tokens: Tokens, first_position: int) -> jax.Array:
        positions = self.position_embeddings(first_position + jnp.arange(tokens.ids.shape[1]))
        # RoBERTa has one type of tokens, whatever the text of a pair.
        types = jnp.minimum(tokens.types, self.token_type_embeddings.num_embeddings - 1)
        return self.LayerNorm(self.word_embeddings(tokens.ids) + positions + self.token_type_embeddings(types))


class _SelfAttention(nnx.Module):
    def __init__(self, width: int, heads: int, rngs: nnx.Rngs):
        self.query = nnx.Linear(width, width, rngs=rngs)
        self.key = nnx.Linear(width, width, rngs=rngs)
        self.value = nnx.Linear(width, width, rngs=rngs)
        self.heads = heads

    def __call__(self, x: jax.Array, bias: jax.Array) -> jax.Array:
        q, k, v = (split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        return attend(q, k, v, bias).reshape(x.shape)


class _Output(nnx.Module):
    """A linear layer, the shortcut, and a norm after it."""

    def __init__(self, width: int, outputs: int, epsilon: float, rngs: nnx.Rngs):
        self.dense = nnx.Linear(width, outputs, rngs=rngs)
        self.LayerNorm = _norm(outputs, epsilon=epsilon, rngs=rngs)

    def __call__(self, x: jax.Array, shortcut: jax.Array) -> jax.Array:
        return self.LayerNorm(self.dense(x) + shortcut)


class _Attention(nnx.Module):
    def __init__(self, width: int, heads: int, epsilon: float, rngs: nnx.Rngs):
        self.self = _SelfAttention(width, heads, rngs)
        self.output = _Output(width, width, epsilon, rngs)

    def __call__(self, x: jax.Array, bias: jax.Array) -> jax.Array:
        return self.output(self.self(x, bias), x)


class _Dense(nnx.Module):
    """A linear layer under the name ``dense``, and an activation."""

    def __init__(self, width: int, outputs: int, act: str, rngs: nnx.Rngs):
        self.dense = nnx.Linear(width, outputs, rngs=rngs)
        self.activation = activation(act)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.activation(self.dense(x))


class _Layer(nnx.Module):
    """A block: attention and a perceptron, each with a shortcut and a norm after it."""

    def __init__(self, width: int, heads: int, inner: int, act: str, epsilon: float, rngs: nnx.Rngs):
        self.attention = _Attention(width, heads, epsilon, rngs)
        self.intermediate = _Dense(width, inner, act, rngs)
        self.output = _Output(inner, width, epsilon, rngs)

    def __call__(self, x: jax.Array, bias: jax.Array) -> jax.Array:
        x = self.attention(x, bias)
        return self.output(self.intermediate(x), x)


class Bert(TextNetwork):
    """BERT: `Tokens` → ``Outputs``. Arguments are those of transformers' configuration.

    With `head`, features are those of its classifier: the class token through a linear layer and a hyperbolic tangent.
    Otherwise they are a pool of the last block's tokens.

    References:
        Devlin et al., *BERT: Pre-training of Deep Bidirectional Transformers*, NAACL 2019.
        Liu et al., *RoBERTa: A Robustly Optimized BERT Pretraining Approach*, 2019.
        Conneau et al., *Unsupervised Cross-lingual Representation Learning at Scale*, ACL 2020: XLM-R.
    """

    HEAD = "classifier"
    PREFIXES = ("bert.",)

    def __init__(
        self,
        num_classes: int,
        *,
        vocab_size: int = 30522,
        hidden_size: int = 768,
        num_hidden_layers: int = 12,
        num_attention_heads: int = 12,
        intermediate_size: int = 3072,
        hidden_act: str = "gelu",
        max_position_embeddings: int = 512,
        type_vocab_size: int = 2,
        layer_norm_eps: float = 1e-12,
        pad_token_id: int = 0,
        pool: str = "mean",
        head: bool = False,
        rngs: nnx.Rngs,
    ):
        self.first_position = self._first_position(pad_token_id)
        self.embeddings = _Embeddings(
            vocab_size, max_position_embeddings, type_vocab_size, hidden_size, layer_norm_eps, rngs
        )
        self.encoder = EncoderLayers(
            _Layer(hidden_size, num_attention_heads, intermediate_size, hidden_act, layer_norm_eps, rngs)
            for _ in range(num_hidden_layers)
        )
        self.has_head = head
        self.pool = "cls" if head else check_pool(pool)
        self._build_head(hidden_size, num_classes, rngs)

    def _first_position(self, pad_token_id: int) -> int:
        return 0

    def _build_head(self, width: int, num_classes: int, rngs: nnx.Rngs) -> None:
        self.pooler: Any = _Dense(width, width, "tanh", rngs) if self.has_head else None
        self.classifier: Any = linear_head(width, num_classes, rngs)

    def _hidden_features(self, x: jax.Array) -> jax.Array:
        """What the head computes before its last linear layer."""
        return self.pooler(x)

    def trunk(self, inputs: Tokens) -> Iterator[tuple[str, jax.Array]]:
        return self.encoder.trunk("encoder", self.embeddings(inputs, self.first_position), inputs.mask)

    def features(self, x: jax.Array, inputs: Tokens) -> jax.Array:
        x = super().features(x, inputs)
        return self._hidden_features(x) if self.has_head else x

    def adapted(self, tensors: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        return bare_tensors(tensors, self.PREFIXES, self._unused())

    def _unused(self) -> tuple[str, ...]:
        """First parts of the names of tensors that this network doesn't have, although files may."""
        if not self.has_head:
            return "pooler.", "classifier."
        return () if self.classifier.out_features else ("classifier.",)


class Roberta(Bert):
    """RoBERTa, XLM-R and CamemBERT: positions begin behind the number of the padding token, and the head is its own."""

    HEAD = "classifier.out_proj"
    PREFIXES = ("roberta.",)

    def _first_position(self, pad_token_id: int) -> int:
        return pad_token_id + 1

    def _build_head(self, width: int, num_classes: int, rngs: nnx.Rngs) -> None:
        self.classifier: Any = _RobertaHead(width, num_classes, self.has_head, rngs)

    def _hidden_features(self, x: jax.Array) -> jax.Array:
        return jnp.tanh(self.classifier.dense(x))

    def _unused(self) -> tuple[str, ...]:
        if not self.has_head:
            return "pooler.", "classifier."
        return "pooler.", *(() if self.classifier.out_proj.out_features else ("classifier.out_proj.",))


class _RobertaHead(nnx.Module):
    def __init__(self, width: int, num_classes: int, has_hidden: bool, rngs: nnx.Rngs):
        self.dense = nnx.Linear(width, width, rngs=rngs) if has_hidden else None
        self.out_proj = linear_head(width, num_classes, rngs)


ARCHITECTURES = {"bert": partial(Bert), "roberta": partial(Roberta)}
