"""Sources by name, folder, entry point, or as a user's function; misfits are reported before any image is read."""

import json
import pickle
import re
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from timm_checkpoints import checkpoints
from timm_layout import CONFIG, computed, filled, torch_layout

import leepjax
from leepjax.data.preprocessing import Preprocessing
from leepjax.data.readers import digits
from leepjax.models import hub_weights, opening, weights
from leepjax.models.architectures import ARCHITECTURES, abstract
from leepjax.models.as_source import as_source
from leepjax.models.opening import describe, load_source, named_sources, sets
from leepjax.models.published import PAPER9, PUBLISHED
from leepjax.models.sets import hub_sets
from leepjax.models.timm_config import read_config
from leepjax.opening.sources import open_sources
from leepjax.types import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def network():
    model = filled(abstract("resnet20", 10))
    model.eval()
    return model


@pytest.fixture(scope="module")
def outputs(network):
    """What the network computes of the images, which its configuration's statistics normalise."""
    pixels = Preprocessing(image_size=32, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    return computed(network, pixels.normalise(jnp.asarray(IMAGES)))


@pytest.fixture
def folder(tmp_path, network):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    safetensors.numpy.save_file(torch_layout(network), tmp_path / "model.safetensors")
    return tmp_path


def test_a_folder_that_timm_wrote(folder, network, outputs):
    source = load_source(f"local-dir:{folder}")
    card = source.card
    assert (card.name, card.model, card.num_classes, card.licence) == (folder.name, "resnet20", 10, "mit")
    assert card.preprocessing == Preprocessing(
        image_size=32, crop=0.9, interpolation="bicubic", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6)
    )
    assert card.num_parameters == weights.num_parameters(network)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), source(IMAGES), outputs)


def test_a_tilde_is_the_home_folder_after_a_prefix_too(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert load_source(f"local-dir:~/{folder.name}").card.name == folder.name


def test_a_folder_of_a_network_without_a_head_has_features_alone(folder, network, outputs):
    (folder / "config.json").write_text(json.dumps(CONFIG | {"num_classes": 0}))
    body = {name: value for name, value in torch_layout(network).items() if not name.startswith("linear.")}
    safetensors.numpy.save_file(body, folder / "model.safetensors")
    source = load_source(f"local-dir:{folder}")
    assert source.card.num_classes == 0
    assert source.card.num_parameters == weights.num_parameters(network) - 65 * 10
    features, logits = source(IMAGES)
    assert logits.shape == (4, 0)
    np.testing.assert_allclose(features, outputs.features, rtol=1e-4, atol=1e-5)


def test_weights_of_another_architecture_name_the_tensor(folder):
    (folder / "config.json").write_text(json.dumps(CONFIG | {"architecture": "resnet32"}))
    with pytest.raises(InputError, match=r"load: expected tensor layer1\.3\.bn1\.bias in .*\.safetensors, got none"):
        load_source(f"local-dir:{folder}")(IMAGES)


def test_another_number_of_classes_names_the_shapes(folder):
    (folder / "config.json").write_text(json.dumps(CONFIG | {"num_classes": 7}))
    with pytest.raises(InputError, match=r"load: expected shape \(7,\) for linear\.bias, got \(10,\)"):
        load_source(f"local-dir:{folder}")(IMAGES)


@pytest.mark.parametrize(
    ("inside", "got"), [([], "an empty folder"), (["config.json"], "config.json"), (None, "no such folder")]
)
def test_a_folder_without_weights(tmp_path, inside, got):
    path = tmp_path / "model"
    if inside is not None:
        path.mkdir()
        for name in inside:
            (path / name).write_text("{}")
    with pytest.raises(InputError, match=rf"source: expected config\.json and one file of weights in .*, got {got}; c"):
        load_source(f"local-dir:{path}")


def test_a_clone_of_a_repository_has_the_weights_of_the_hubs_names(folder):
    expected = load_source(f"local-dir:{folder}").card.weights_hash
    (folder / "model.safetensors").rename(folder / "custom.safetensors")
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "rng_state_0.pth", "training_args.bin", "scaler.pt"):
        (folder / name).write_bytes(b"\0")
    assert load_source(f"local-dir:{folder}").card.weights_hash == expected
    (folder / "tf_model.h5").write_bytes(b"\0")
    message = r"expected one file of weights in .*, got custom\.safetensors, tf_model\.h5; move the others away\."
    with pytest.raises(InputError, match=message):
        load_source(f"local-dir:{folder}")
    (folder / "pytorch_model.bin").write_bytes((folder / "custom.safetensors").read_bytes())
    assert load_source(f"local-dir:{folder}").card.weights_hash == expected


@pytest.mark.parametrize(
    ("name", "got"),
    [
        ("model", "the folder '{path}'; write local-dir:{path} to open it"),
        ("model.onnx", "the file '{path}'; write onnx:{path} to open it"),
        ("model.keras", "the file '{path}'; write keras:{path} to open it"),
        ("model.pth", "the weights '{path}'; put them in a folder with their config.json and write local-dir:FOLDER"),
    ],
)
def test_a_path_without_its_form(tmp_path, name, got):
    (tmp_path / "model").mkdir()
    path = str(tmp_path / name)
    with pytest.raises(InputError, match=re.escape(f"source: expected a name, got {got.format(path=path)}.")):
        load_source(path)


@pytest.mark.parametrize("prefix", ["", "local-dir:", "hf-hub:", "onnx:"])
def test_a_url_is_no_path(prefix):
    for url in ("https://example.org/w.safetensors", "http://example.org/timm/w?download=true", "s3://models/w"):
        message = (
            "source: expected a file, a folder or a name on the hub, got a URL; download it first and pass the file."
        )
        with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
            load_source(prefix + url)
        with pytest.raises(InputError, match=re.escape(message)):  # its question mark is no pattern
            open_sources("rank", [prefix + url])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"architecture": "resnet21"},
            r"x: architecture: expected one of \d+ known names, got 'resnet21'; did you",
        ),
        (
            {"pretrained_cfg": {"input_size": [6, 32, 40]}},
            r"x: expected images of 3 channels or 1, got input_size \[6, 32, 40\]; choose another model",
        ),
        (
            {"pretrained_cfg": {"input_size": [3, 8, 8], "interpolation": "random"}},
            r"preprocessing: interpolation: expected one of 6 known names, got 'random'",
        ),
        (
            {"pretrained_cfg": {"input_size": [3, 8, 8], "crop_mode": "edge"}},
            r"preprocessing: mode: expected one of 3 known names, got 'e",
        ),
    ],
)
def test_a_configuration_that_cannot_be_followed(change, message):
    with pytest.raises(InputError, match=message):
        read_config(json.dumps(CONFIG | change).encode(), "x")


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'"text"', b"{}"])
def test_a_file_that_is_not_a_configuration(content):
    with pytest.raises(InputError, match=r"x: expected timm's config\.json"):
        read_config(content, "x")


def test_a_file_of_keras_without_h5py_asks_for_the_extra_before_it_is_downloaded(monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    monkeypatch.setattr("leepjax.models.urls.url_file", lambda *_, **__: pytest.fail("downloaded"))
    with pytest.raises(InputError, match=r"expected h5py to read .*\.h5, got none; pip install 'leepjax\[keras\]'"):
        load_source("mobilenet-0.25")


def test_the_table_of_published_weights_names_architectures_that_are_there():
    assert len(PAPER9) == 9
    assert {row.model for row in PUBLISHED.values()} <= set(ARCHITECTURES)
    of_timm = {f"timm/{each['name']}": each for each in checkpoints()}
    for row in PUBLISHED.values():
        if (recorded := of_timm.get(row.weights)) is None:
            expected = row.model, weights.num_parameters(abstract(row.model, row.num_classes))
        else:
            expected = recorded["config"]["architecture"], int(recorded["parameters"])
        assert (row.model, row.num_parameters) == expected, row.name


def test_sets_and_names_are_distinct():
    names = named_sources()
    assert len(set(names)) == len(names)
    assert not set(sets()) & set(names)
    for members in sets().values():
        assert len(set(members)) == len(members)
        assert all(name in names or name.startswith("timm/") for name in members)


@pytest.mark.parametrize("name", hub_sets())
def test_every_member_of_a_set_has_an_architecture_of_ours(name):
    architectures = {source.removeprefix("timm/").partition(".")[0] for source in hub_sets()[name].reasons}
    assert not architectures - ARCHITECTURES.keys()


class Linen(flax.linen.Module):
    """Somebody's network in another library."""

    @flax.linen.compact
    def __call__(self, images):
        maps = flax.linen.relu(flax.linen.Conv(6, (3, 3), 2)(images))
        features = maps.mean(axis=(1, 2))
        return features, flax.linen.Dense(4)(features)


def linen_source(**options):
    module = Linen()
    params = module.init(jax.random.key(0), jnp.zeros((1, 16, 16, 3)))
    return as_source(
        module.apply, params, name="linen", preprocessing=Preprocessing(image_size=16), num_classes=4, **options
    )


def test_a_linen_network_is_a_source_with_one_call():
    source = linen_source(accuracy=0.5)
    ranking = leepjax.rank("digits", [source], ["leep"], limit=200, resamples=0)
    assert set(ranking.sources) == {"linen"}
    assert ranking.accuracies["linen"] > 0.2
    assert source.card.num_parameters == 3 * 3 * 3 * 6 + 6 + 6 * 4 + 4


def test_a_user_s_weights_and_revision_are_its_identity():
    assert linen_source().identity == linen_source(licence="mit").identity
    assert linen_source().identity != linen_source(revision="2").identity


def test_a_user_s_function_cannot_be_fine_tuned_but_is_scored():
    ranking = leepjax.rank("digits", [linen_source()], ["leep"], verify="finetune", limit=40, resamples=0)
    assert (len(ranking.scores("leep")), ranking.accuracies) == (1, {})
    (failure,) = ranking.failures
    assert "expected a network of leepjax's own architectures, got a user's function" in failure.reason


def test_outputs_of_other_shapes_are_refused():
    with pytest.raises(InputError, match=r"as_source: expected features \[n d\] and logits \[n 4\] from x's apply, g"):
        as_source(
            lambda params, images: images, 0.0, name="x", preprocessing=Preprocessing(image_size=4), num_classes=4
        )


def test_a_package_adds_a_source_by_an_entry_point(monkeypatch):
    point = EntryPoint("theirs", "tests.plugin:source", opening.ENTRY_POINTS)
    monkeypatch.setattr(EntryPoint, "load", lambda self: linen_source)
    monkeypatch.setattr(opening, "entry_points", lambda group: [point] if group == "leepjax.sources" else [])
    assert load_source("theirs").name == "linen"
    assert "theirs" in named_sources()
    monkeypatch.setattr(EntryPoint, "load", lambda self: lambda: "no source")
    with pytest.raises(InputError, match=r"source theirs: expected a leepjax Source from tests\.plugin:source, got s"):
        load_source("theirs")


def test_a_source_travels_without_its_file(folder):
    source = load_source(f"local-dir:{folder}")
    sent = pickle.dumps(source)
    (folder / "model.safetensors").unlink()
    received = pickle.loads(sent)
    assert received == source
    np.testing.assert_array_equal(received(IMAGES).logits, received(IMAGES).logits)


def test_weights_that_were_replaced_since_are_not_read_under_the_old_digest(folder, network):
    source = load_source(f"local-dir:{folder}")
    others = {name: 2 * value for name, value in torch_layout(network).items()}
    safetensors.numpy.save_file(others, folder / "model.safetensors")
    message = r"^source: expected the weights that were opened, got others in .*model\.safetensors; start again"
    for opened in (source, pickle.loads(pickle.dumps(source))):
        with pytest.raises(InputError, match=message):
            opened(IMAGES)
    with pytest.raises(InputError, match=message):
        source.network.model()


def test_bfloat16_is_near_float32_and_another_identity():
    source = load_source("cifar10")
    images = digits().images(range(32), source.card.preprocessing)
    half = replace(source, dtype="bfloat16")
    assert half.identity != source.identity
    exact, rounded = source(images), half(images)
    assert rounded.logits.dtype == jnp.float32
    error = np.abs(np.asarray(rounded.logits) - exact.logits).max() / np.abs(exact.logits).max()
    assert 1e-5 < error < 0.1


def test_what_is_known_without_weights(folder, monkeypatch):
    monkeypatch.setattr(hub_weights, "hub_size", lambda repo, file, revision: 12345)
    card, size = describe("resnet18")
    assert (card.model, card.num_parameters, card.accuracy, size) == ("resnet18", 11_689_512, 0.7093, 12345)
    assert describe("random") == (load_source("random").card, 0)
    assert describe(f"local-dir:{folder}")[1] == 0


def test_sources_are_distinguished_by_what_they_compute():
    first, second = load_source("cifar10"), load_source("random")
    assert len({first, second, load_source("random")}) == 2
    assert first != second
    with pytest.raises(InputError, match="source: dtype: expected one of 2 known names, got 'float8'"):
        replace(first, dtype="float8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"params": None}, "as_source: expected params or a revision of x, got neither; pass"),
        ({"accuracy": 76.1}, r"as_source: expected accuracy in \[0, 1\], got 76\.1; pass a fraction"),
        ({"apply": lambda params, images: {"a": images}}, r"as_source: expected features \[n d\] and logits"),
    ],
)
def test_what_a_user_s_function_lacks_is_reported_at_once(options, message):
    def apply(params, images):
        features = images.mean(axis=(1, 2))
        return features, features

    given = {"apply": apply, "params": np.ones(3), "name": "x", "num_classes": 3} | options
    with pytest.raises(InputError, match=message):
        as_source(preprocessing=Preprocessing(image_size=4), **given)


def test_shapes_of_weights_are_part_of_their_identity():
    def apply(params, images):
        features = images.mean(axis=(1, 2))
        return features, features

    options = {"name": "x", "num_classes": 3, "preprocessing": Preprocessing(image_size=4)}
    wide, tall = (as_source(apply, np.ones(shape), **options) for shape in ((2, 8), (8, 2)))
    assert wide.identity != tall.identity


def test_a_stated_accuracy_that_changes_is_read_again(tmp_path):
    for accuracy in (0.7, 0.8):
        options = {"verify": "none", "limit": 40, "out": tmp_path}
        ranking = leepjax.rank("digits", [linen_source(accuracy=accuracy)], ["source_accuracy"], **options)
        assert ranking.scores("source_accuracy") == {"linen": accuracy}


def test_a_source_in_bfloat16_is_extracted_in_it(tmp_path):
    half = replace(load_source("random"), dtype="bfloat16")
    (extracted,) = leepjax.extract("digits", [half], out=tmp_path, limit=20).values()
    assert extracted.table.provenance["dtype"] == "bfloat16"
    (extracted,) = leepjax.extract("digits", [half], out=tmp_path, limit=20, dtype="float32").values()
    assert extracted.table.provenance["dtype"] == "float32"


def test_a_missing_target_is_reported_before_a_source_is_fetched(monkeypatch):
    monkeypatch.setattr(opening.hub, "hub_file", lambda *args, **options: pytest.fail("fetched"))
    for call in (leepjax.rank, leepjax.sweep, lambda *args: leepjax.extract(*args, out="x")):
        with pytest.raises(InputError, match="nowhere"):
            call("nowhere", ["resnet18"])


def test_a_package_that_fails_is_named(monkeypatch):
    point = EntryPoint("theirs", "plugin:source", opening.ENTRY_POINTS)
    monkeypatch.setattr(EntryPoint, "load", lambda self: lambda: 1 / 0)
    monkeypatch.setattr(opening, "entry_points", lambda group: [point])
    with pytest.raises(InputError, match="source theirs: expected a leepjax Source from plugin:source, got ZeroDiv"):
        load_source("theirs")
