"""Open a `Source` by name: shipped, published, on the hub, in a folder, or from another package."""

import functools
import os
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import msgspec

from leepjax.models import architectures, hub, urls, weights
from leepjax.models.bridges.names import bridge_of_name
from leepjax.models.card import Card, read_card
from leepjax.models.files.formats import check_library, read_content, read_tensors
from leepjax.models.files.shards import read_weights
from leepjax.models.hub_weights import hub_weights, hub_weights_size
from leepjax.models.layers.tokens import pair
from leepjax.models.local_weights import local_weights
from leepjax.models.published import PAPER9, PUBLISHED, Published
from leepjax.models.sets import hub_sets
from leepjax.models.source import Source, WeightsFile
from leepjax.models.tap_names import Tap, split_tap
from leepjax.models.tapped import at_tap, card_at
from leepjax.models.text.beside import read_tokenizer_of
from leepjax.models.text.config import text_fields
from leepjax.models.text.opening import describe_text, open_text
from leepjax.models.text.settings import Find
from leepjax.models.timm_config import TimmConfig, read_config
from leepjax.models.unknown_source import unknown_source
from leepjax.storage.files import cache_folder, check_writable, digest, temporary_cache, unkept_if, user_path
from leepjax.types import InputError, check_no_url

SHIPPED = Path(__file__).parent / "shipped"
ENTRY_POINTS = "leepjax.sources"
"""Entry point group for sources of other packages: name → a function without arguments that returns a `Source`."""


def shipped_sources() -> tuple[str, ...]:
    """Names of the sources that come with the package."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.json")))


def named_sources() -> tuple[str, ...]:
    """All names that `load_source` accepts besides paths and hub identifiers."""
    return (*shipped_sources(), *PUBLISHED, *plugins())


def sets() -> dict[str, tuple[str, ...]]:
    """Name of a set of sources → its members."""
    hub = {name: tuple(each.reasons) for name, each in hub_sets().items()}
    return {"shipped": shipped_sources(), "paper9": PAPER9} | hub


def plugins() -> dict[str, EntryPoint]:
    """Name → entry point of the sources that installed packages register."""
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def load_source(name: str | os.PathLike) -> Source:
    """Open a source.

    Args:
        name: a shipped or published source (``leepjax ls sources``); ``timm/<id>`` or ``hf-hub:<owner>/<id>``, with
            an optional ``@<revision>``, on the Hugging Face hub; ``local-dir:<path>``, a folder with timm's
            ``config.json`` and one weights file in any format; the path of a ``.safetensors`` file with its card; a
            name that an installed package registers under the entry points ``leepjax.sources``; ``timm:<name>``,
            ``transformers:<owner>/<id>`` or ``transformers:<folder>``, a model that an installed timm or transformers
            opens and PyTorch computes; ``onnx:<file>`` or ``keras:<file>``. ``@<block>:<pooling>`` at the end takes a
            layer of one of leepjax's own (``resnet18@layer3.1:mean``; ``leepjax ls blocks``).

    Raises:
        InputError: when the source doesn't exist, can't be downloaded, or its card and weights don't match.
    """
    return find_source(name)()


def find_source(name: str | os.PathLike) -> Callable[[], Source]:
    """A function that opens the source of this name; until it is called, no file is read or downloaded.

    Raises:
        InputError: when `name` is neither a known name nor in a form that `load_source` accepts.
    """
    if not isinstance(name, (str, os.PathLike)):
        raise InputError(
            f"source: expected a name or a path, got {type(name).__name__}; make a source of a model by "
            "leepjax.as_source."
        )
    text = os.fspath(name)
    check_no_url("source", text)
    bare, tap = split_tap(text)
    if tap is not None:
        return functools.partial(_open_tap, find_source(bare), tap)
    for prefix, opener in _PREFIXES.items():
        if text.startswith(prefix):
            return functools.partial(opener, text)
    if bridge := bridge_of_name(text):
        return functools.partial(bridge.open, text)
    if text in PUBLISHED:
        return functools.partial(_open_published, PUBLISHED[text])
    if text in shipped_sources():
        return functools.partial(open_card, SHIPPED / f"{text}.safetensors")
    if Path(text).suffix == ".safetensors":
        return functools.partial(open_card, user_path(text))
    if text in (others := plugins()):
        return functools.partial(_open_plugin, others[text])
    raise unknown_source(text, named_sources())


def describe(name: str | os.PathLike) -> tuple[Card, int | None]:
    """The card of a source whose weights needn't be downloaded yet, and the bytes to download (None if unknown).

    Raises:
        InputError: when the source doesn't exist.
    """
    text = os.fspath(name)
    bare, tap = split_tap(text)
    if tap is not None:
        card, to_fetch = describe(bare)
        return card_at(card, tap), to_fetch
    if bridge := bridge_of_name(text):
        source, size = bridge.describe(text)
        return source.card, size
    row = PUBLISHED.get(text)
    if row is None:
        if not text.startswith(("timm/", "hf-hub:")):
            return load_source(name).card, 0
        repo, revision = _repo(text)
        content = hub.hub_file(repo, "config.json", revision=revision).read_bytes()
        if fields := text_fields(content):
            card = describe_text(fields, functools.partial(_find_on_hub, repo, revision), text)
        else:
            card = _card(read_config(content, text), text, weights_hash="")
        return card, hub_weights_size(repo, revision=revision)
    if row.weights.startswith("timm/"):
        return row.card(), hub_weights_size(row.weights)
    size = urls.url_size(row.weights, cache=_downloads(row), offline=hub.is_offline())
    return row.card(), size


def open_card(path: Path) -> Source:
    """Open a weights file with the card beside it.

    Raises:
        InputError: when either is missing, or they come from different training runs.
    """
    card = read_card(path.with_suffix(".json"))
    architectures.builder(card.model)
    if not path.exists():
        raise InputError(f"source: expected weights at {path}, beside their card, got none; check the path.")
    weights_hash = digest(read_content(path))
    if weights_hash != card.weights_hash:
        raise InputError(
            f"source: expected the weights that the card of {card.name} was written for, got others in {path}; "
            "put weights and card of the same training run together."
        )
    read_tokenizer_of(card, path)
    return Source(card, WeightsFile(card.model, card.num_classes, path, weights_hash))


def _open_tap(open_source: Callable[[], Source], tap: Tap) -> Source:
    return at_tap(open_source(), tap)


def _open_hub(name: str) -> Source:
    repo, revision = _repo(name)
    config_path = hub.hub_file(repo, "config.json", revision=revision)
    find = functools.partial(_find_on_hub, repo, revision)
    source = _of_config(config_path, find, lambda: hub_weights(repo, revision=revision), name)
    return _with(source, revision=hub.hub_revision(config_path), origin=f"https://huggingface.co/{repo}")


def _find_on_hub(repo: str, revision: str, filename: str) -> Path | None:
    try:
        return hub.hub_file(repo, filename, revision=revision)
    except hub.AbsentError:
        return None


def _find_in(folder: Path, filename: str) -> Path | None:
    return path if (path := folder / filename).is_file() else None


def _repo(name: str) -> tuple[str, str]:
    repo, _, revision = name.removeprefix("hf-hub:").partition("@")
    return repo, revision or "main"


def _open_local_dir(name: str) -> Source:
    path = user_path(name.removeprefix("local-dir:"))
    weights_path = local_weights(path)
    find = functools.partial(_find_in, path)
    return _of_config(path / "config.json", find, lambda: weights_path, path.resolve().name)


def _open_published(row: Published) -> Source:
    if row.weights.startswith("timm/"):
        source = _open_hub(row.weights)
        licence = source.card.licence or row.licence
        accuracy = row.accuracy if source.card.accuracy is None else source.card.accuracy
        return _with(source, name=row.name, accuracy=accuracy, data=row.data, licence=licence)
    check_library(row.weights)
    path = urls.url_file(row.weights, cache=_downloads(row), offline=hub.is_offline(), check=read_tensors)
    card, weights_hash = row.card(), digest(path.read_bytes())
    source = Source(card, WeightsFile(card.model, card.num_classes, path, weights_hash))
    return _with(source, weights_hash=weights_hash)


def _downloads(row: Published) -> Path:
    """The folder for downloads of published files: in the cache, or temporary if the cache isn't writable."""
    if folder := cache_folder():
        cache = folder / "weights"
        if urls.url_size(row.weights, cache=cache, offline=True) == 0:
            return cache
        with unkept_if(True, folder):
            check_writable(cache)
            return cache
    return temporary_cache()


def _of_config(config_path: Path, find: Find, find_weights: Callable[[], Path], name: str) -> Source:
    """Read the configuration first, so that weights of an unsupported model aren't downloaded."""
    if fields := text_fields(config_path.read_bytes()):
        return open_text(fields, find, find_weights, name)
    config = read_config(config_path.read_bytes(), name)
    path = find_weights()
    card = _card(config, name, digest(read_weights(path)))
    return Source(card, WeightsFile(config.model, config.num_classes, path, card.weights_hash))


def _card(config: TimmConfig, name: str, weights_hash: str) -> Card:
    network = architectures.abstract(config.model, config.num_classes)
    width = weights.num_features(network)
    if config.num_features not in (None, width, network.num_features):
        raise InputError(
            f"{name}: expected num_features {width} for {config.model}, got {config.num_features}; choose another "
            "model."
        )
    size = config.preprocessing.size
    if (fixed := pair(getattr(network, "image_size", size))) != size:
        raise InputError(
            f"{name}: expected input_size {[3, *fixed]} for {config.model}, got {[3, *size]}; choose another model."
        )
    return Card(
        name=name,
        model=config.model,
        num_classes=config.num_classes,
        preprocessing=config.preprocessing,
        num_parameters=weights.num_parameters(network),
        weights_hash=weights_hash,
        classes=config.classes,
        licence=config.licence,
        accuracy=config.accuracy,
        origin=config.origin,
    )


def _with(source: Source, **fields) -> Source:
    return Source(msgspec.structs.replace(source.card, **fields), source.network, source.dtype)


def _open_plugin(point: EntryPoint) -> Source:
    try:
        source = point.load()()
    except Exception as error:  # another package may raise any type
        raise InputError(
            f"source {point.name}: expected a leepjax Source from {point.value}, got {type(error).__name__}: {error}; "
            "fix or uninstall its package."
        ) from error
    if not isinstance(source, Source):
        raise InputError(
            f"source {point.name}: expected a leepjax Source from {point.value}, got {type(source).__name__}; "
            "return the result of leepjax.as_source."
        )
    return source


_PREFIXES = {"timm/": _open_hub, "hf-hub:": _open_hub, "local-dir:": _open_local_dir}
