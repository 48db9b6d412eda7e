"""ModernBERT of Warner et al. (2024), with the parameter names of transformers."""

from collections.abc import Iterator, Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from leepjax.models.layers.activations import activation
from leepjax.models.layers.attention import attend
from leepjax.models.layers.rope import turned
from leepjax.models.network import linear_head
from leepjax.models.text.state import bare_tensors
from leepjax.models.text.tokens import HIDDEN, TextNetwork, Tokens, check_pool, embed, hidden

Angles = tuple[np.ndarray, np.ndarray]
"""Sines and cosines [t 1 d/2]"""


class _Embeddings(nnx.Module):
    """The embeddings of tokens, normalised: [n t d]. Positions enter by the attention."""

    def __init__(self, vocabulary: int, width: int, norm: partial[nnx.LayerNorm], rngs: nnx.Rngs):
        self.tok_embeddings = embed(vocabulary, width, rngs)
        self.norm = norm(width, rngs=rngs)

    def __call__(self, tokens: Tokens) -> jax.Array:
        return self.norm(self.tok_embeddings(tokens.ids))


class _Attention(nnx.Module):
    """Self-attention whose queries and keys are turned by their positions; one matmul computes all three."""

    def __init__(self, width: int, heads: int, bias: bool, rngs: nnx.Rngs):
        self.Wqkv = nnx.Linear(width, 3 * width, use_bias=bias, rngs=rngs)
        self.Wo = nnx.Linear(width, width, use_bias=bias, rngs=rngs)
        self.heads = heads

    def __call__(self, x: jax.Array, bias: jax.Array, angles: Angles) -> jax.Array:
        qkv = self.Wqkv(x).reshape(*x.shape[:2], 3, self.heads, -1)
        q, k = (turned(qkv[:, :, which], *map(jnp.asarray, angles), half=True) for which in (0, 1))
        return self.Wo(attend(q, k, qkv[:, :, 2], bias).reshape(x.shape))


class _Perceptron(nnx.Module):
    """A gated perceptron: half of the hidden channels through the activation, times the other half."""

    def __init__(self, width: int, inner: int, act: str, bias: bool, rngs: nnx.Rngs):
        self.Wi = nnx.Linear(width, 2 * inner, use_bias=bias, rngs=rngs)
        self.Wo = nnx.Linear(inner, width, use_bias=bias, rngs=rngs)
        self.activation = activation(act)

    def __call__(self, x: jax.Array) -> jax.Array:
        activated, gate = jnp.split(self.Wi(x), 2, axis=-1)
        return self.Wo(self.activation(activated) * gate)


class _Layer(nnx.Module):
    """A block: attention and a perceptron, each with a norm before it and a shortcut.

    The first one's attention has no norm, because the embeddings are normalised.
    """

    def __init__(
        self, attention: _Attention, perceptron: _Perceptron, norms: tuple[nnx.LayerNorm | None, nnx.LayerNorm]
    ):
        self.attn_norm, self.mlp_norm = norms
        self.attn = attention
        self.mlp = perceptron

    def __call__(self, x: jax.Array, bias: jax.Array, angles: Angles) -> jax.Array:
        x = x + self.attn(x if self.attn_norm is None else self.attn_norm(x), bias, angles)
        return x + self.mlp(self.mlp_norm(x))


class _Head(nnx.Module):
    """What a classifier computes before its last linear layer."""

    def __init__(self, width: int, act: str, bias: bool, norm: partial[nnx.LayerNorm], rngs: nnx.Rngs):
        self.dense = nnx.Linear(width, width, use_bias=bias, rngs=rngs)
        self.norm = norm(width, rngs=rngs)
        self.activation = activation(act)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.norm(self.activation(self.dense(x)))


class ModernBert(TextNetwork):
    """ModernBERT: `Tokens` → ``Outputs``. Arguments are those of transformers' configuration.

    One of `global_attn_every_n_layers` blocks, the first one among them, attends to all tokens; the others attend to
    those at most half of `local_attention` away. The two kinds of blocks turn queries and keys by angles of their own.
    With `head`, features are those of its classifier: a pool of the tokens through a linear layer, an activation and a
    norm. Otherwise they are a pool of the last block's tokens. Both read them after the final norm, which is a part of
    no block.

    References:
        Warner et al., *Smarter, Better, Faster, Longer: A Modern Bidirectional Encoder for Fast, Memory Efficient, and
        Long Context Finetuning and Inference*, 2024.
        Su et al., *RoFormer: Enhanced Transformer with Rotary Position Embedding*, 2021.
    """

    HEAD = "classifier"
    PREFIXES = ("model.",)

    def __init__(
        self,
        num_classes: int,
        *,
        vocab_size: int = 50368,
        hidden_size: int = 768,
        num_hidden_layers: int = 22,
        num_attention_heads: int = 12,
        intermediate_size: int = 1152,
        hidden_activation: str = "gelu",
        max_position_embeddings: int = 8192,
        local_attention: int = 128,
        global_attn_every_n_layers: int = 3,
        global_rope_theta: float = 160_000.0,
        local_rope_theta: float = 10_000.0,
        norm_eps: float = 1e-5,
        norm_bias: bool = False,
        attention_bias: bool = False,
        mlp_bias: bool = False,
        classifier_bias: bool = False,
        classifier_activation: str = "gelu",
        classifier_pooling: str = "cls",
        pool: str = "mean",
        head: bool = False,
        rngs: nnx.Rngs,
    ):
        # There is no table of positions, so that their number limits only the length of texts.
        norm = partial(nnx.LayerNorm, epsilon=norm_eps, use_bias=norm_bias, use_fast_variance=False)
        self.embeddings = _Embeddings(vocab_size, hidden_size, norm, rngs)
        self.layers = nnx.List(
            [
                _Layer(
                    _Attention(hidden_size, num_attention_heads, attention_bias, rngs),
                    _Perceptron(hidden_size, intermediate_size, hidden_activation, mlp_bias, rngs),
                    (norm(hidden_size, rngs=rngs) if index else None, norm(hidden_size, rngs=rngs)),
                )
                for index in range(num_hidden_layers)
            ]
        )
        self.final_norm = norm(hidden_size, rngs=rngs)
        self.head = _Head(hidden_size, classifier_activation, classifier_bias, norm, rngs) if head else None
        self.classifier = linear_head(hidden_size, num_classes, rngs)
        self.pool = check_pool(classifier_pooling if head else pool)
        self.window, self.every = local_attention // 2, global_attn_every_n_layers
        self.thetas = global_rope_theta, local_rope_theta
        self.head_dim = hidden_size // num_attention_heads

    @property
    def num_tokens(self) -> int:
        return self.embeddings.tok_embeddings.num_embeddings

    def trunk(self, inputs: Tokens) -> Iterator[tuple[str, jax.Array]]:
        x = self.embeddings(inputs)
        yield "embeddings", x
        everywhere = hidden(inputs.mask)
        places = jnp.arange(inputs.ids.shape[1])
        nearby = everywhere + jnp.where(jnp.abs(places[:, None] - places) <= self.window, 0.0, HIDDEN)
        of_all, of_near = (_angles(len(places), self.head_dim, theta) for theta in self.thetas)
        for index, layer in enumerate(self.layers):
            x = layer(x, nearby, of_near) if index % self.every else layer(x, everywhere, of_all)
            yield f"layers.{index}", x

    def features(self, x: jax.Array, inputs: Tokens) -> jax.Array:
        x = super().features(self.final_norm(x), inputs)
        return x if self.head is None else self.head(x)

    def adapted(self, tensors: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        unused = () if self.classifier.out_features else ("classifier.",)
        return bare_tensors(tensors, self.PREFIXES, unused if self.head else ("head.", *unused))


def _angles(tokens: int, head_dim: int, theta: float) -> Angles:
    """The sines and cosines of positions, whose angles are computed in float32 as transformers does."""
    exponents = np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim)
    frequencies = np.float32(1) / np.float32(theta) ** exponents
    angles = (np.arange(tokens, dtype=np.float32)[:, None] * frequencies)[:, None]
    return np.sin(angles), np.cos(angles)


ARCHITECTURES = {"modernbert": partial(ModernBert)}
