"""A cache of the Hugging Face Hub with repositories made here, for tests that must find them offline."""

import hashlib

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def put(cache, repo, files):
    """Put files, name → content, into a repository of a cache."""
    folder = cache / f"models--{repo.replace('/', '--')}"
    for name in ("blobs", "refs", f"snapshots/{COMMIT}"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "main").write_text(COMMIT)
    for name, content in files.items():
        blob = folder / "blobs" / hashlib.sha256(content).hexdigest()
        blob.write_bytes(content)
        (folder / "snapshots" / COMMIT / name).symlink_to(blob)
