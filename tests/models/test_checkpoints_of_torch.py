"""State dicts as training loops save them: wrapped, prefixed, averaged, beside other objects, quantised, or hostile."""

import io
import logging
import os
import pickle
import time
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
from flax import nnx
from timm_layout import torch_shapes
from torch_pickles import tensor, text, torch_zip

from leepjax.models import weights
from leepjax.models.architectures import abstract
from leepjax.models.files.formats import read_tensors
from leepjax.models.files.pickles import Call, read_pickle
from leepjax.models.files.wrappers import unwrapped
from leepjax.types import InputError

STATE = {"conv1.weight": np.float32([[1, 2], [3, 4]]), "conv1.bias": np.float32([5, 6])}


def opcodes(value):
    """A nest of dicts with arrays in it, or opcodes already."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, np.ndarray):
        key = value.tobytes().hex()
        return tensor(key, "Float", value.size, 0, value.shape, [s // 4 for s in value.strides])
    return b"}(" + b"".join(text(name) + opcodes(each) for name, each in value.items()) + b"u"


def arrays_in(value):
    if isinstance(value, np.ndarray):
        return {value.tobytes().hex(): value.tobytes()}
    return {k: v for each in value.values() for k, v in arrays_in(each).items()} if isinstance(value, dict) else {}


def read(checkpoint, name="x.pth"):
    entries = {name: opcodes(value) for name, value in checkpoint.items()}
    return read_tensors(Path(name), torch_zip(entries, arrays_in(checkpoint)))


def refused(content, name="x.pth"):
    with pytest.raises(InputError) as caught:
        read_tensors(Path(name), content)
    assert str(caught.value).isprintable()
    return str(caught.value)


def same(tensors, expected=STATE):
    assert tensors.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(tensors[name], array)


@pytest.mark.parametrize(
    "key", ["state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "model_ema", "teacher"]
)
@pytest.mark.parametrize("suffix", ["pth", "ckpt", "pth.tar"])
def test_a_state_dict_under_a_key(key, suffix):
    same(read({"epoch": b"K\x05", key: STATE}, f"x.{suffix}"))
    same(read({"epoch": b"K\x05", key: {"state_dict": STATE}}))


RAW = {name: array + 100 for name, array in STATE.items()}


@pytest.mark.parametrize(("taken", "left"), [("state_dict_ema", "state_dict"), ("model_ema", "model"), ("ema", "net")])
def test_averaged_weights_are_taken_before_raw_ones_as_in_timm(taken, left, caplog):
    with caplog.at_level(logging.WARNING, "leepjax"):
        same(read({left: RAW, taken: STATE}))
    assert f"x.pth holds weights as {taken} and {left}; {taken} is used." in caplog.text


def test_a_teacher_is_taken_before_its_student(caplog):
    with caplog.at_level(logging.WARNING, "leepjax"):
        same(read({"student": RAW, "teacher": STATE}))
    assert "teacher and student; teacher is used" in caplog.text


def test_an_average_without_tensors_is_passed_by(caplog):
    with caplog.at_level(logging.WARNING, "leepjax"):
        same(read({"state_dict_ema": b"N", "model_ema": {"decay": b"K\x01"}, "model": STATE}))
    assert not caplog.text


@pytest.mark.parametrize("key", ["ema", "shadow", "swa_weights"])
def test_averages_that_are_not_read_are_named(key, caplog):
    shadow = b"](" + opcodes(STATE["conv1.bias"]) + b"e"
    with caplog.at_level(logging.WARNING, "leepjax"):
        same(read({"model": STATE, key: b"}" + text("shadow_params") + shadow + b"s", "schema": shadow}))
    assert f"x.pth holds averaged weights as {key}, which aren't read; others are used." in caplog.text


def called(name, arguments=b")", state=None):
    built = b"" if state is None else opcodes(state) + b"b"
    return b"c" + name.replace(".", "\n").encode() + b"\n" + arguments + b"R" + built


BESIDE = {
    "Namespace": called("argparse.Namespace", state={"lr": b"K\x01", "data": text("/data")}),
    "numpy": called("numpy.dtype", text("f8") + b"\x85"),
    "omegaconf": called("omegaconf.DictConfig", state={"_content": b"}"}),
    "system": called("os.system", text("touch ran") + b"\x85"),
    "eval": called("builtins.eval", text("1/0") + b"\x85"),
    "set": b"cbuiltins\nset\n](K\x01K\x02e\x85R",
    "tuple key": b"}K\x01K\x02\x86K\x03s",
    "counter": b"ccollections\nCounter\n}" + text("a") + b"K\x01s\x85R",
    "path": b"cpathlib\nPosixPath\n" + text("a") + b"\x85R",
    "set items": b"ceasydict\nEasyDict\n)R" + text("a") + b"K\x01s",
    "list": b"cmmcv\nConfigList\n)R(K\x01K\x02e",
    "long": b"\x8a\x01\x05",
}


@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.parametrize("wrapped", [False, True])
def test_objects_beside_the_tensors_are_left_out_and_run_nothing(name, wrapped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    same(read({"args": BESIDE[name], "model": STATE} if wrapped else {"args": BESIDE[name], **STATE}))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dict_type", ["addict.Dict", "collections.OrderedDict", "collections.UserDict"])
def test_a_state_dict_of_another_type_of_dict(dict_type):
    module, name = dict_type.split(".")
    made = f"c{module}\n{name}\n".encode() + b")R" + opcodes(STATE).removeprefix(b"}")
    same(read_tensors(Path("x.pth"), torch_zip({"model": made}, arrays_in(STATE))))


def test_a_parameter_and_a_subclass_of_tensors():
    plain = opcodes(STATE["conv1.bias"])
    parameter = b"ctorch._utils\n_rebuild_parameter\n" + plain + b"\x88}\x87R"
    arguments = plain.removeprefix(b"ctorch._utils\n_rebuild_tensor_v2\n").removesuffix(b"R")
    subclass = b"ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\nctorchvision\nImage\n"
    subclass += arguments + b"}tR"
    expected = dict.fromkeys(("p", "s"), STATE["conv1.bias"])
    same(read_tensors(Path("x.pth"), torch_zip({"p": parameter, "s": subclass}, arrays_in(STATE))), expected)


def test_a_tensor_of_the_opposite_sign_is_refused():
    """torch._neg_view sets a bit in place of computing; the numbers in the file have the wrong sign."""
    negative = opcodes(STATE["conv1.bias"]).removesuffix(b"tR") + b"}" + text("neg") + b"\x88stR"
    content = torch_zip({"w": negative}, arrays_in(STATE))
    assert "expected tensor w in x.pth, got a tensor that PyTorch stores with the opposite sign" in refused(content)


def test_a_quantised_tensor_is_refused_by_name():
    code = b"ctorch._utils\n_rebuild_qtensor\n" + opcodes(STATE["conv1.bias"]).split(b"\n", 2)[2]
    assert "expected tensor q in x.pth, got a tensor of torch._utils._rebuild_qtensor, which leepjax" in refused(
        torch_zip({"q": code}, arrays_in(STATE))
    )


def test_a_whole_network_is_refused_by_its_class():
    module = b"ctorchvision.models.resnet\nResNet\n)\x81}b"
    assert "got a dict of model with a torchvision.models.resnet.ResNet that isn't read; " in refused(
        torch_zip({"model": module}, {})
    )


DOUBLED = b")" + b"2\x86" * 60


@pytest.mark.parametrize(
    "hostile",
    [
        b"}" + DOUBLED + b"K\x01s",
        b"}(" + DOUBLED + b"K\x01u",
        b"\x8f(" + DOUBLED + b"\x90",
        b"(" + DOUBLED + b"\x91",
        b"ccollections\nOrderedDict\n](" + DOUBLED + b"K\x01\x86e\x85R",
        b"c" + b"a" * 100_000 + b"\nb\n)R",
        DOUBLED + b"Q",
        b"(" + text("storage") + DOUBLED + text("0") + text("cpu") + b"K\x01tQ",
        b"(" + text("storage") + b"ctorch\nFloatStorage\n" + DOUBLED + DOUBLED + b"K\x01tQ",
        DOUBLED + b"\x93",
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + DOUBLED * 4 + b"tR",
        b"ctorch._utils\n_rebuild_parameter\n" + DOUBLED + b"\x85R",
        b"ctorch._utils\n_rebuild_tensor_v2\n)R",
        b"\x96" + (1 << 40).to_bytes(8, "little"),
        b"\x8d" + (1 << 62).to_bytes(8, "little"),
        b"r\xff\xff\xff\xff" * 100,
        b"(" * 100_000 + b"t" * 50_000,
        b"]" + b"q\x00h\x00a" * 1000,
        b"\x82\x01",
        b"P1\n",
        b"h\x07",
        b"0" * 10,
    ],
)
def test_a_hostile_pickle_costs_no_more_than_its_size(hostile):
    started = time.perf_counter()
    tracemalloc.start()
    try:
        for entries in ({"w": hostile}, {"w": hostile, "model": opcodes(STATE)}):
            with suppress(InputError):
                same(read_tensors(Path("x.pth"), torch_zip(entries, arrays_in(STATE))))
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - started < 10


def test_operations_are_limited(monkeypatch):
    monkeypatch.setattr("leepjax.models.files.pickles.MOST_OPCODES", 50)
    assert "got a pickle of more than 50 operations" in refused(torch_zip({"w": b"N0" * 50 + b"N"}, {}))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_are_those_that_were_pickled(protocol):
    value = {"a": [1, -2, 2**70, 1.5, None, True, "ü", (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [], {}], 5: {"b": ()}}
    value["again"] = value["a"]
    got = read_pickle(io.BytesIO(pickle.dumps(value, protocol))).value
    assert got == value
    assert got["again"] is got["a"]
    made = read_pickle(io.BytesIO(pickle.dumps(Path("a"), protocol))).value
    assert isinstance(made, Call)


@pytest.mark.parametrize(
    "prefix",
    ["module.", "_orig_mod.", "model.", "net.", "module._orig_mod.", "_orig_mod.module.", "model.module.", "backbone."],
)
def test_prefixes_of_wrappers_and_their_nests(prefix):
    tensors = {f"{prefix}{name}": array for name, array in STATE.items()}
    assert unwrapped(tensors | {f"{prefix}bn.num_batches_tracked": 3, "n_averaged": 1}, "x")[0] == STATE


def test_the_compiler_s_prefix_in_the_middle_of_a_name():
    assert unwrapped({"layer1._orig_mod.0.conv.weight": 1}, "x")[0] == {"layer1.0.conv.weight": 1}
    assert unwrapped({"layer1.my_orig_mod.weight": 1}, "x")[0] == {"layer1.my_orig_mod.weight": 1}


def test_a_prefix_of_the_network_s_own_names_is_kept():
    assert unwrapped({"module.network.0.weight": 1}, "x", {"network."})[0] == {"network.0.weight": 1}


@pytest.mark.parametrize("prefix", ["timm_model.", "model.a.resnet."])
def test_a_prefix_of_any_name_around_the_whole_network_is_removed(prefix):
    """As of transformers' Trainer, which saves a model of timm; a head may be outside."""
    model, tensors = abstract("resnet20", 10), {}
    for name, shape in torch_shapes(model).items():
        tensors[name if name.startswith("linear.") else prefix + name] = np.full(shape, 3, np.float32)
    weights.load_torch(model, tensors | {"projector.linear.weight": np.ones(3)})
    assert model.conv1.kernel[...].min() == model.linear.kernel[...].min() == 3


def test_of_two_networks_of_any_name_none_is_taken():
    names = [f"{network}.{name}" for network in ("one", "two") for name in LINEAR]
    with pytest.raises(InputError, match=r"tensor linear\.bias in x, got others, such as one\.linear\.bias; name"):
        weights.load_torch(Small(), {name: LINEAR[name.partition(".")[2]] for name in names}, "x")


@pytest.mark.parametrize(("taken", "left"), [("teacher.", "student."), ("model_ema.", "model.")])
def test_of_two_networks_under_prefixes_one_is_taken(taken, left, caplog):
    tensors = {f"{left}a": 1, f"{taken}a": 2}
    with caplog.at_level(logging.WARNING, "leepjax"):
        assert unwrapped(tensors, "x.ckpt")[0] == {"a": 2}
    assert f"x.ckpt holds weights as {taken} and {left}; those of {taken} are used." in caplog.text


def test_two_tensors_of_one_name_are_refused():
    with pytest.raises(InputError, match=r"load: expected one tensor a in x, got 2; save one network's state_dict"):
        unwrapped({"module.a": 1, "a": 2}, "x")


class Small(nnx.Module):
    def __init__(self):
        self.linear = nnx.Linear(2, 3, rngs=nnx.Rngs(0))


LINEAR = {"linear.weight": np.ones((3, 2), np.float32), "linear.bias": np.zeros(3, np.float32)}


def test_tensors_beside_the_network_are_reported(caplog):
    tensors = {f"model.{name}": array for name, array in LINEAR.items()} | {"loss.weight": np.ones(3)}
    with caplog.at_level(logging.WARNING, "leepjax"):
        weights.load_torch(Small(), tensors, "x.ckpt")
    assert "x.ckpt: tensors outside the network are left out: 1, such as loss.weight." in caplog.text


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int64", "bool"])
@pytest.mark.parametrize("name", LINEAR)
def test_integers_in_place_of_real_numbers_are_refused_by_name(dtype, name):
    ours = {"linear.weight": "linear.kernel"}.get(name, name)
    with pytest.raises(InputError, match=rf"load: expected real numbers for {ours}, got {dtype} in x; dequantise"):
        weights.load_torch(Small(), LINEAR | {name: LINEAR[name].astype(dtype)}, "x")


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", ">f4"])
def test_real_numbers_of_any_width_become_float32(dtype):
    model = Small()
    weights.load_torch(model, {name: array.astype(dtype) for name, array in LINEAR.items()})
    assert model.linear.kernel.dtype == np.float32
    np.testing.assert_array_equal(model.linear.kernel[...], LINEAR["linear.weight"].T)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e300])
def test_numbers_that_float32_cannot_hold_are_refused(value):
    with pytest.raises(InputError, match=r"load: expected finite float32 for linear\.bias, got NaN or infinity in"):
        weights.load_torch(Small(), LINEAR | {"linear.bias": np.array([0, value, 0])}, "x")


def many_views(count):
    """Tensors that each show the whole of one storage."""
    return torch_zip(
        {f"w{i}": tensor("0", "BFloat16", 100_000, 0, (100_000,)) for i in range(count)}, {"0": bytes(200_000)}
    )


def repeated():
    """A tensor that shows one number ten billion times."""
    return torch_zip({"w": tensor("0", "Float", 1, 0, (100_000, 100_000), (0, 0))}, {"0": bytes(4)})


@pytest.mark.parametrize("make", [lambda: many_views(2000), repeated])
def test_views_of_a_small_storage_take_no_more_memory_than_the_file_stands_for(make):
    content = make()
    tracemalloc.start()
    message = refused(content)
    assert tracemalloc.get_traced_memory()[1] < 128 << 20 | 17 * len(content)
    tracemalloc.stop()
    assert "bytes declared in a file of" in message


def deflated(entries):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return stream.getvalue()


def test_a_compressed_member_takes_no_more_memory_than_the_file_stands_for():
    zeros = bytes(100 << 20)
    for name in ("x.npz", "x.pth", "x.pth.zip"):
        message = refused(deflated({"archive/data.pkl" if name == "x.pth" else "w.pth": zeros}), name)
        assert "got members of 104,857,600 bytes in an archive of 10" in message


@pytest.mark.parametrize(
    ("shape", "got"),
    [
        ("(1000000000000,)", "got an array (1000000000000,) of float32 in 4 bytes"),
        ("(-1, -1)", "got an array (-1, -1)"),
    ],
)
def test_an_array_whose_header_says_more_than_there_is(shape, got):
    stream = io.BytesIO()
    np.save(stream, np.float32([1]))
    header = stream.getvalue()[10:-4]
    content = stream.getvalue()[:10] + header.replace(b"(1,)", shape.encode())[: len(header) - 1].rstrip(b" ")
    content = content.ljust(10 + len(header) - 1) + b"\n" + bytes(4)
    assert got in refused(deflated({"w.npy": content}), "x.npz")


def test_fortran_order_and_other_versions_of_numpy_s_format():
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asfortranarray(STATE["conv1.weight"]), version=(2, 0))
    same(
        read_tensors(Path("x.npz"), deflated({"conv1.weight.npy": stream.getvalue()})),
        {"conv1.weight": STATE["conv1.weight"]},
    )


def h5(write):
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        write(file)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("write", "got"),
    [
        (lambda f: f.create_dataset("w", (10**9,), "f4", chunks=(1000,)), "4,000,000,000 bytes declared in a file of"),
        (lambda f: f.create_dataset("w", (4,), "f4", chunks=(10**8,), maxshape=(None,)), "400,000,000 bytes declared"),
        (lambda f: f.create_dataset("w", (2,), "f4", external=[("/etc/passwd", 0, 8)]), "lies in other files"),
        (
            lambda f: f.create_virtual_dataset("w", _layout()),
            "a dataset that lies in other files",
        ),
        (lambda f: f.create_dataset("w", (2,), h5py.string_dtype()), "got object where numbers belong"),
    ],
)
def test_an_hdf5_file_that_declares_too_much_or_reads_other_files(write, got):
    assert got in refused(h5(write), "x.h5")


def _layout():
    layout = h5py.VirtualLayout((2,), "f4")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "w", (2,))
    return layout


def test_links_out_of_an_hdf5_file_are_not_followed(tmp_path):
    (tmp_path / "other.h5").write_bytes(h5(lambda f: f.create_dataset("w", data=np.ones(3))))

    def write(file):
        file["a"] = np.float32([1])
        file["b"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "w")
        file["c"] = h5py.SoftLink("/a")

    assert list(read_tensors(Path("x.h5"), h5(write))) == ["a"]


def test_a_device_or_a_pipe_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "x.npz")
    (tmp_path / "y.npz").symlink_to("/dev/zero")
    for name in ("x.npz", "y.npz"):
        with pytest.raises(InputError, match=r"expected a weights file at .*, got a device or pipe; pass"):
            read_tensors(tmp_path / name)


def test_bfloat16_and_float16_of_safetensors_load():
    header = b'{"linear.weight":{"dtype":"BF16","shape":[3,2],"data_offsets":[0,12]},'
    header += b'"linear.bias":{"dtype":"F16","shape":[3],"data_offsets":[12,18]}}'
    content = len(header).to_bytes(8, "little") + header + b"\x80\x3f" * 6 + bytes(6)
    model = Small()
    weights.load(model, Path("x.safetensors"), content)
    np.testing.assert_array_equal(model.linear.kernel[...], np.ones((2, 3)))
    np.testing.assert_array_equal(model.linear.bias[...], np.zeros(3))
