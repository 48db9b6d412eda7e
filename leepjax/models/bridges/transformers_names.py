"""``transformers:OWNER/ID``: classifiers and encoders of an installed transformers, computed by PyTorch."""

from functools import partial
from pathlib import Path
from typing import Any

from leepjax.models.bridges.bridged import Bridged, source_of
from leepjax.models.bridges.encoders import bridge_encoder
from leepjax.models.bridges.libraries import library
from leepjax.models.bridges.processors import read_processor
from leepjax.models.bridges.torch_modules import bridge_torch
from leepjax.models.bridges.torch_network import default_device, reopened
from leepjax.models.files.readme import licence_of
from leepjax.models.hub import AbsentError, hub_file
from leepjax.models.hub_weights import hub_weights, hub_weights_size
from leepjax.models.source import Source
from leepjax.models.text.sentence_files import pooling_of, warn_of_further_steps
from leepjax.storage.files import user_path
from leepjax.types import InputError

PREFIX = "transformers:"
_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
_TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "vocab.json")
_TOKENIZERS += ("merges.txt", "sentencepiece.bpe.model", "spiece.model")


def open_transformers(name: str) -> Source:
    """Open ``transformers:OWNER/ID``, with ``@REVISION`` for a version, or ``transformers:FOLDER``.

    A model that was saved as an image classifier keeps its head; any other is an encoder, scored by its features.

    Raises:
        InputError: without transformers, for a model that isn't there or takes no images, or for weights that don't
            cover it.
    """
    bridged = _bridged(name, pretrained=True)
    network = reopened(bridged, partial(open_transformers, name))
    return source_of(bridged._replace(network=network), name=name)


def describe_transformers(name: str) -> tuple[Source, int | None]:
    """A model of transformers with random weights, and the bytes to download (None if unknown).

    Raises:
        InputError: without transformers, or for a model that isn't there, or takes neither images nor texts.
    """
    repo, revision = _repo(name)
    size = 0 if Path(repo).is_dir() else hub_weights_size(repo, revision=revision)
    return source_of(_bridged(name, pretrained=False), name=name), size


def _bridged(name: str, *, pretrained: bool) -> Bridged:
    transformers = library(name, "transformers", "torch")
    config_path, processor = _file(name, "config.json"), _processor(name)
    preprocessing = read_processor(processor.read_bytes(), name) if processor else None
    tokenizer = None if preprocessing else _tokenizer(name, transformers)
    task = "ImageClassification" if preprocessing else "SequenceClassification"
    if pretrained and not Path(_repo(name)[0]).is_dir():
        hub_weights(_repo(name)[0], revision=_repo(name)[1])
    folder = str(config_path.parent)
    try:
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
        is_classifier = any(each.endswith(f"For{task}") for each in config.architectures or ())
        kind = getattr(transformers, f"AutoModelFor{task}") if is_classifier else transformers.AutoModel
        model, missing = _load(kind, folder) if pretrained else (kind.from_config(config), set())
    except Exception as error:  # configurations and files of any version
        first = str(error).partition("\n")[0].rstrip(".")
        raise InputError(
            f"{name}: expected a model that transformers can open, got {type(error).__name__}: {first}; choose another."
        ) from error
    untrained = {each for each in missing if not is_classifier and "pooler" in each}
    if lacking := missing - untrained:
        raise InputError(
            f"{name}: expected weights for the whole model, got none for {sorted(lacking)[0]}; choose another model."
        )
    module = model.to(default_device()).eval()
    if preprocessing is None:
        from leepjax.models.bridges.torch_texts import bridge_texts, tokenization_of

        find = partial(_found, name)
        pool = pooling_of(find, name)
        if pretrained and not is_classifier:
            warn_of_further_steps(find, name)
        bridged = bridge_texts(module, tokenization_of(tokenizer, module), pool=pool)
    elif is_classifier:
        bridged = bridge_torch(module, preprocessing)
    else:
        bridged = bridge_encoder(name, module, preprocessing, has_pooler=not untrained)
    labels = getattr(config, "id2label", None) or {}
    classes = tuple(str(labels.get(i, i)) for i in range(bridged.num_classes))
    stated = {} if "LABEL_0" in classes else {"classes": classes}
    return bridged._replace(licence=_licence(name), origin=_origin(name), **stated)


def _load(kind: Any, folder: str) -> tuple[Any, set[str]]:
    """The model, and the names of the parameters that its files lack."""
    from transformers.utils import logging  # pyright: ignore[reportMissingImports]

    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        model, report = kind.from_pretrained(folder, local_files_only=True, output_loading_info=True)
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()
    return model, set(report["missing_keys"])


def _repo(name: str) -> tuple[str, str]:
    given = name.removeprefix(PREFIX)
    if (folder := user_path(given)).is_dir():
        return str(folder), ""
    repo, _, revision = given.partition("@")
    return repo, revision or "main"


def _file(name: str, filename: str) -> Path:
    repo, revision = _repo(name)
    if not Path(repo).is_dir():
        return hub_file(repo, filename, revision=revision)
    if not (path := Path(repo) / filename).is_file():
        raise AbsentError(f"{name}: expected {filename} in the folder {repo}, got none; check the path.")
    return path


def _found(name: str, filename: str) -> Path | None:
    try:
        return _file(name, filename)
    except AbsentError:
        return None


def _processor(name: str) -> Path | None:
    """The preprocessing of a model of images; None for a model of texts, which has a tokenizer alone.

    Raises:
        AbsentError: when it has neither.
    """
    if path := _found(name, _PROCESSORS[0]) or _found(name, _PROCESSORS[1]):
        return path
    return None if any(_found(name, each) for each in _TOKENIZERS) else _file(name, _PROCESSORS[1])


def _tokenizer(name: str, transformers: Any) -> Any:
    """The tokenizer of a model of texts, whose files are downloaded first."""
    folder = _file(name, "config.json").parent
    for each in _TOKENIZERS:
        _found(name, each)
    try:
        return transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # files of any version
        first = str(error).partition("\n")[0].rstrip(".")
        raise InputError(
            f"{name}: expected a tokenizer that transformers can open, got {type(error).__name__}: {first}; choose "
            "another."
        ) from error


def _licence(name: str) -> str:
    """The licence in the model's README, if it has one that states it."""
    path = _found(name, "README.md")
    return licence_of(path.read_text("utf-8", errors="replace")) if path else ""


def _origin(name: str) -> str:
    repo, _ = _repo(name)
    return repo if Path(repo).is_dir() else f"https://huggingface.co/{repo}"
