"""PyTorch modules as sources, where PyTorch is installed: `.ci/run` runs these tests on Python 3.11."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

import leepjax
from leepjax.models.as_source import as_source
from leepjax.models.bridges.torch_network import tensor_of
from leepjax.types import InputError

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

PIXELS = leepjax.Preprocessing(image_size=16, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3)).astype(np.uint8)
NORMALISED = torch.from_numpy((IMAGES / 255 - PIXELS.mean) / PIXELS.std).float().permute(0, 3, 1, 2)


class Net(nn.Module):
    """A classifier whose output goes through `last`."""

    def __init__(self, last=None, width=12, classes=7):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.norm = nn.Conv2d(3, width, 3, 2), nn.BatchNorm2d(width)
        self.fc, self.last, self.scale = nn.Linear(width, classes), last or nn.Identity(), 1.0

    def features(self, images):
        return self.scale * torch.relu(self.norm(self.stem(images))).mean((2, 3))

    def forward(self, images):
        return self.last(self.fc(self.features(images)))


class Scaled(nn.Module):
    def forward(self, logits):
        return 3 * logits


class Pair(Net):
    def forward(self, images):
        features = self.features(images)
        return features, 3 * self.fc(features)


class Distilled(Net):
    def __init__(self):
        super().__init__()
        self.other = nn.Linear(12, 7)

    def forward(self, images):
        features = self.features(images)
        return (self.fc(features) + self.other(2 * features)) / 2


def source(module=None, **options):
    return as_source(module or Net(), preprocessing=PIXELS, **options)


@pytest.mark.parametrize("last", [None, nn.Softmax(1), nn.LogSoftmax(1)])
def test_features_and_logits_are_those_around_the_head(last):
    module = Net(last)
    got = source(module)(IMAGES)
    module.eval()
    with torch.no_grad():
        features = module.features(NORMALISED)
        logits = module.fc(features)
    np.testing.assert_allclose(got.features, features, atol=1e-6)
    np.testing.assert_allclose(got.logits, logits, atol=1e-6)


def test_the_card_has_what_is_known():
    card = source(licence="mit", classes=list("abcdefg"), accuracy=0.5).card
    assert (card.name, card.num_classes, card.num_parameters) == ("Net", 7, 3 * 9 * 12 + 12 + 2 * 12 + 12 * 7 + 7)
    assert (card.licence, card.classes, card.accuracy) == ("mit", tuple("abcdefg"), 0.5)


def test_a_module_without_a_head_is_scored_by_its_features():
    module = Net()
    module.fc = nn.Identity()
    headless = source(module)
    assert headless.card.num_classes == 0
    assert [array.shape for array in headless(IMAGES)] == [(5, 12), (5, 0)]
    named = source(Net(), head=None)
    assert [array.shape for array in named(IMAGES)] == [(5, 7), (5, 0)]
    assert named.identity != source().identity


def test_a_pair_is_features_and_logits():
    paired = source(Pair())
    assert [array.shape for array in paired(IMAGES)] == [(5, 12), (5, 7)]


class Returns(Net):
    """A module that returns a given function of itself, its features and its logits."""

    def __init__(self, returned):
        super().__init__()
        self.other, self.returned = nn.Linear(12, 4), returned

    def forward(self, images):
        features = self.features(images)
        return self.returned(self, features, self.fc(features))


def test_logits_before_features_are_recognised_by_the_layer_between_them():
    expected = source(Returns(lambda net, features, logits: (features, logits)))(IMAGES)
    for returned in (lambda net, features, logits: (logits, features), lambda net, f, logits: (f, logits.softmax(1))):
        for got, wanted in zip(source(Returns(returned))(IMAGES), expected, strict=True):
            np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_the_logits_of_two_heads_are_no_features_and_logits():
    module = Returns(lambda net, features, logits: (logits, net.other(features)))
    with pytest.raises(
        InputError, match=r"as the two outputs of Returns, got the output of 'other' and .* name the head"
    ):
        source(module)
    assert source(module, head="fc").card.num_classes == 7


def test_dropout_that_inference_does_not_end_is_refused():
    with pytest.raises(InputError, match="Returns: expected the same features in each call, got others"):
        source(Returns(lambda net, features, logits: net.fc(nn.functional.dropout(features, 0.5))))


def test_an_output_that_no_linear_layer_gives_is_taken_for_features_with_a_warning(caplog):
    module = nn.Sequential(nn.Conv2d(3, 7, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert source(module).card.num_classes == 0
    assert "Sequential: no linear layer gives its output; its output of 7 numbers is taken as features" in caplog.text
    caplog.clear()
    assert source(module, head=None).card.num_classes == 0
    assert not caplog.text


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_module_whose_layers_cannot_be_watched_needs_head_none():
    scripted = torch.jit.trace(Net().eval(), NORMALISED)
    with pytest.raises(InputError, match=r"got .* of torch\.jit; pass the module that it was made of, or head=None"):
        source(scripted)


def test_a_head_need_not_be_computed_last():
    module = Returns(lambda net, features, logits: logits + 0 * net.other(features).sum())
    assert source(module).card.num_classes == 7


def test_two_heads_are_one_of_both_features():
    features, logits = source(Distilled())(IMAGES)
    np.testing.assert_allclose(features[:, 12:], 2 * features[:, :12], rtol=1e-5)
    kernel = np.linalg.lstsq(np.c_[features, np.ones(5)], logits, rcond=None)[0]
    np.testing.assert_allclose(np.c_[features, np.ones(5)] @ kernel, logits, atol=1e-5)


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        (Net(Scaled()), {}, r"expected the output of Net to be that of its linear layer 'fc', got another; pass its"),
        (Net(), {"head": "fcc"}, r"head of Net: expected one of 1 known names, got 'fcc'; did you mean fc\?"),
        (nn.Flatten(), {"head": "fc"}, "expected a linear layer 'fc' in Flatten, got none; pass head=None"),
        (nn.Conv2d(3, 4, 1), {}, r"expected logits or features \[n d\] from Conv2d, got shape \(2, 4, 16, 16\)"),
        (nn.Linear(5, 4), {}, r"expected Linear to take images \[n 3 16 16\], got RuntimeError: .*; check its prepro"),
        (Net(), {"num_classes": 8}, "expected num_classes 7 for Net, got 8"),
        (Net(), {"classes": ["a"]}, "expected a name for each of the 7 classes of Net, got 1"),
        (Net(), {"preprocessing": None}, "expected the preprocessing that Net was trained with, got none"),
    ],
)
def test_what_a_module_lacks_is_one_sentence(module, options, message):
    with pytest.raises(InputError, match=f"as_source: {message}"):
        as_source(module, **{"preprocessing": PIXELS} | options)


def test_identity_is_that_of_weights_settings_and_structure():
    changed, scaled = Net(), Net()
    with torch.no_grad():
        changed.norm.running_mean += 1
    scaled.scale = 2.0
    hashes = [source(module).card.weights_hash for module in (Net(), changed, scaled, Net(nn.Softmax(1)), Pair())]
    assert len(set(hashes)) == 5
    assert hashes[0] == source(Net()).card.weights_hash
    assert hashes[0] != source(Net(), revision="2").card.weights_hash


def test_training_a_module_further_does_not_change_its_source():
    module = Net()
    bridged = source(module)
    before = bridged(IMAGES).logits
    with torch.no_grad():
        module.fc.weight += 1
    assert module.training
    np.testing.assert_array_equal(bridged(IMAGES).logits, before)


def test_a_batch_is_not_copied():
    import jax.numpy as jnp

    array = jnp.arange(64.0)
    assert tensor_of(array).data_ptr() == array.unsafe_buffer_pointer()


def test_bfloat16_is_near_float32():
    exact, rounded = source(), replace(source(), dtype="bfloat16")
    error = np.abs(exact(IMAGES).logits - rounded(IMAGES).logits).max()
    assert 0 < error < 0.05
    assert rounded(IMAGES).logits.dtype == np.float32


def test_it_is_ranked_verified_and_read_from_the_cache(tmp_path):
    options = {"limit": 120, "resamples": 10, "cache": tmp_path}
    ranking = leepjax.rank("digits", [source(name="mine"), "cifar10"], ["leep", "logme"], **options)
    assert set(ranking.accuracies) == {"mine", "cifar10"}
    cost = ranking.costs["mine"]
    assert cost.seconds_per_image > 0
    assert (cost.flops_per_image, cost.peak_bytes) == (None, None)
    assert cost.weight_bytes == sum(each.nbytes for each in Net().state_dict().values())
    module = source(name="mine")
    object.__setattr__(module.network, "route", None)  # so that a second pass would fail
    again = leepjax.rank("digits", [module, "cifar10"], ["leep", "logme"], **options)
    assert again.scores("logme") == ranking.scores("logme")


def test_only_native_networks_are_fine_tuned():
    ranking = leepjax.rank("digits", [source()], ["leep"], verify="finetune", limit=40, resamples=0)
    (failure,) = ranking.failures
    assert "expected a network of leepjax's own architectures, got a PyTorch module, whose weights" in failure.reason


def test_a_batch_that_does_not_fit_is_halved(monkeypatch, caplog):
    seen = []

    class Full(Net):
        def forward(self, images):
            seen.append(len(images))
            if len(images) > 8:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().forward(images)

    ranking = leepjax.rank("digits", [source(Full())], ["logme"], verify="none", limit=20, resamples=0, batch_size=16)
    assert ranking.scores("logme")
    assert "A batch of 16 didn't fit in the device's memory; continuing with 8." in caplog.text


def test_it_travels_to_another_process():
    sent = pickle.loads(pickle.dumps(source()))
    np.testing.assert_array_equal(sent(IMAGES).logits, source()(IMAGES).logits)


def test_one_that_cannot_be_sent_is_one_sentence():
    module = Net()
    module.last.forward = lambda logits: logits
    with pytest.raises(InputError, match=r"got 'Net'; take the serial engine"):
        leepjax.sweep(["digits"], [source(module), "random"], ["leep"], limit=40, engine="processes", workers=2)
