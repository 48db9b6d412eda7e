"""Files of the Hugging Face Hub, through its own library and its cache: verified, and failures are reported."""

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
    """The repository has no such file, or, offline, the cache hasn't."""


def hub_file(repo: str, filename: str, *, revision: str = "main", offline: bool | None = None) -> Path:
    """A file of a model repository on the Hugging Face Hub, in the cache of huggingface_hub, whose settings count.

    A cached file whose content isn't that of its SHA-256 is deleted and fetched once again.

    Args:
        repo: ``owner/name``.
        filename: path of the file in it.
        revision: a branch, a tag, or a commit, which never changes.
        offline: use only what is in the cache; left out, as HF_HUB_OFFLINE says.

    Raises:
        AbsentError: when there is no such file.
        InputError: when there is no such repository, access or network, or the content stays wrong.
    """
    what = f"{filename} of {repo} at {revision}"
    offline = is_offline(offline)
    for _ in range(2):
        path = Path(_hub(repo, filename, revision, offline))
        blob = path.resolve()
        if _is_whole(blob):
            return path
        if offline:
            raise InputError(f"hub_file: expected {what}, got other content in {blob}; delete it and go online.")
        logging.getLogger("leepjax").warning("hub_file: %s has other content than %s; it is deleted.", blob, what)
        blob.unlink()
        path.unlink(missing_ok=True)
    raise InputError(f"hub_file: expected {what} as its SHA-256 says, got other content twice; try again later.")


def _is_whole(blob: Path) -> bool:
    """Whether the content is that of its name: a SHA-256 of large files, Git's SHA-1 of small ones."""
    if re.fullmatch("[0-9a-f]{64}", blob.name):
        return urls.sha256_of(blob) == blob.name
    if re.fullmatch("[0-9a-f]{40}", blob.name):
        content = blob.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == blob.name
    return True


def hub_revision(path: Path) -> str:
    """The commit that a path given by ``hub_file`` is of.

    >>> hub_revision(Path("models--a--b/snapshots/0123456789abcdef0123456789abcdef01234567/model.safetensors"))
    '0123456789abcdef0123456789abcdef01234567'
    """
    commit = re.search(r"/snapshots/([0-9a-f]{40})/", path.as_posix())
    if not commit:
        raise InputError(f"hub_revision: expected a path in the Hub's cache, got {path}; take it from hub_file.")
    return commit[1]


def hub_size(repo: str, filename: str, *, revision: str = "main", offline: bool | None = None) -> int | None:
    """Bytes that ``hub_file`` would fetch: 0 when they are here already, None when that can't be known now.

    Raises:
        AbsentError: when there is no such file.
        InputError: when there is no such repository or no access.
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
    except Exception:  # no network: those of httpx or httpx2, whichever it is built on
        return None


def _hub(repo: str, filename: str, revision: str, offline: bool) -> str:
    from huggingface_hub import constants, hf_hub_download

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # its warnings about attempts that it repeats
    try:
        watch_pace(urls._TIMEOUT)
        download = partial(hf_hub_download, repo, filename, revision=revision, local_files_only=offline)
        return in_cache_or_temporary(download, constants.HF_HUB_CACHE, "HF_HOME")
    except Exception as error:  # its own, the system's, and those of httpx or httpx2, whichever it is built on
        raise _error(error, repo, filename, revision, offline) from error


def _error(error: Exception, repo: str, filename: str, revision: str, offline: bool) -> InputError:
    from huggingface_hub import errors

    absent = isinstance(error, errors.EntryNotFoundError) and (
        offline or not isinstance(error, errors.LocalEntryNotFoundError)
    )
    kind = AbsentError if absent else InputError
    return kind(f"hub_file: expected {filename} of {repo} at {revision}, got {_reason(error, repo, offline)}.")


def _reason(error: Exception, repo: str, offline: bool) -> str:
    from huggingface_hub import constants, errors

    if isinstance(error, TooSlowError):
        return f"{error}, below {SLOWEST:,} per second; run it again later, what arrived is kept"
    if isinstance(error, errors.LocalEntryNotFoundError):
        if offline:
            return f"nothing in the cache {constants.HF_HUB_CACHE}; fetch it online first"
        return f"no answer from {constants.ENDPOINT}; check the network and HF_ENDPOINT"
    reasons = {
        errors.GatedRepoError: f"no access; accept its terms at {constants.ENDPOINT}/{repo} and run hf auth login",
        errors.RepositoryNotFoundError: "no such repository; check its name, or run hf auth login if it is private",
        errors.RevisionNotFoundError: "no such revision; check its name",
        errors.EntryNotFoundError: "no such file; check its name",
        errors.HFValidationError: "no name of a repository; give owner/name",
    }
    for kind, reason in reasons.items():
        if isinstance(error, kind):
            return reason
    if isinstance(error, errors.HfHubHTTPError):
        code = error.response.status_code
        return f"HTTP {code}; " + ("run hf auth login with access to it" if code in (401, 403) else "try again later")
    if isinstance(error, OSError) and error.errno:
        return f"{error.strerror}; make room in {constants.HF_HUB_CACHE} and run it again"
    return f"{type(error).__name__}, {str(error).partition(chr(10))[0].rstrip('.')}; run it again"


def is_offline(offline: bool | None = None) -> bool:
    """What was asked for, or else what HF_HUB_OFFLINE says."""
    from huggingface_hub import constants

    return constants.HF_HUB_OFFLINE if offline is None else offline
