"""Models of an installed timm as sources, where PyTorch is installed: `.ci/run` runs these tests on Python 3.11."""

import pickle

import numpy as np
import pytest
import torchvision_stub
from small_hub import put

import leepjax
from leepjax.models.as_source import as_source
from leepjax.models.opening import describe, load_source
from leepjax.types import InputError

torch = pytest.importorskip("torch")
torchvision_stub.install()
timm = pytest.importorskip("timm")

NAME = "timm:test_resnet.r160_in1k"


def small(name="test_vit", **options):
    torch.manual_seed(0)
    return timm.create_model(name, **options)


def images(source):
    size = source.card.preprocessing.image_size
    return np.random.default_rng(0).integers(0, 256, (3, size, size, 3)).astype(np.uint8)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The only cache of the hub, offline; it has the weights of NAME."""
    import huggingface_hub.constants
    import safetensors.torch

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    put(tmp_path, "timm/test_resnet.r160_in1k", {"model.safetensors": safetensors.torch.save(weights())})
    return tmp_path


def weights():
    return small("test_resnet").state_dict()


@pytest.mark.parametrize("name", ["test_vit", "test_resnet", "test_convnext", "test_efficientnet"])
def test_features_come_from_timm_and_preprocessing_from_its_configuration(name):
    module = small(name).eval()
    source = as_source(module)
    config = timm.data.resolve_data_config(model=module)
    seen = source.card.preprocessing
    assert (seen.image_size, seen.crop, seen.interpolation) == (
        config["input_size"][-1],
        config["crop_pct"],
        config["interpolation"],
    )
    assert (seen.mean, seen.std) == (config["mean"], config["std"])
    pixels = images(source)
    batch = torch.from_numpy((pixels / 255 - seen.mean) / seen.std).float().permute(0, 3, 1, 2)
    got = source(pixels)
    with torch.no_grad():
        expected = module.forward_head(module.forward_features(batch), pre_logits=True)
        np.testing.assert_allclose(got.features, expected, atol=1e-5)
        np.testing.assert_allclose(got.logits, module(batch), atol=1e-5)
    assert source.name == f"{name}.r160_in1k"
    assert source.card.licence == "apache-2.0"


def test_other_sizes_and_networks_without_a_head():
    source = as_source(small(img_size=64, num_classes=0))
    assert (source.card.preprocessing.image_size, source.card.num_classes) == (64, 0)
    features, logits = source(images(source))
    assert (features.shape[0], logits.shape) == (3, (3, 0))


def test_two_distilled_heads_are_found():
    options = {"img_size": 32, "embed_dim": 24, "depth": 1, "num_heads": 2}
    source = as_source(small("deit_tiny_distilled_patch16_224", **options))
    assert [array.shape for array in source(images(source))] == [(3, 48), (3, 1000)]


def test_a_name_is_a_source_with_its_weights(cache):
    source = load_source(NAME)
    module = small("test_resnet")
    assert source.name == NAME
    assert source.card.origin == "https://huggingface.co/timm/test_resnet.r160_in1k"
    assert source.card.weights_hash == as_source(module).card.weights_hash
    ranking = leepjax.rank("digits", [NAME, "random"], ["leep"], limit=60, resamples=0)
    assert set(ranking.accuracies) == {NAME, "random"}


def test_another_process_opens_it_by_its_name(cache):
    source = load_source(NAME)
    sent = pickle.dumps(source)
    assert len(sent) < 2000
    received = pickle.loads(sent)
    np.testing.assert_array_equal(received(images(source)).logits, source(images(source)).logits)
    (cache / "models--timm--test_resnet.r160_in1k" / "refs" / "main").unlink()
    with pytest.raises(InputError, match=r"expected model\.safetensors of timm/test_resnet"):
        pickle.loads(sent)


def test_what_is_known_before_its_weights_are_there(cache):
    card, size = describe(NAME)
    assert (card.name, card.licence, size) == (NAME, "apache-2.0", 0)
    card, size = describe("timm:test_vit.r160_in1k")
    assert (card.num_classes, size) == (1000, None)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm:test_rasnet", "model of timm: expected one of .* known names, got 'test_rasnet'; did you mean test_res"),
        ("timm:test_resnet.r161", r"pretrained weights of test_resnet: .* got 'test_resnet\.r161'; did you mean"),
        ("timm:test_vit.r160_in1k", r"test_vit\.r160_in1k.* nothing in the cache .*; run once online to download it"),
    ],
)
def test_what_timm_or_the_cache_lacks_is_one_sentence(cache, name, message):
    with pytest.raises(InputError, match=message):
        load_source(name)
