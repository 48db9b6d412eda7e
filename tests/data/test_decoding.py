"""Images decoded ahead: in order, no further than requested, and by threads if these help."""

import threading
import time
from contextlib import closing

import pytest

from leepjax.data import decoding
from leepjax.data.decoding import decode_ahead
from leepjax.types import InputError


def spend(seconds):
    """Compute until this thread has used some seconds of processor time."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def threads_of(seconds, monkeypatch):
    """The names of the threads that decode images of which each takes some seconds."""
    monkeypatch.setattr(decoding.os, "cpu_count", lambda: 3)
    names = []

    def decode(i):
        names.append(threading.current_thread().name)
        spend(0.05 if i == 0 else seconds)  # the first one loads the decoders
        time.sleep(1e-4)  # as decompressing does, without Python's lock
        return i

    assert list(decode_ahead(decode, range(200), 64)) == list(range(200))
    return {name for name in names if name.startswith("leepjax-decode")}


def test_small_images_are_decoded_by_one_thread_and_large_ones_by_several(monkeypatch):
    assert len(threads_of(1e-5, monkeypatch)) == 1
    assert len(threads_of(2e-3, monkeypatch)) == 3


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_no_more_images_are_decoded_than_are_asked_for(threads):
    decoded, before = [], set(threading.enumerate())
    with closing(decode_ahead(lambda i: decoded.append(i) or i, range(1000), 64, threads)) as images:
        assert [next(images) for _ in range(40)] == list(range(40))
        time.sleep(0.1)
        assert 64 <= len(decoded) <= 40 + 64 + 16
    begun = set(threading.enumerate()) - before
    assert not [thread for thread in begun if thread.name.startswith("leepjax-decode")]


def test_an_error_ends_it_where_it_stands():
    def decode(i):
        if i == 30:
            raise InputError("image 30: expected an image, got none.")
        return i

    images = decode_ahead(decode, range(100), 16)
    assert [next(images) for _ in range(16)] == list(range(16))
    with pytest.raises(InputError, match="image 30"):
        list(images)


def test_nothing_to_decode():
    assert list(decode_ahead(str, [], 8)) == []
    assert list(decode_ahead(str, [], 8, threads=2)) == []
