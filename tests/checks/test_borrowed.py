"""Arrays of other libraries: their memory is shared, whatever their type, and never read after a measure returned."""

import jax.numpy as jnp
import numpy as np
import pytest

import leepjax as lj
from leepjax.checks.arrays import check_features
from leepjax.sklearn import TransferabilityScorer
from leepjax.types import InputError

N, D = 4000, 64
rng = np.random.default_rng(0)
LABELS = rng.integers(5, size=N)


class Exporter:
    """Rows of another library: only the DLPack protocol, and what NumPy's conversion needs."""

    def __init__(self, array, fails=None):
        self.array, self.fails = array, fails

    def __dlpack__(self, **options):
        if self.fails:
            raise self.fails
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.array, dtype)


def aligned(shape, dtype=np.float32):
    """An array aligned to 64 bytes, like PyTorch's memory."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    array = memory[start : start + size].view(dtype).reshape(shape)
    array[:] = rng.normal(size=shape)
    return array


def address(array):
    return array.unsafe_buffer_pointer()


@pytest.mark.parametrize("kind", [Exporter, np.asarray])
def test_rows_are_read_where_they_lie(kind):
    features = aligned((N, D))
    checked = check_features("test", kind(features), LABELS, None, None).evidence
    assert address(checked) == features.ctypes.data


@pytest.mark.parametrize(
    "kind",
    {
        "float64": lambda x: Exporter(x.astype(np.float64)),
        "integers": lambda x: Exporter(np.rint(4 * x).astype(np.int64)),
        "by columns": lambda x: Exporter(np.asfortranarray(x)),
        "every other row": lambda x: Exporter(x[::2]),
        "read only": lambda x: Exporter(np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape)),
        "no export": lambda x: Exporter(x, BufferError("not now")),
    }.items(),
    ids=lambda kind: kind[0],
)
def test_what_cannot_be_borrowed_is_copied(kind):
    rows = kind[1](aligned((N, D)))
    labels = LABELS[: len(rows.array)]
    assert lj.lfc(rows, labels) == lj.lfc(jnp.asarray(rows.array), labels)


def test_a_score_is_done_with_borrowed_rows_when_it_returns():
    for measure in (lj.h_score, lj.lfc):
        features = aligned((N, D))
        expected = measure(jnp.array(features), LABELS)
        score = measure(features, LABELS)
        features[:] = 0
        assert score == expected


def test_a_tensor_that_can_not_be_read_is_named():
    class Attached(Exporter):
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")

    attached = Attached(aligned((N, D)), BufferError("requires gradient"))
    with pytest.raises(ValueError, match=r"h_score: features must be an array, got Attached \(Can't call numpy"):
        lj.h_score(attached, LABELS)


def test_what_cannot_be_read_is_refused_with_how_to_convert_it():
    class Tensor(Exporter):  # of PyTorch, in bfloat16
        def detach(self):
            return self

        def __array__(self, dtype=None, copy=None):
            raise TypeError("Got unsupported ScalarType BFloat16")

    objects = rng.normal(size=(8, 2)).astype(object)
    for caller, call in [
        ("h_score", lambda x: lj.h_score(x, LABELS[:8])),
        ("as_table: a", lambda x: lj.as_table(x, name="a")),
        ("metrics", lambda x: lj.metrics(x, LABELS[:8])),
        ("shard_rows", lambda x: lj.shard_rows(x, LABELS[:8])),
    ]:
        with pytest.raises(InputError, match=rf"^{caller}: .* got objects in ndarray; .* \.astype\('float32'\)\.$"):
            call(objects)
        with pytest.raises(InputError, match=rf"^{caller}: .* got Tensor \(.*\); pass tensor\.detach\(\)\.cpu\(\)\.f"):
            call(Tensor(aligned((8, 2)), BufferError("unknown type")))
    with pytest.raises(InputError, match=r"h_score: labels must be numbers, .* with \.astype\('int32'\)\.$"):
        lj.h_score(aligned((8, 2)), LABELS[:8].astype(object))


def test_values_under_a_mask_do_not_count():
    """NumPy, JAX and DLPack drop the mask, and keep the values under it."""
    features, labels = rng.normal(size=(8, 2)), np.arange(8) % 2
    rows, column = np.ma.array(features), np.ma.array(labels)
    assert lj.h_score(rows, column) == lj.h_score(features, labels)
    rows[3, 1] = column[2] = np.ma.masked
    for caller, name, call in [
        ("h_score", "features", lambda: lj.h_score(rows, labels)),
        ("h_score", "features", lambda: lj.h_score(list(rows), labels)),
        ("h_score", "labels", lambda: lj.h_score(features, column)),
        ("h_score", "where", lambda: lj.h_score(features, labels, where=column)),
        ("linear_mse", "targets", lambda: lj.linear_mse(features, rows)),
        ("fit_ridge", "labels", lambda: lj.fit_ridge(features, column, 2)),
        ("metrics", "logits", lambda: lj.metrics(rows, labels)),
        ("shard_rows", "labels", lambda: lj.shard_rows(features, column)),
        ("as_table: a", "features", lambda: lj.as_table(rows, name="a")),
        ("as_table: a", "probs", lambda: lj.as_table(features, probs=rows, name="a")),
        ("rank: labels", "labels", lambda: lj.rank(column, lj.as_table(features, name="a"))),
        ("TransferabilityScorer", "X", lambda: TransferabilityScorer("h_score").fit(rows, labels)),
    ]:
        with pytest.raises(InputError, match=f"^{caller}: expected {name} without masked values, got 1; fill them"):
            call()


def test_pytorch():
    torch = pytest.importorskip("torch")
    features = torch.randn(N, D)
    checked = check_features("test", features, torch.as_tensor(LABELS), None, None).evidence
    assert address(checked) == features.data_ptr()
    assert lj.logme(features, torch.as_tensor(LABELS)) == lj.logme(features.numpy(), LABELS)
    half = features.to(torch.bfloat16)
    assert lj.h_score(half, LABELS) == lj.h_score(jnp.asarray(half.float().numpy()), LABELS)
