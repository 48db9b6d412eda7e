"""Networks of texts compute what transformers' do in float64, from the same random state (tests/recorded)."""

import json

import jax
import numpy as np
import pytest
from flax import nnx
from places import RECORDED
from recorded.random_state import digest, random_state
from recorded.text_cases import CASES, LABELS, fields_of, texts

from leepjax.models import weights
from leepjax.models.architectures import abstract
from leepjax.models.text.config import read_text_config
from leepjax.models.text.tokens import Tokens

RECORD = np.load(RECORDED / "text_outputs.npz")
FACTS = json.loads(RECORD["facts"].item())
IDS, TYPES, MASK = texts()


def close(got, expected):
    return np.abs(np.asarray(got, np.float64) - expected).max() <= 1e-5 * np.abs(expected).max()


def state_of(name):
    state = random_state(FACTS["shapes"][name])
    assert digest(state) == FACTS["digests"][name]
    return state


def network_of(name, state, pool="mean"):
    config = read_text_config(fields_of(CASES[name]), pool, name)
    network = abstract(config.model, config.num_classes)
    weights.load_torch(network, state, name)
    network.eval()
    return network


def computed(network, at=None):
    """The outputs of the blocks by name, and those of the network."""
    graphdef, leaves = nnx.split(network)

    def forward(leaves, tokens):
        merged = nnx.merge(graphdef, leaves)
        blocks = dict(merged.trunk(tokens))
        if hasattr(merged, "final_norm"):  # transformers' last states are those after it
            *_, last = blocks
            blocks[last] = merged.final_norm(blocks[last])
        return blocks, merged(tokens)

    options = {"xla_backend_optimization_level": 0}
    return jax.jit(forward, compiler_options=options)(leaves, Tokens(np.where(MASK, IDS, 0), TYPES, MASK, at))


@pytest.mark.parametrize("name", CASES)
def test_blocks_and_logits_are_those_of_transformers(name):
    blocks, outputs = computed(network_of(name, state_of(name)))
    assert len(blocks) == 3
    for index, x in enumerate(blocks.values()):
        assert close(np.where(MASK[..., None], x, 0), np.where(MASK[..., None], RECORD[f"{name}.{index}"], 0))
    if f"{name}.logits" in RECORD:
        assert close(outputs.logits, RECORD[f"{name}.logits"])
    else:
        last = RECORD[f"{name}.2"]
        assert close(outputs.features, np.stack([x[m].mean(axis=0) for x, m in zip(last, MASK, strict=True)]))
        assert outputs.logits.shape == (len(MASK), 0)


def test_features_of_words_are_the_states_of_their_tokens():
    at = np.array([0, 12 + 6, 3, 12, 24], np.int32)
    _, outputs = computed(network_of("bert", state_of("bert")), at)
    assert close(outputs.features, RECORD["bert.2"].reshape(-1, 24)[at])


def test_the_newer_form_of_modernberts_configuration_is_the_same():
    fields = fields_of(CASES["modernbert"])
    del fields["global_attn_every_n_layers"]
    fields["layer_types"] = ["full_attention", "sliding_attention"]
    default = {"rope_type": "default"}
    fields["rope_parameters"] = {
        "full_attention": default | {"rope_theta": 160000.0},
        "sliding_attention": default | {"rope_theta": 10000},
    }
    same = read_text_config(fields_of(CASES["modernbert"]), "mean", "x")
    assert read_text_config(fields, "mean", "x") == same
    fields["rope_parameters"]["full_attention"]["rope_theta"] = 500.0
    assert '"global_rope_theta":500.0' in read_text_config(fields, "mean", "x").model


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert"])
def test_files_of_whole_models_and_old_names_fit(name):
    """A prefix, heads of other tasks, and the names of TensorFlow's LayerNorm."""
    state = state_of(name)
    old = {f"{name}.{key}": value for key, value in state.items()}
    old = {key.replace("LayerNorm.weight", "LayerNorm.gamma"): value for key, value in old.items()}
    old = {key.replace("LayerNorm.bias", "LayerNorm.beta"): value for key, value in old.items()}
    old |= {"cls.predictions.bias": np.ones(60, np.float32), "lm_head.bias": np.ones(60, np.float32)}
    plain, found = (nnx.state(network_of(name, each)) for each in (state, old))
    jax.tree.map(np.testing.assert_array_equal, plain, found)


def test_a_classifier_has_its_classes_and_an_encoder_the_pool_that_is_named():
    config = read_text_config(fields_of(CASES["bert-classifier"]), "mean", "x")
    assert (config.num_classes, config.classes, config.positions) == (3, tuple(LABELS.values()), 20)
    config = read_text_config(fields_of(CASES["roberta"]), "cls", "x")
    assert (config.num_classes, config.classes, config.positions) == (0, (), 18)
    first = computed(network_of("roberta", state_of("roberta"), "cls"))[1].features
    assert close(first, RECORD["roberta.2"][:, 0])
