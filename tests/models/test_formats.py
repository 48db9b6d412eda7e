"""Weights in each format that they are published in, whole, cut short, corrupt, and of another kind."""

import base64
import io
import os
import pickle
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch_pickles import tensor, text, torch_zip

from leepjax.models.files.formats import read_tensors
from leepjax.types import InputError

# torch.save({"model": {"w": torch.arange(6.0).reshape(2, 3).t(), "bf": torch.tensor([1.5, -2.0]).bfloat16(),
#                       "n": torch.tensor(7)}}) of PyTorch 2.13, as it is and before 1.6, compressed.
NEW = (
    "c-o~^&rj1(9DnV$Zd4sVL<XoBPmYLV-MSx$I?|YWD2ZdlWZ}}3t!#~D<+X1RO-M)#B;3@K2V*>V@ITNa{s~6o$r}gb$v;8gYguVawh6rKt=abd{A"
    "l0z^IcgAg#n1gz=<^kMu1}0n%bs1TUU^h+IXsqLL994)(*W5K{bNw*NwWWLuwn+$ts0EZ^2Lv8JHj?w~?k>tZb^QZB4JsNNrh$DQ{+27)~auQCw`"
    "{N~NK~hy!6o-B8f7^Cb%zn=lQd)eyecHrg;IF$fMUNk9ro^d4j-N($}43;VU2q3dc5X-3OpADea6RO=758e-wa=?c7rV7vkct2Aa=U4uhSEZ^)%3"
    "brPfcU6aNRSu3cV-k(vWuiv!!cmFZg;(~Qgm4VOL<Nr9g)KPY<6AUZ4VP=uF3G^Fn2SR28s?gwb~vshI8}i++E%J8MPuKWKipcxwPcsOo=pPGx@V"
    "JGGt6}b$(yQa;oBC4+kqqMxi}*F>Cev>#2?w+MJGYwSoG+?WJT8+t#!49L?L?`-OkGM#6W2a{w9Y)_cSmJO0I#`XGk^3`HI5)S#&!~*AUWG;$ipx"
    ";RJ(Kn4TWu;DIj{vuRPddkzB*>rM&3E#Md4J9xieAdV6*f4v&VKaBTrG~;)~i9+(f9UYXw0nv&stsG(j5bmS3;MdBC!oBl6{*~wvGx4zT<Cj51V?"
    "8|#f_c}2+w+C9n#i(5`RlvJlm7iT1v1A0uy5Z|O${gDxk3hxtkp#!bxI@YB0t9$i$%ULm(Qj7Vj-JLbGbRLz@>A1p6Bz~bT*SM=84OjUzWZlv5%z"
    "fk|JhZpWeAKbi#RXjt9}+0g&(^-%_C4qzRIELp<pZE)9B2jv$XWh{Haf*B%~s00iOQ)Wm)8u@DGkH;DD7z>obH#BxEbw|o8A(Qp8p31YqdH|WE@@"
    "nE|=cW+xv`M@I)(5GR`62r`N+B<Z|MGge6k7(!mIns$MV<-3TQGT6&jtJvm2JCvL_8%?A)2{"
)
OLD = (
    "c-n1|Pfy!07{(K)f0!9i*v7`j2FLbN(UA4eiE5g-7`D+}e3_z>m?p@?eG`XilPdMnYV0#`;K;}5*V#vyw8P%Cg$=1zY|F3T{GLaThvX-ff36RI@1"
    "Ea&+Nuu8@h=P40T^XoG7O_1E3G^w-AfTCp^Cu72EKwfGSpfMS44i;jez{%6pQ*>U${y5T_j))AXnyjEGB`9HRKuL7M{XLLxJUZE@P;u2St`k)0yV"
    "9{X+Rdf;j+E<|dxMg5_xydqLGrbtn_+#^N*$rSEDHB`S6=ZHiK5Ud*(xv)dDppZ!7)rRwU>vm%88U&Wr5<Gi(Nj=gU;>kS)<Q(Im?g(X(_pyAO8G"
    "nmE57$`HDHHPIY4-=5W(-=TPKgPa@h5tVEG=;~N4y<Tc?Z6r*h&erjQh;WHI|J{g4r=v#59|Lt*mkqga%zqP8^IDIsQo0<CL?&t%n>}h3NrkrhUX"
    "o4G0h@^tq1fY4Dg=(@*%mo*J{+^6_QOPZzH)<nGs)Wc+-KMG{MxrWG}rS6>|}cEb?xNYQgw_3=eQ=<A-yI^QLXiZ;JDs%=gKGG5HJJSD}6"
)
TORCH = {name: zlib.decompress(base64.b85decode(text)) for name, text in (("new", NEW), ("old", OLD))}
SAVED = {"w": np.arange(6, dtype=np.float32).reshape(2, 3).T, "bf": np.float32([1.5, -2]), "n": np.int64(7)}
ARRAYS = {
    name: (10 * np.random.default_rng(0).random((3, 4))).astype(name)
    for name in ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool")
}
TYPES = dict(zip(ARRAYS, ("Double", "Float", "Half", "Long", "Int", "Short", "Char", "Byte", "Bool"), strict=True))


def torch_arrays(arrays):
    entries = {n: tensor(n, TYPES[n], a.size, 0, a.shape, (a.shape[1], 1)) for n, a in arrays.items()}
    return torch_zip(entries, {name: array.tobytes() for name, array in arrays.items()})


def npz(arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def h5(arrays):
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, compression="gzip" if array.dtype == np.float64 else None)
    return stream.getvalue()


def zipped(name, content, compression=zipfile.ZIP_DEFLATED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr(name, content)
    return stream.getvalue()


FILES = {
    "x.safetensors": safetensors.numpy.save(ARRAYS),
    "x.npz": npz(ARRAYS),
    "x.pth": torch_arrays(ARRAYS),
    "x.h5": h5(ARRAYS),
    "x.pth.zip": zipped("x.pth", torch_arrays(ARRAYS)),
    "saved.pt": TORCH["new"],
    "old.bin": TORCH["old"],
}

IN_INT64 = FILES["x.pth"].find(ARRAYS["int64"].tobytes()) + 5


def says(content, name="x.pth"):
    with pytest.raises(InputError) as caught:
        read_tensors(Path(name), content)
    return str(caught.value)


@pytest.mark.parametrize("name", ["x.h5", "x.h5.zip"])
def test_a_file_of_keras_without_h5py_asks_for_the_extra(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "h5py", None)
    content = FILES["x.h5"] if name == "x.h5" else zipped("x.h5", FILES["x.h5"])
    member = name.replace(".zip", ".zip/x.h5")
    assert says(content, name) == (
        f"read_tensors: expected h5py to read {member}, got none; pip install 'leepjax[keras]'."
    )


@pytest.mark.parametrize("name", FILES)
def test_a_file_gives_the_arrays_that_were_written(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(FILES[name])
    expected = SAVED if name in ("saved.pt", "old.bin") else ARRAYS
    tensors = read_tensors(path)
    assert tensors.keys() == expected.keys()
    for key, array in expected.items():
        np.testing.assert_array_equal(tensors[key], array, strict=True)


def test_bfloat16_becomes_float32():
    header = b'{"w":{"dtype":"BF16","shape":[2,1],"data_offsets":[0,4]}}'
    content = len(header).to_bytes(8, "little") + header + bytes([0xC0, 0x3F, 0x00, 0xC0])
    tensors = read_tensors(Path("x.safetensors"), content)
    np.testing.assert_array_equal(tensors["w"], np.float32([[1.5], [-2]]), strict=True)


def test_a_tensor_is_a_view_of_its_storage():
    storage = np.arange(20, dtype=np.float32)
    entries = {"part": tensor("0", "Float", 20, 7, (2, 3), (5, 1)), "column": tensor("0", "Float", 20, 2, (4,), (5,))}
    entries |= {"spread": tensor("0", "Float", 20, 3, (2, 2), (0, 0)), "none": tensor("0", "Float", 20, 20, (0, 3))}
    entries["none"] = tensor("0", "Float", 20, 20, (0, 3), (3, 1))
    tensors = read_tensors(Path("x.pth"), torch_zip(entries, {"0": storage.tobytes()}))
    np.testing.assert_array_equal(tensors["part"], [[7, 8, 9], [12, 13, 14]])
    np.testing.assert_array_equal(tensors["column"], [2, 7, 12, 17])
    np.testing.assert_array_equal(tensors["spread"], np.full((2, 2), 3))
    assert tensors["none"].shape == (0, 3)


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_state"])
def test_a_state_dict_is_found_in_a_checkpoint(wrapper):
    inner = b"}(" + text("w") + tensor("0", "Float", 1) + b"u"
    content = torch_zip({"epoch": b"K\x05", wrapper: inner}, {"0": bytes(4)})
    assert list(read_tensors(Path("x.pth"), content)) == ["w"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"offset": 19, "shape": (2,)},
            "expected tensor w in x.pth, got a storage of 20 numbers where the tensor needs 21; ",
        ),
        ({"strides": (-1,)}, "got sizes (1,) with strides (-1,) at 0; "),
        ({"offset": -1}, "got sizes (1,) with strides (1,) at -1; "),
        ({"shape": (2, 2)}, "got sizes (2, 2) with strides (1,) at 0; "),
        ({"numel": 21}, "got 80 bytes where its storage wants 84; "),
        ({"kind": "QInt8"}, "expected tensor w in x.pth, got numbers of type torch.QInt8Storage; "),
        ({"key": "1"}, "expected tensor w in x.pth, got corrupt content"),
    ],
)
def test_no_tensor_reaches_beyond_its_storage(change, message):
    code = tensor(**({"key": "0", "kind": "Float", "numel": 20} | change))
    assert message in says(torch_zip({"w": code}, {"0": bytes(80)}))


class Attack:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_no_code_in_a_pickle_is_run(tmp_path, protocol):
    attack = pickle.dumps({"w": Attack(tmp_path / "ran")}, protocol)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", attack)
    message = says(stream.getvalue())
    assert message.startswith(f"read_tensors: expected a PyTorch state dict in x.pth, got a dict of w with a {os.name}")
    assert ".system that isn't read; download it again, or save the state_dict() alone with torch.save." in message
    before = b"".join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    assert ".system that isn't read" in says(before + attack + pickle.dumps([], 2))
    says(before + pickle.dumps({}, 2) + attack)
    says(attack)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("entries", "got"),
    [
        ({}, "got a pickled dict; "),
        ({"net": b"}", "lr": b"K\x01"}, "got a dict of net, lr; "),
        ({"model": b"\x80\x02]"}, "got a dict of model; "),
    ],
)
def test_a_checkpoint_without_a_state_dict(entries, got):
    assert got in says(torch_zip(entries, {}))


def test_a_dict_that_holds_itself_ends():
    stream = io.BytesIO()
    itself = {}
    itself["model"] = itself
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(itself, 2))
    assert "got a dict of model; " in says(stream.getvalue())


def test_numbers_of_another_byte_order_are_refused():
    content = torch_zip({"w": tensor("0", "Float", 1)}, {"0": bytes(4)}, byteorder=b"big")
    assert "got big-endian numbers; " in says(content)
    little, flag = TORCH["old"], TORCH["old"].index(b"little_endian") + len("little_endian") + 2
    assert little[flag : flag + 1] == pickle.NEWTRUE
    assert "got big-endian numbers; " in says(little[:flag] + pickle.NEWFALSE + little[flag + 1 :])


def test_nothing_is_read_that_is_larger_than_it_should_be():
    stored = torch_zip({"w": tensor("0", "Float", 20)}, {"0": b"?" * 84})
    corrupt = stored.replace(b"?" * 84, b"!" * 84)
    assert "expected tensor w in x.pth, got 84 bytes where its storage wants 80; " in says(corrupt)
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.create_dataset("w", (10_000_000,), np.float32)  # of which nothing is written
    message = says(stream.getvalue(), "x.h5")
    assert "expected tensor w in x.h5, got a shape (10000000,) that the file is too short for; " in message


@pytest.mark.parametrize(
    ("name", "cut", "expected"),
    [
        (
            "x.safetensors",
            -1,
            "a file that ends at byte 947 where tensor bool, of 12 bytes, ends at 948; download it",
        ),
        ("x.safetensors", 300, "got corrupt content (Error while deserializing"),
        ("x.npz", 1000, "expected NumPy's arrays in x.npz, got an archive that breaks off at member int64.npy; "),
        ("x.npz", -9, "got an archive that breaks off at member bool.npy; download it again."),
        (
            "x.pth",
            IN_INT64,
            "got an archive that breaks off at tensor int64, which wants 96 bytes; download it",
        ),
        ("x.pth", 500, "got an archive that breaks off at member archive/data.pkl; "),
        ("old.bin", -1, "expected tensor bf in old.bin, got 3 bytes where its storage wants 4; "),
        ("x.h5", 3000, "expected Keras' HDF5 in x.h5, got corrupt content (Unable to synchronously open file (trunca"),
        ("x.pth.zip", -9, "expected an archive of one weights file in x.pth.zip, got corrupt content (File is not a"),
    ],
)
def test_a_file_cut_short_says_where(name, cut, expected):
    message = says(FILES[name][:cut], name)
    assert expected in message


def test_a_corrupt_tensor_is_named():
    content = bytearray(FILES["x.npz"])
    content[content.find(ARRAYS["int64"].tobytes())] ^= 1
    assert says(bytes(content), "x.npz").startswith("read_tensors: expected tensor int64 in x.npz, got corrupt content")
    content = bytearray(FILES["x.pth"])
    content[content.find(ARRAYS["int64"].tobytes())] ^= 1
    assert says(bytes(content)).startswith("read_tensors: expected tensor int64 in x.pth, got corrupt content (Bad CRC")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.npz", b"", "read_tensors: expected NumPy's arrays in x.npz, got an empty file; download it again."),
        ("x.pth", b"<!DOCTYPE html><html>", "got a web page; "),
        ("x.h5", b"\n<html>", "got a web page; "),
        ("x.safetensors", b"version https://git-lfs.github.com/spec/v1", "got a Git LFS pointer in place of the file;"),
        ("x.npz", FILES["x.h5"], "got another kind of file; "),
        ("x.pth", FILES["x.h5"], "got another kind of file; "),
        ("x.pth", FILES["x.npz"], "got an archive with 0 data.pkl; "),
        (
            "x.zip",
            FILES["x.npz"],
            "expected an archive of one weights file in x.zip, got 9 files; download or unzip it",
        ),
        ("x.zip", zipped("y.zip", zipped("x.npz", FILES["x.npz"])), "in x.zip, got an archive in an archive; "),
        ("x.zip", zipped("/a\nb.npz", b""), "expected NumPy's arrays in x.zip/a b.npz, got an empty file; "),
        ("x.zip", zipped("readme.txt", b"no"), "got x.zip/readme.txt; save its tensors as safetensors"),
        ("x.npz", npz({"w": np.array(["words"])}), "expected tensor w in x.npz, got <U5 where numbers belong; "),
        ("x.h5", h5({"w": np.array([b"words"])}), "expected tensor w in x.h5, got |S5 where numbers belong; "),
        (
            "x.pkl",
            pickle.dumps({}),
            "whose suffix is one of .safetensors .npz .pth .pt .bin .th .ckpt .tar .h5 .hdf5 .zip, got x",
        ),
    ],
)
def test_a_file_of_another_kind(name, content, message):
    assert message in says(content, name)


def test_objects_in_npz_are_not_unpickled(tmp_path):
    content = npz({"w": np.array([Attack(tmp_path / "ran")], object)})
    assert "expected tensor w in x.npz, got object where numbers belong" in says(content, "x.npz")
    assert not (tmp_path / "ran").exists()


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"expected a weights file at .*x\.npz, got No such file .*; check the path\."):
        read_tensors(tmp_path / "x.npz")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(InputError, match=r"expected a weights file at .*folder\.npz, got Is a directory; check the pa"):
        read_tensors(tmp_path / "folder.npz")


def test_reading_needs_neither_torch_nor_h5py():
    code = (
        "import sys; from leepjax.models.files.formats import read_tensors; print({'torch', 'h5py'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


@settings(max_examples=400, deadline=None)
@given(
    name=st.sampled_from(sorted(FILES)),
    cut=st.one_of(st.just(1.0), st.floats(0, 1)),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=5),
)
@example(name="saved.pt", cut=0.6, flips=[])
def test_whatever_a_file_holds_the_error_is_one_sentence(name, cut, flips):
    content = bytearray(FILES[name][: int(cut * len(FILES[name]))])
    for place, value in flips if content else ():
        content[min(int(place * len(content)), len(content) - 1)] = value
    try:
        said = "read_tensors: expected nothing else"
        tensors = read_tensors(Path(name), bytes(content))
    except InputError as error:
        said, tensors = str(error), {}
    assert said.startswith("read_tensors: expected ")
    assert said.isprintable()
    assert all(array.dtype.kind in "fiub" for array in tensors.values())
