"""A pass over a target: killed in the middle, too large for the memory, on many devices, stored in half."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

import leepjax
from leepjax.data.preprocessing import Preprocessing
from leepjax.data.target import from_arrays
from leepjax.extraction import shards
from leepjax.extraction.extract import extract, table_key, table_path
from leepjax.extraction.forward import forward_batches
from leepjax.extraction.table import read_table, write_table
from leepjax.models.as_source import as_source
from leepjax.storage.sealed import write_sealed
from leepjax.types import InputError, Outputs

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (50, 8, 8, 3), np.uint8)
LABELS = np.arange(50) % 3
TARGET = from_arrays(IMAGES, LABELS, ["cat", "dog", "eel"])
EIGHT = Preprocessing(image_size=8)
MEANS = IMAGES.mean(axis=(1, 2)) / np.float32(255)


def means(params, images):
    features = images.mean(axis=(1, 2))
    return features, features @ params


SOURCE = as_source(means, jnp.eye(3, 5), name="means", preprocessing=EIGHT, num_classes=5)


def outputs_of(apply, **options):
    batches = list(forward_batches(apply, TARGET, EIGHT, **options))
    return np.concatenate([batch.features for batch in batches]), [len(batch.features) for batch in batches]


def test_a_pass_begins_at_the_given_example():
    features, sizes = outputs_of(SOURCE, batch_size=16, start=30)
    assert sizes == [16, 4]
    np.testing.assert_allclose(features, MEANS[30:], rtol=1e-5)


def test_an_interrupted_pass_resumes_from_its_shards(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "SECONDS", 0.0)  # a shard for each batch
    seen = []

    def breaks(images):
        seen.append(len(images))
        if len(seen) == 4:
            raise RuntimeError("power cut")
        return SOURCE(images)

    with pytest.raises(RuntimeError, match="power cut"):
        extract(Watched(breaks), TARGET, batch_size=8, cache=tmp_path)
    (parts,) = tmp_path.glob("*.parts")
    kept = sorted(int(path.stem.partition("-")[2]) for path in parts.iterdir())
    assert kept == [8, 16]  # the third batch was still being computed
    told = []
    table = extract(Watched(SOURCE), TARGET, batch_size=10, cache=tmp_path, on_batch=told.append)
    assert told == [16, 10, 10, 10, 4]
    np.testing.assert_allclose(table.features, MEANS, rtol=1e-5)
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]


class Watched:
    """A source whose calls are recorded."""

    card, name, dtype, identity = SOURCE.card, SOURCE.name, SOURCE.dtype, SOURCE.identity
    reads, preparation, network = SOURCE.reads, SOURCE.preparation, SOURCE.network

    def __init__(self, apply):
        self.apply = apply

    def __call__(self, images):
        return self.apply(images)


@pytest.mark.parametrize("damage", [lambda whole: whole[:-9], lambda whole: flipped(whole, len(whole) - 40)])
def test_a_damaged_shard_and_what_follows_are_computed_again(tmp_path, monkeypatch, caplog, damage):
    monkeypatch.setattr(shards, "SECONDS", 0.0)
    kept = shards.Shards(tmp_path)
    batches = [Outputs(MEANS[i : i + 10], MEANS[i : i + 10]) for i in range(0, 50, 10)]
    assert list(kept.keep(batches, 0)) == batches
    assert len(list(kept.read())) == 5
    damaged = tmp_path / "20-30.safetensors"
    damaged.write_bytes(damage(damaged.read_bytes()))
    assert sum(len(outputs.features) for outputs in kept.read()) == 20
    assert "20-30.safetensors: expected a part of a table, got " in caplog.text
    assert "computing again from row 20 on" in caplog.text


def flipped(content, byte):
    content = bytearray(content)
    content[byte] ^= 1
    return bytes(content)


SLOW = """
import sys, time
import jax.numpy as jnp, numpy as np
import leepjax
from leepjax.extraction import shards
shards.SECONDS = 0.2
images = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3), np.uint8)
class Slow:
    def __init__(self, source):
        self.card, self.name, self.dtype, self.identity = source.card, source.name, source.dtype, source.identity
        self.reads, self.preparation, self.network = source.reads, source.preparation, source.network
        self.source = source
    def __call__(self, images):
        time.sleep({pause})
        return self.source(images)
def means(params, images):
    features = images.mean(axis=(1, 2))
    return features, features @ params
from leepjax.extraction.extract import extract
from leepjax.data.target import from_arrays
from pathlib import Path
source = leepjax.as_source(
    means, jnp.eye(3, 5), name="means", preprocessing=leepjax.Preprocessing(image_size=8), num_classes=5
)
target = from_arrays(images, np.arange(50) % 3, ["cat", "dog", "eel"])
table = extract(Slow(source), target, batch_size=5, cache=Path({folder!r}), on_batch=lambda n: print(n, flush=True))
"""


def test_a_killed_process_loses_at_most_a_shard(tmp_path):
    command = [sys.executable, "-c", SLOW.format(pause=0.3, folder=str(tmp_path))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        done = sum(int(process.stdout.readline()) for _ in range(6))
        process.send_signal(signal.SIGKILL)
    assert not list(tmp_path.glob("*.safetensors"))
    command = [sys.executable, "-c", SLOW.format(pause=0, folder=str(tmp_path))]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    first, *rest = map(int, finished.stdout.split())
    assert first >= done - 10
    assert first + sum(rest) == 50
    (path,) = tmp_path.iterdir()
    np.testing.assert_allclose(read_table(path).features, MEANS, rtol=1e-5)


def too_large_above(limit):
    """A source that asks for more memory than any machine has, where a batch is larger than `limit`."""

    def apply(images):
        if len(images) > limit:
            return jnp.zeros((1 << 50,), jnp.float32)
        return SOURCE(images)

    return apply


def test_the_batch_is_halved_until_it_fits(caplog):
    with caplog.at_level(logging.WARNING, "leepjax"):
        features, sizes = outputs_of(too_large_above(6), batch_size=40)
    assert sizes == [5] * 10
    assert [record.args for record in caplog.records] == [(40, 20), (20, 10), (10, 5)]
    np.testing.assert_allclose(features, MEANS, rtol=1e-5)


def test_a_table_tells_the_batch_size_that_fitted():
    table = extract(Watched(too_large_above(16)), TARGET, batch_size=32)
    assert table.provenance["batch_size"] == "16"


def test_an_image_that_never_fits_is_an_error():
    with pytest.raises(MemoryError, match="extract: expected a single image per device to fit"):
        outputs_of(too_large_above(0), batch_size=4)


def test_other_errors_of_the_device_are_not_taken_for_a_lack_of_memory():
    def apply(images):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        outputs_of(apply, batch_size=4)


def test_threads_decode_ahead_of_the_device():
    decoding = []
    target = replace(TARGET, read=lambda i: (decoding.append(i), Image.fromarray(IMAGES[i]))[1])
    batches = forward_batches(SOURCE, target, EIGHT, batch_size=5)
    next(batches)
    time.sleep(0.5)
    assert 15 <= len(decoding) <= 30
    batches.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("leepjax-decode")]


def test_an_error_in_the_middle_of_decoding_comes_through():
    def read(i):
        if i == 23:
            raise InputError("23.png: expected an image, got noise; replace or remove the file.")
        return Image.fromarray(IMAGES[i])

    with pytest.raises(InputError, match=r"23\.png"):
        list(forward_batches(SOURCE, replace(TARGET, read=read), EIGHT, batch_size=5))


@pytest.mark.parametrize(("evidence", "storage"), [("probs", "float32"), ("logits", "float16"), ("probs", "float16")])
def test_a_table_in_another_form_scores_alike(tmp_path, evidence, storage):
    first = extract(SOURCE, TARGET, cache=tmp_path, evidence=evidence, storage=storage)
    path = table_path(tmp_path, first.key, evidence, storage)
    tensors = safetensors.numpy.load_file(path)
    assert tensors[evidence].dtype == tensors["features"].dtype == storage
    again = extract(SOURCE, TARGET, cache=tmp_path, evidence=evidence, storage=storage)
    tolerance = 1e-6 if storage == "float32" else 2e-3
    np.testing.assert_allclose(again.probs, first.probs, rtol=tolerance)
    np.testing.assert_allclose(again.features, first.features, rtol=tolerance)
    assert again.logits.dtype == again.features.dtype == np.float32
    assert leepjax.leep(again.probs, LABELS) == pytest.approx(float(leepjax.leep(first.probs, LABELS)), rel=1e-3)


def test_numbers_too_large_for_half_precision_are_refused(tmp_path):
    table = replace(extract(SOURCE, TARGET), features=np.full((50, 3), 1e5, np.float32))
    with pytest.raises(InputError, match="extract: expected features below 65504, got 100000; store float32"):
        write_table(tmp_path / "x.safetensors", table, storage="float16")
    assert not list(tmp_path.iterdir())


def test_a_table_says_where_it_comes_from(tmp_path):
    table = extract(SOURCE, TARGET, cache=tmp_path)
    again = read_table(table_path(tmp_path, table.key))
    assert again.provenance == table.provenance
    assert again.classes == ("cat", "dog", "eel")
    assert again.ids == table.ids == tuple(map(str, range(50)))
    card = json.loads(again.provenance["card"])
    assert card["name"] == again.provenance["source"] == "means"
    assert card["weights_hash"] == SOURCE.card.weights_hash


def test_no_table(tmp_path):
    with pytest.raises(InputError, match=r"table: expected a table at .*x\.safetensors, got no file; extract it first"):
        read_table(tmp_path / "x.safetensors")
    safetensors.numpy.save_file({"features": MEANS}, tmp_path / "x.safetensors")
    with pytest.raises(
        InputError, match=r"table: expected a table in .*x\.safetensors, got a file without a digest of "
    ):
        read_table(tmp_path / "x.safetensors")
    write_sealed(tmp_path / "x.safetensors", {"features": MEANS}, {})
    with pytest.raises(InputError, match=r"table: expected a table in .*x\.safetensors, got 'logits'; extract it aga"):
        read_table(tmp_path / "x.safetensors")


MESH = """
import jax, numpy as np
import leepjax
from leepjax.data.target import from_arrays
from leepjax.extraction.forward import forward_batches
images = np.random.default_rng(0).integers(0, 256, (50, 32, 32, 3), np.uint8)
source = leepjax.load_source("random")
shardings = []
def watched(batch):
    shardings.append((batch.shape[0], len(batch.sharding.device_set), batch.addressable_shards[0].data.shape[0]))
    outputs = source(batch)
    assert len(outputs.features.sharding.device_set) == 8 and not outputs.features.is_fully_replicated
    return outputs
target = from_arrays(images, np.arange(50) % 3)
batches = list(forward_batches(watched, target, source.card.preprocessing, batch_size=20))
print(*set(shardings))
np.save({path!r}, np.concatenate([batch.features for batch in batches]))
"""


def test_a_batch_is_spread_over_all_devices(tmp_path):
    path = tmp_path / "features.npy"
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    code = MESH.format(path=str(path))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert run.stdout.strip() == "(24, 8, 3)"  # 20 rounded up to whole devices, 3 images on each
    images = np.random.default_rng(0).integers(0, 256, (50, 32, 32, 3), np.uint8)
    features = leepjax.load_source("random")(images).features
    np.testing.assert_allclose(np.load(path), features, rtol=1e-4, atol=1e-5)


def test_the_key_of_a_table_depends_on_the_class_names():
    names = [["cat", "dog", "eel"], ["lynx", "dog", "eel"], ["cat", "dog", "eel", "fox"], ["cat", "dog", "e", "l"]]
    targets = [from_arrays(IMAGES, LABELS, each) for each in names]
    assert len({table_key(SOURCE, target) for target in targets}) == len(names)
    assert table_key(SOURCE, targets[0]) == table_key(SOURCE, TARGET)


def test_a_part_of_an_extracted_target_has_its_rows(tmp_path, monkeypatch):
    part = TARGET.subset(np.arange(50)[::-1]).subset(np.arange(5, 15))
    expected = extract(SOURCE, part)
    extract(SOURCE, TARGET, cache=tmp_path)
    monkeypatch.setattr("leepjax.extraction.extract.forward_batches", None)
    table = extract(SOURCE, part, cache=tmp_path)
    np.testing.assert_allclose(table.features, expected.features, rtol=1e-6)
    np.testing.assert_allclose(table.logits, expected.logits, rtol=1e-6)
    assert (table.labels.tolist(), table.ids, table.key) == (expected.labels.tolist(), expected.ids, expected.key)
    # Other classes, or a target that holds others too, aren't parts of it.
    for other in (part.of_classes(["eel", "cat"]), part.joined(part)):
        assert other.wholes == ()
