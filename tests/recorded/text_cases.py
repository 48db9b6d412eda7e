"""Small networks of texts by transformers' configuration, and the texts that they get."""

from typing import Any, NamedTuple

import numpy as np
from recorded.random_state import uniform

LENGTHS = (12, 7, 1)
LABELS = {"0": "bad", "1": "good", "2": "neither"}
_SIZES = {"vocab_size": 60, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4}
_SIZES |= {"intermediate_size": 40, "max_position_embeddings": 20}
_DISTIL = {"vocab_size": 60, "dim": 24, "n_layers": 2, "n_heads": 4, "hidden_dim": 40, "max_position_embeddings": 20}
_MODERN = {"model_type": "modernbert", **_SIZES, "global_attn_every_n_layers": 2, "local_attention": 6}
_MODERN |= dict.fromkeys(("pad_token_id", "cls_token_id", "sep_token_id", "bos_token_id", "eos_token_id"), 1)


class Case(NamedTuple):
    """The class in transformers, and the fields of its configuration."""

    kind: str
    fields: dict[str, Any]


CASES = {
    "bert": Case("BertModel", {"model_type": "bert", **_SIZES}),
    "bert-classifier": Case(
        "BertForSequenceClassification",
        {"model_type": "bert", **_SIZES, "hidden_act": "gelu_new", "layer_norm_eps": 1e-3, "id2label": LABELS},
    ),
    "roberta": Case("RobertaModel", {"model_type": "roberta", **_SIZES, "type_vocab_size": 1, "pad_token_id": 1}),
    "roberta-classifier": Case(
        "RobertaForSequenceClassification",
        {"model_type": "roberta", **_SIZES, "type_vocab_size": 1, "pad_token_id": 1, "id2label": LABELS},
    ),
    "xlm-roberta": Case(
        "XLMRobertaModel",
        {"model_type": "xlm-roberta", **_SIZES, "type_vocab_size": 1, "pad_token_id": 1, "layer_norm_eps": 1e-5},
    ),
    "distilbert": Case("DistilBertModel", {"model_type": "distilbert", **_DISTIL}),
    "distilbert-classifier": Case(
        "DistilBertForSequenceClassification",
        {"model_type": "distilbert", **_DISTIL, "activation": "relu", "id2label": LABELS},
    ),
    "modernbert": Case("ModernBertModel", _MODERN),
    "modernbert-classifier": Case(
        "ModernBertForSequenceClassification",
        _MODERN
        | {"id2label": LABELS, "classifier_pooling": "mean", "classifier_activation": "silu", "norm_eps": 1e-3}
        | {"norm_bias": True, "attention_bias": True, "mlp_bias": True, "classifier_bias": True},
    ),
}


def fields_of(case: Case) -> dict[str, Any]:
    """The fields of ``config.json`` of a case."""
    return case.fields | {"architectures": [case.kind]}


def texts() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids, types and mask [n t] of texts of different lengths; padding has the number 1."""
    shape = len(LENGTHS), max(LENGTHS)
    mask = np.arange(shape[1]) < np.array(LENGTHS)[:, None]
    ids = np.clip((uniform("ids", shape) + 2) * 15, 2, 59).astype(np.int32)
    types = (np.arange(shape[1]) > 4).astype(np.int32) * mask
    return np.where(mask, ids, 1), types, mask
