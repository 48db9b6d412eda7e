"""Download and check files of the Hugging Face Hub, through its own library and cache."""

import hashlib
import logging
import re
from functools import partial
from pathlib import Path

from leepjax.models import urls
from leepjax.models.hub_pace import watch_pace
from leepjax.models.requests import SLOWEST, TooSlowError
from leepjax.storage.files import in_cache_or_temporary
from leepjax.types import InputError


class AbsentError(InputError):
    """The repository or, offline, the cache lacks the file."""


def hub_file(repo: str, filename: str, *, revision: str = "main", offline: bool | None = None) -> Path:
    """Download a file of a model repository into the cache of huggingface_hub, whose settings apply.

    A cached file that doesn't match its SHA-256 is deleted and downloaded once more.

    Args:
        repo: ``owner/name``.
        filename: path of the file in the repository.
        revision: a branch, a tag or a commit (which never changes).
        offline: use only the cache; by default the value of HF_HUB_OFFLINE.

    Raises:
        AbsentError: when the file doesn't exist.
        InputError: when the repository doesn't exist, without access or network, or when the content is wrong twice.
    """
    what = f"{filename} of {repo} at {revision}"
    offline = is_offline(offline)
    for _ in range(2):
        path = Path(_hub(repo, filename, revision, offline))
        blob = path.resolve()
        if _is_whole(blob):
            return path
        if offline:
            raise InputError(
                f"hub_file: expected {what}, got other content in {blob}; delete that file and run again online."
            )
        logging.getLogger("leepjax").warning("hub_file: %s doesn't match the SHA-256 of %s; it is deleted.", blob, what)
        blob.unlink()
        path.unlink(missing_ok=True)
    raise InputError(f"hub_file: expected {what} with its SHA-256, got other content twice; try again later.")


def _is_whole(blob: Path) -> bool:
    """Whether the content matches the file's name: a SHA-256 for large files, Git's SHA-1 for small ones."""
    if re.fullmatch("[0-9a-f]{64}", blob.name):
        return urls.sha256_of(blob) == blob.name
    if re.fullmatch("[0-9a-f]{40}", blob.name):
        content = blob.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == blob.name
    return True


def hub_revision(path: Path) -> str:
    """The commit of a path returned by ``hub_file``.

    >>> hub_revision(Path("models--a--b/snapshots/0123456789abcdef0123456789abcdef01234567/model.safetensors"))
    '0123456789abcdef0123456789abcdef01234567'
    """
    commit = re.search(r"/snapshots/([0-9a-f]{40})/", path.as_posix())
    if not commit:
        raise InputError(
            f"hub_revision: expected a path in the Hub's cache, got {path}; pass a path returned by hub_file."
        )
    return commit[1]


def hub_size(repo: str, filename: str, *, revision: str = "main", offline: bool | None = None) -> int | None:
    """Bytes that ``hub_file`` would download: 0 if the file is cached, None if unknown (offline).

    Raises:
        AbsentError: when the file doesn't exist.
        InputError: when the repository doesn't exist, or without access.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        if isinstance(try_to_load_from_cache(repo, filename, revision=revision), str):
            return 0
        if is_offline(offline):
            return None
        return get_hf_file_metadata(hf_hub_url(repo, filename, revision=revision)).size
    except (HfHubHTTPError, HFValidationError) as error:
        raise _error(error, repo, filename, revision, offline=False) from error
    except Exception:  # no network: exceptions of httpx or httpx2, whichever is used
        return None


def _hub(repo: str, filename: str, revision: str, offline: bool) -> str:
    from huggingface_hub import constants, hf_hub_download

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # hide warnings about retries
    try:
        watch_pace(urls._TIMEOUT)
        download = partial(hf_hub_download, repo, filename, revision=revision, local_files_only=offline)
        return in_cache_or_temporary(download, constants.HF_HUB_CACHE, "HF_HOME")
    except Exception as error:  # its own, the system's, and those of httpx or httpx2
        raise _error(error, repo, filename, revision, offline) from error


def _error(error: Exception, repo: str, filename: str, revision: str, offline: bool) -> InputError:
    from huggingface_hub import errors

    absent = isinstance(error, errors.EntryNotFoundError) and (
        offline or not isinstance(error, errors.LocalEntryNotFoundError)
    )
    kind = AbsentError if absent else InputError
    return kind(f"hub_file: expected {filename} of {repo} at {revision}, got {reason_of(error, repo, offline)}.")


def reason_of(error: Exception, repo: str, offline: bool) -> str:
    """What the hub or the network did instead of answering, and what to do: the end of a sentence."""
    from huggingface_hub import constants, errors

    unreachable = f"no answer from {constants.ENDPOINT}; check the network and HF_ENDPOINT"
    if isinstance(error, TooSlowError):
        return f"{error}, below {SLOWEST:,} per second; run it again later to resume the download"
    if isinstance(error, errors.LocalEntryNotFoundError):
        if offline:
            return f"nothing in the cache {constants.HF_HUB_CACHE}; run once online to download it"
        return unreachable
    reasons = {
        errors.GatedRepoError: f"no access; accept its terms at {constants.ENDPOINT}/{repo} and run hf auth login",
        errors.RepositoryNotFoundError: "no such repository; correct its name, or run hf auth login if it is private",
        errors.RevisionNotFoundError: "no such revision; correct its name",
        errors.EntryNotFoundError: "no such file; correct its name",
        errors.HFValidationError: "no name of a repository; write owner/name",
    }
    for kind, reason in reasons.items():
        if isinstance(error, kind):
            return reason
    if isinstance(error, errors.HfHubHTTPError):
        code = error.response.status_code
        return f"HTTP {code}; " + ("run hf auth login with access to it" if code in (401, 403) else "try again later")
    if type(error).__module__.partition(".")[0] in ("httpx", "httpx2"):
        return unreachable
    if isinstance(error, OSError) and error.errno:
        return f"{error.strerror}; make room in {constants.HF_HUB_CACHE} and run it again"
    return f"{type(error).__name__}, {str(error).partition(chr(10))[0].rstrip('.')}; run it again"


def is_offline(offline: bool | None = None) -> bool:
    """The argument or, if it is None, the value of HF_HUB_OFFLINE."""
    from huggingface_hub import constants

    return constants.HF_HUB_OFFLINE if offline is None else offline
