"""List the models of the Hugging Face Hub whose architecture leepjax has, by a filter, without fetching weights.

One request lists up to a thousand models with all fields of the filter, except the architecture. In the repositories of
``timm``, the architecture is the part of the name before the dot; in others it is in ``config.json``.
"""

import logging
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

from leepjax.models import urls
from leepjax.models.architectures import ARCHITECTURES, family_of
from leepjax.models.files.json_files import JsonError, read_json
from leepjax.models.hub import hub_file, is_offline, reason_of
from leepjax.models.hub_pace import watch_pace
from leepjax.tables import Condition, Row, read_condition
from leepjax.types import InputError

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

FIELDS = (
    "source",
    "name",
    "author",
    "family",
    "architecture",
    "parameters",
    "megabytes",
    "licence",
    "task",
    "downloads",
    "access",
)
"""The columns of a listed model, and so the fields of a filter."""

OWNER = "timm"
"""The author whose repositories are listed unless a filter names one; their names begin with the architecture."""

MOST_CONFIGS = 100
"""How many configurations of other authors are read, the most downloaded first, with one request each."""

_MOST_MODELS = 50_000
_OF_CONFIG = ("family", "architecture")
_EXPANDED = ("config", "downloads", "gated", "pipeline_tag", "private", "safetensors", "tags")


def read_filter(conditions: Iterable[str], caller: str = "filter") -> list[Condition]:
    """Read the conditions of a filter; `read_condition` describes their form.

    Raises:
        InputError: for an unknown field or operator.
    """
    return [read_condition(condition, FIELDS, caller) for condition in conditions]


def hub_models(conditions: Sequence[Condition], caller: str = "hub") -> list[Row]:
    """The models with weights of an architecture in the table that meet every condition, most downloaded first.

    Without a condition on ``author`` these are the repositories of ``timm``. A value that the hub doesn't state is
    None. Whether a repository's other arguments are supported is found out only when it is opened.

    Args:
        conditions: as `read_filter` returns them.
        caller: begins the messages.

    Raises:
        InputError: offline, or when the hub doesn't answer or refuses.
    """
    early = [each for each in conditions if each.column not in _OF_CONFIG]
    rows = [_row(info) for info in _listed(conditions, caller)]
    rows = [row for row in rows if all(condition.holds(row) for condition in early)]
    rows.sort(key=lambda row: (-(row["downloads"] or 0), row["source"]))
    _look_into([row for row in rows if row["architecture"] is None], caller)
    rows = [row | {"family": family_of(row["architecture"])} for row in rows if row["architecture"] in ARCHITECTURES]
    return [row for row in rows if all(condition.holds(row) for condition in conditions)]


def _listed(conditions: Sequence[Condition], caller: str) -> list["ModelInfo"]:
    """All models that the hub lists for the conditions that it can apply itself: equal author, task and licence."""
    from huggingface_hub import HfApi, constants
    from huggingface_hub.utils import get_session

    if is_offline():
        raise InputError(
            f"{caller}: expected a list of models from {constants.ENDPOINT}, got offline mode; name the sources, or "
            "unset HF_HUB_OFFLINE."
        )
    exact = {each.column: each.wanted for each in conditions if each.sign == "=" and not is_pattern(each.wanted)}
    author = exact.get("author", None if any(each.column == "author" for each in conditions) else OWNER)
    tags = [] if author == OWNER else [OWNER]  # the name of the library, too
    tags += [exact["task"]] if "task" in exact else []
    tags += [f"license:{exact['licence'].lower()}"] if "licence" in exact else []
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # hide warnings about retries
    try:
        watch_pace(urls._TIMEOUT)
        # The library repeats a failed request for half a minute, and waits for an answer without a limit.
        get_session().head(constants.ENDPOINT, timeout=urls._TIMEOUT)
        found = HfApi().list_models(author=author, filter=tags, expand=list(_EXPANDED))
        return list(islice(found, _MOST_MODELS))
    except Exception as error:  # its own, and those of httpx or httpx2
        reason = reason_of(error, author or "", offline=False)
        raise InputError(f"{caller}: expected a list of models from {constants.ENDPOINT}, got {reason}.") from error


def _row(info: "ModelInfo") -> Row:
    author, _, name = info.id.rpartition("/")
    licences = [tag.partition(":")[2] for tag in info.tags or () if tag.startswith("license:")]
    counts = info.safetensors.parameters if info.safetensors else {}
    return {
        "source": info.id if author == OWNER else f"hf-hub:{info.id}",
        "name": name,
        "author": author,
        "family": None,
        "architecture": name.partition(".")[0] if author == OWNER else _stated(info.config),
        "parameters": info.safetensors.total if info.safetensors else None,
        "megabytes": round(sum(_bytes(dtype) * count for dtype, count in counts.items()) / 1e6) if counts else None,
        "licence": licences[0] if licences else None,
        "task": info.pipeline_tag,
        "downloads": info.downloads,
        "access": "private" if info.private else "gated" if info.gated else "open",
    }


def is_pattern(name: str) -> bool:
    """Whether a name has ``*``, ``?`` or ``[``, which stand for other characters."""
    return bool(re.search(r"[*?\[]", name))


def _stated(config: Any) -> str | None:
    """The architecture in the part of ``config.json`` that the hub lists, if it lists one."""
    architecture = config.get("architecture") if isinstance(config, dict) else None
    return architecture.partition(".")[0] if isinstance(architecture, str) else None


def _bytes(dtype: str) -> float:
    """Bytes of a number of a dtype by safetensors' name, such as BF16 or F8_E4M3."""
    bits = re.search(r"\d+", dtype)
    return int(bits[0]) / 8 if bits else 1


def _look_into(rows: Sequence[Row], caller: str) -> None:
    """Set the architecture of models from their ``config.json``; a warning counts those that weren't read."""
    with ThreadPoolExecutor(8) as pool:
        for row, architecture in zip(rows, pool.map(_configured, rows[:MOST_CONFIGS]), strict=False):
            row["architecture"] = architecture
    warn = logging.getLogger("leepjax").warning
    if closed := sum(row["architecture"] is None and row["access"] != "open" for row in rows[:MOST_CONFIGS]):
        warn(f"{caller}: {closed} gated or private models can't be read; get access, and run hf auth login.")
    if len(rows) > MOST_CONFIGS:
        warn(
            f"{caller}: {len(rows) - MOST_CONFIGS:,} models of other authors weren't read, only the "
            f"{MOST_CONFIGS} most downloaded; add conditions."
        )


def _configured(row: Row) -> str | None:
    """The architecture in a repository's ``config.json``; None if there is none that leepjax can read."""
    try:
        content = hub_file(f"{row['author']}/{row['name']}", "config.json").read_bytes()
        return _stated(read_json(content, dict[str, Any]))
    except (InputError, JsonError):
        return None
