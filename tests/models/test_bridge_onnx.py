"""ONNX files as sources, with graphs written here."""

import json
import pickle
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import leepjax
from leepjax.cli import catalogue
from leepjax.models.opening import describe, load_source
from leepjax.types import InputError

RNG = np.random.default_rng(0)
KERNEL = RNG.standard_normal((4, 3, 3, 3)).astype(np.float32)
HEAD, BIAS = RNG.standard_normal((4, 6)).astype(np.float32), RNG.standard_normal(6).astype(np.float32)
PIXELS = {"image_size": 16, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}
IMAGES = RNG.integers(0, 256, (5, 16, 16, 3)).astype(np.uint8)


STATED = {"preprocessing": PIXELS}


def write(path, head=("Gemm", "Softmax"), batch="n", channels=3, pool=True, stated=STATED, first=(), kind="FLOAT"):
    """A network of one convolution, with a head of these operations, these values before its output, and its JSON."""
    node, made = helper.make_node, {"kernel": KERNEL, "head": HEAD, "bias": BIAS, "three": np.float32(3)}
    made |= {"half": np.float32(0.5), "true": np.bool_(True)}
    nodes = [node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT)] if kind != "FLOAT" else []
    nodes += [node("Conv", ["floats" if nodes else "images", "kernel"], ["maps"]), node("Relu", ["maps"], ["active"])]
    nodes += (
        [node("GlobalAveragePool", ["active"], ["pooled"]), node("Flatten", ["pooled"], ["vector"])] if pool else []
    )
    last = "vector" if pool else "active"
    for operation in head:
        inputs = {
            "Gemm": ["head", "bias"],
            "MatMul": ["head"],
            "Add": ["bias"],
            "Mul": ["three"],
            "Dropout": ["half", "true"],
        }.get(operation, [])
        nodes.append(node(operation, [last, *inputs], [f"{last}_{operation}"]))
        last = f"{last}_{operation}"
    used = {name for each in nodes for name in each.input}
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("images", getattr(TensorProto, kind), [batch, channels, 16, 16])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in (*first, last)],
        [numpy_helper.from_array(array, name) for name, array in made.items() if name in used],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    if stated:
        path.with_suffix(".json").write_text(json.dumps(stated))
    return f"onnx:{path}"


def expected():
    x = ((IMAGES / 255 - PIXELS["mean"]) / PIXELS["std"]).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2))
    features = np.maximum(np.einsum("nhwcij,ocij->nhwo", windows, KERNEL), 0).mean((1, 2))
    return features, features @ HEAD + BIAS


@pytest.mark.parametrize("head", [("Gemm",), ("Gemm", "Softmax"), ("MatMul", "Add"), ("MatMul", "Add", "LogSoftmax")])
@pytest.mark.parametrize("batch", ["n", 2])
def test_features_and_logits_are_those_around_the_last_linear_layer(tmp_path, head, batch):
    source = load_source(write(tmp_path / "net.onnx", head, batch))
    for got, wanted in zip(source(IMAGES), expected(), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-4)
    assert source.card.num_classes == 6
    assert source.card.num_parameters == 4 * 27 + 24 + 6


BYTES = {"image_size": 16, "mean": [0, 0, 0], "std": [0.00392157] * 3}


@pytest.mark.parametrize("stated", [None, {"preprocessing": BYTES}])
def test_a_graph_of_uint8_gets_pixels(tmp_path, caplog, stated):
    source = load_source(write(tmp_path / "net.onnx", stated=stated, kind="UINT8"))
    windows = np.lib.stride_tricks.sliding_window_view(IMAGES.astype(np.float32), (3, 3), (1, 2))
    features = np.maximum(np.einsum("nhwcij,ocij->nhwo", windows, KERNEL), 0).mean((1, 2))
    np.testing.assert_allclose(source(IMAGES).features, features, rtol=1e-5)
    message = "the range of its uint8 is assumed: 16 pixels, crop 0.875, mode center, mean (0.0, 0.0, 0.0), std (0.0039"
    assert caplog.text.count(message) == caplog.text.count("the network gets values from 0 to 255.") == (not stated)


def test_the_logits_are_found_among_several_outputs(tmp_path):
    source = load_source(write(tmp_path / "net.onnx", first=("active", "vector", "vector_Gemm")))
    for got, wanted in zip(source(IMAGES), expected(), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-4)


def test_a_graph_without_a_head_is_scored_by_its_features(tmp_path, caplog):
    source = load_source(write(tmp_path / "net.onnx", ()))
    assert "no linear layer gives its output; its output of 4 numbers is taken as features" in caplog.text
    assert [array.shape for array in source(IMAGES)] == [(5, 4), (5, 0)]
    np.testing.assert_allclose(source(IMAGES).features, expected()[0], atol=1e-4)


def test_the_json_beside_it_states_what_is_known(tmp_path, caplog):
    stated = {"preprocessing": PIXELS, "classes": list("abcdef"), "licence": "mit", "accuracy": 0.5, "data": "letters"}
    name = write(tmp_path / "net.onnx", stated=stated)
    card = load_source(name).card
    assert (card.name, card.classes, card.licence, card.accuracy, card.data) == (
        name,
        tuple("abcdef"),
        "mit",
        0.5,
        "letters",
    )
    assert not caplog.text
    card = load_source(write(tmp_path / "bare.onnx", stated=None)).card
    assert (card.preprocessing.image_size, card.preprocessing.mean) == (16, (0.485, 0.456, 0.406))
    assert "bare.onnx: no bare.json beside it states its preprocessing; ImageNet's is assumed: 16 pixels" in caplog.text
    assert describe(name)[1] == 0


def test_its_layers_have_no_names(tmp_path):
    with pytest.raises(InputError, match="isn't one of leepjax's own architectures, whose layers have no names here"):
        catalogue.blocks(write(tmp_path / "net.onnx"))


def test_it_is_ranked_and_travels(tmp_path):
    name = write(tmp_path / "net.onnx")
    ranking = leepjax.rank("digits", [name], ["leep"], verify="ridge", limit=40, resamples=0)
    assert set(ranking.accuracies) == {name}
    source = load_source(name)
    sent = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(sent(IMAGES).logits, source(IMAGES).logits)
    with pytest.raises(InputError, match="expected dtype float32 for an ONNX file, got bfloat16"):
        replace(source, dtype="bfloat16")(IMAGES)
    with pytest.raises(InputError, match="got an ONNX file, whose weights leepjax can't change"):
        source.network.model()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"head": ("Gemm", "Mul")},
            "expected the output of onnx:.* to be that of its linear layer 'vector_Gemm', got another; save",
        ),
        (
            {"head": ("Gemm", "Mul"), "first": ("vector",)},
            "expected one output of logits or features, .* got vector, vec",
        ),
        ({"head": ("Dropout",)}, "expected the same features in each call, got others"),
        ({"channels": 4}, r"expected one input of square RGB images .* got shapes \[\(None, 4, 16, 16\)\]"),
        ({"head": (), "pool": False}, r"expected logits or features \[n d\] from onnx:.*, got shape \(2, 4, 14, 14\)"),
        ({"stated": {"classes": ["a"]}}, "expected a name for each of its 6 classes, got 1"),
        (
            {"stated": {"preprocessing": {"image_size": 16}}},
            r"net\.json: expected mean in its preprocessing, got none; add",
        ),
        (
            {"stated": {"preprocessing": PIXELS | {"means": [0]}}},
            r"net\.json: field of preprocessing: .*'means'; did you",
        ),
        (
            {"stated": {"preprocessing": PIXELS | {"mean": [0.5], "std": [0.5]}}},
            r"net\.json: expected mean and std of red, green and blue, got 1; repeat one",
        ),
        (
            {"kind": "UINT8"},
            r"expected mean 0 and std 0\.00392157 of each .* got \(0\.5, .* correct the prepro",
        ),
        (
            {"kind": "INT8"},
            "expected a graph that takes float32, float16, float64, uint8, got one that takes int8",
        ),
        ({"stated": {"labels": []}}, r"net\.json: field: expected one of 5 known names, got 'labels'"),
        ({"stated": {"accuracy": 76}}, r"net\.json: expected preprocessing, classes, .*got .*accuracy"),
        ({"stated": {"preprocessing": PIXELS | {"image_size": 8}}}, "expected image_size 16, .* got 8; correct the"),
    ],
)
def test_what_a_file_lacks_is_one_sentence(tmp_path, options, message):
    name = write(tmp_path / "net.onnx", **options)
    with pytest.raises(InputError, match=message):
        load_source(name)


def test_a_file_that_is_not_onnx_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"onnx:nowhere\.onnx: expected a file at nowhere\.onnx, got none; check the"):
        load_source("onnx:nowhere.onnx")
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(InputError, match=r"text\.onnx: expected an ONNX file, got .*; export it again"):
        load_source(f"onnx:{tmp_path / 'text.onnx'}")
