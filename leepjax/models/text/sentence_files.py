"""Read what sentence-transformers writes beside a model of texts: its modules, pooling, lengths and prompts."""

import logging
from collections.abc import Mapping

import msgspec

from leepjax.models.text.settings import Find, read_settings
from leepjax.models.text.tokens import TextNetwork
from leepjax.types import InputError, Pooling

_log = logging.getLogger("leepjax")
_TRANSFORMER = "sentence_bert_config.json"
"""The settings of a Transformer module."""
_TRANSFORMER_OF_OLD = tuple(
    f"sentence_{kind}_config.json" for kind in ("roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
"""Its names in models that old versions wrote, in the order in which sentence-transformers looks for them."""
_PACKAGE = "sentence_transformers."
_COMPUTED = ("Transformer", "Pooling", "StaticEmbedding", "Dropout", "Normalize")
"""Modules of sentence-transformers that leepjax computes, that do nothing after training, or only scale a row."""
_POOLING = "1_Pooling"
"""The folder of the pooling where modules.json names none."""


class SentenceConfig(msgspec.Struct, frozen=True):
    """What a Transformer module states."""

    max_seq_length: int | None = None
    do_lower_case: bool = False
    """Whether texts are lowercased before the tokenizer gets them."""


class _Module(msgspec.Struct, frozen=True):
    type: str = ""
    path: str = ""

    @property
    def kind(self) -> str:
        """The name of a class of sentence-transformers; the whole path of a class of any other package."""
        return self.type.rpartition(".")[2] if self.type.startswith(_PACKAGE) else self.type


class _Prompts(msgspec.Struct, frozen=True):
    prompts: dict[str, str | None] | None = None
    default_prompt_name: str | None = None


class _PoolingConfig(msgspec.Struct, frozen=True):
    pooling_mode: str | None = None
    pooling_mode_cls_token: bool = False
    pooling_mode_mean_tokens: bool = False
    pooling_mode_max_tokens: bool = False
    pooling_mode_mean_sqrt_len_tokens: bool = False
    pooling_mode_weightedmean_tokens: bool = False
    pooling_mode_lasttoken: bool = False


def sentence_config(find: Find, name: str) -> SentenceConfig:
    """The settings of the Transformer module; defaults without one.

    Raises:
        InputError: for settings of a wrong type.
    """
    filename = _TRANSFORMER
    # Each name is a request to the hub: the old ones are looked up only for a model of sentence-transformers.
    if find(_TRANSFORMER) is None and find("modules.json"):
        filename = next(filter(find, _TRANSFORMER_OF_OLD), _TRANSFORMER)
    return read_settings(find, filename, SentenceConfig, name)


def warn_of_further_steps(find: Find, name: str) -> None:
    """Name the modules and the prompt of sentence-transformers that leepjax leaves out.

    Raises:
        InputError: for settings of a wrong type.
    """
    kinds = [each.kind for each in _modules(find, name)]
    if not kinds:
        return
    if further := [each for each in kinds if each not in _COMPUTED]:
        _log.warning(
            "%s: modules.json has %s, which leepjax doesn't compute; its features are those without it.",
            name,
            ", ".join(dict.fromkeys(further))[:200],
        )
    stated = read_settings(find, "config_sentence_transformers.json", _Prompts, name)
    warn_of_prompt(stated.prompts, stated.default_prompt_name, name)


def warn_of_prompt(prompts: Mapping[str, str | None] | None, default: str | None, name: str) -> None:
    """Say that the prompt that a model puts before texts by default is left out."""
    if prompt := (prompts or {}).get(default or ""):
        _log.warning("%s: its default prompt %r is left out; put it into the texts if they need it.", name, prompt[:80])


def pooling_of(find: Find, name: str) -> Pooling:
    """The pooling that sentence-transformers' ``1_Pooling/config.json`` states, ``mean`` without one.

    If ``modules.json`` names another folder of the pooling, its ``config.json`` is read.

    Raises:
        InputError: for a pooling that leepjax doesn't have.
    """
    stated = next((each.path for each in _modules(find, name) if each.kind == "Pooling"), "")
    filename = f"{stated or _POOLING}/config.json"
    if stated and find(filename) is None:
        _log.warning("%s: expected the Pooling of modules.json in %s, got none; pooling by mean.", name, filename[:80])
    config = read_settings(find, filename, _PoolingConfig, name)
    modes = msgspec.structs.asdict(config)
    mode = modes.pop("pooling_mode") or "+".join(
        each.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
        for each, is_on in modes.items()
        if is_on
    )
    if mode not in ("", *TextNetwork.POOLINGS):
        raise InputError(
            f"{name}: expected pooling {', '.join(TextNetwork.POOLINGS)} in {filename[:80]}, got {mode[:80]!r}; "
            "choose another model, or remove that file to pool by mean."
        )
    return mode or "mean"


def _modules(find: Find, name: str) -> list[_Module]:
    return read_settings(find, "modules.json", list[_Module], name)
