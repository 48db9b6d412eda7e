"""A tokenizer of letters, and folders of small models of texts as transformers and model2vec write them."""

import json
import string

import numpy as np
import safetensors.numpy
import tokenizers
from places import RECORDED
from recorded.random_state import random_state
from recorded.text_cases import CASES, fields_of
from tokenizers import models, normalizers, pre_tokenizers, processors

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
WORDS = [*SPECIAL, *string.ascii_lowercase, *(f"##{letter}" for letter in string.ascii_lowercase), "cat", "."]


def tokenizer(words=WORDS):
    """WordPiece between [CLS] and [SEP]: a word is one token per letter, except for cat."""
    numbers = {word: number for number, word in enumerate(words)}
    made = tokenizers.Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(each, numbers[each]) for each in ("[CLS]", "[SEP]")],
    )
    return made


def text_folder(folder, name="bert", **fields):
    """A folder with config.json, the weights of a recorded case, and tokenizer.json; its path."""
    folder.mkdir(exist_ok=True)
    shapes = json.loads(np.load(RECORDED / "text_outputs.npz")["facts"].item())["shapes"][name]
    (folder / "config.json").write_text(json.dumps(fields_of(CASES[name]) | fields))
    (folder / "model.safetensors").write_bytes(safetensors.numpy.save(random_state(shapes)))
    (folder / "tokenizer.json").write_text(tokenizer().to_str())
    return folder


def static_folder(folder, table, **tensors):
    """A folder as model2vec writes it."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "model2vec", "hidden_dim": 3, "normalize": True}))
    (folder / "model.safetensors").write_bytes(safetensors.numpy.save({"embeddings": table} | tensors))
    (folder / "tokenizer.json").write_text(tokenizer().to_str())
    return folder
