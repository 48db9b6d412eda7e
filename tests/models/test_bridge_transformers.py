"""Models of an installed transformers as sources, where PyTorch is installed: `.ci/run` runs these on Python 3.11."""

import json

import numpy as np
import pytest
import torchvision_stub

import leepjax
from leepjax.models.opening import describe, load_source
from leepjax.types import InputError

torch = pytest.importorskip("torch")
torchvision_stub.install()
transformers = pytest.importorskip("transformers")

PROCESSOR = {"size": {"height": 32, "width": 32}, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
VIT = transformers.ViTConfig(**SIZES, image_size=32, patch_size=8, id2label={0: "cat", 1: "dog", 2: "newt"})


def save(folder, kind, config, processor=PROCESSOR):
    torch.manual_seed(0)
    model = kind(config).eval()
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model\n")
    return model


def batch(source):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    seen = source.card.preprocessing
    return pixels, torch.from_numpy((pixels / 255 - seen.mean) / seen.std).float().permute(0, 3, 1, 2)


def test_a_classifier_has_its_head_classes_and_licence(tmp_path):
    model = save(tmp_path, transformers.ViTForImageClassification, VIT)
    name = f"transformers:{tmp_path}"
    source = load_source(name)
    assert (source.name, source.card.licence, source.card.classes) == (name, "apache-2.0", ("cat", "dog", "newt"))
    pixels, images = batch(source)
    with torch.no_grad():
        tokens = model.vit(images).last_hidden_state
        np.testing.assert_allclose(source(pixels).features, tokens[:, 0], atol=1e-5)
        np.testing.assert_allclose(source(pixels).logits, model(images).logits, atol=1e-5)
    ranking = leepjax.rank("digits", [name, "random"], ["leep"], limit=60, resamples=0)
    assert set(ranking.accuracies) == {name, "random"}
    assert describe(name)[1] == 0


@pytest.mark.parametrize("pooled", [True, False])
def test_an_encoder_has_its_pooled_features_if_they_were_trained(tmp_path, pooled):
    if pooled:
        model = save(tmp_path, transformers.ViTModel, VIT)
    else:
        model = transformers.ViTModel(VIT, add_pooling_layer=False).eval()
        save(tmp_path, lambda config: model, VIT)
    source = load_source(f"transformers:{tmp_path}")
    assert source.card.num_classes == 0
    pixels, images = batch(source)
    with torch.no_grad():
        returned = model(images)
    expected = returned.pooler_output if pooled else returned.last_hidden_state[:, 0]
    np.testing.assert_allclose(source(pixels).features, expected, atol=1e-5)


def test_the_images_of_a_model_of_images_and_text(tmp_path):
    vision = SIZES | {"image_size": 32, "patch_size": 8}
    config = transformers.CLIPConfig(
        text_config=SIZES | {"vocab_size": 10}, vision_config=vision, projection_dim=8, logit_scale_init_value=1.0
    )
    model = save(tmp_path, transformers.CLIPModel, config)
    source = load_source(f"transformers:{tmp_path}")
    pixels, images = batch(source)
    with torch.no_grad():
        expected = model.get_image_features(pixel_values=images)
    expected = getattr(expected, "pooler_output", expected)
    np.testing.assert_allclose(source(pixels).features, expected, atol=1e-5)


def test_features_that_are_drawn_at_random_are_refused(tmp_path):
    masked = transformers.ViTMAEConfig(**SIZES, image_size=32, patch_size=8)
    save(tmp_path, transformers.ViTMAEModel, masked)
    with pytest.raises(InputError, match="expected the same features in each call, got others"):
        load_source(f"transformers:{tmp_path}")


def test_weights_that_lack_a_head_are_refused(tmp_path):
    save(tmp_path, transformers.ViTModel, VIT)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"architectures": ["ViTForImageClassification"]}))
    with pytest.raises(InputError, match=r"expected weights for the whole model, got none for classifier\.bias; choos"):
        load_source(f"transformers:{tmp_path}")


def test_files_that_are_not_there_are_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"expected config\.json in the folder .*, got none; check the path"):
        load_source(f"transformers:{tmp_path}")
    save(tmp_path, transformers.ViTModel, VIT)
    (tmp_path / "config.json").write_text('{"model_type": "nothing"}')
    with pytest.raises(InputError, match=r"expected a model that transformers can open, got .*; choose another"):
        load_source(f"transformers:{tmp_path}")
