"""The code and the commands of docs/sources.md are run, with small networks in place of large ones."""

import re
import shlex
from inspect import signature
from types import SimpleNamespace

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from PIL import Image
from places import ROOT

import leepjax
from leepjax.cli.commands import app

PAGE = (ROOT / "docs" / "sources.md").read_text("utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
SMALL = {"image_size=224": "image_size=8", "resnet18": "random", "vit-s16": "random", "blocks.*": "layer3.*"}


class Pooled(nnx.Module):
    def __init__(self):
        self.fc = nnx.Linear(3, 10, rngs=nnx.Rngs(0))

    def __call__(self, images):
        return self.fc(images.mean(axis=(1, 2)))


class PooledLinen(flax.linen.Module):
    @flax.linen.compact
    def __call__(self, images):
        return flax.linen.Dense(10, name="fc")(images.mean(axis=(1, 2)))


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A folder ``photos`` of two classes where the code runs."""
    rng = np.random.default_rng(0)
    for number in range(8):
        folder = tmp_path / "photos" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8)).save(folder / f"{number}.png")
    monkeypatch.chdir(tmp_path)


def run_code(rank):
    """Run the code of the page, but for what needs PyTorch, with this function in place of `leepjax.rank`."""
    linen_module, example = PooledLinen(), jnp.zeros((1, 8, 8, 3))
    names = {
        "leepjax": SimpleNamespace(Preprocessing=leepjax.Preprocessing, as_source=leepjax.as_source, rank=rank),
        "module": Pooled(),
        "linen_module": linen_module,
        "variables": linen_module.init(jax.random.key(0), example),
        "apply": lambda params, images: (images.mean(axis=(1, 2)), images.mean(axis=(1, 2)) @ params),
        "params": jnp.ones((3, 10)),
    }
    for code in PYTHON:
        code = "\n".join(line for line in code.splitlines() if "timm.create_model" not in line)
        for large, small in SMALL.items():
            code = code.replace(large, small)
        exec(compile(code, "docs/sources.md", "exec"), names)


def test_the_code_makes_sources_and_ranks_them():
    ranked = []
    run_code(lambda *given, **named: ranked.append(signature(leepjax.rank).bind(*given, **named).arguments["sources"]))
    own, of_layers = ranked
    assert ([getattr(source, "name", source) for source in own], of_layers) == (["mine", "random"], "random")


@pytest.mark.long
def test_the_rankings_can_be_computed(photos):
    run_code(leepjax.rank)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_have_such_options(command):
    program, *arguments = shlex.split(command, comments=True)
    assert program == "leepjax"
    app.parse_args(arguments, exit_on_error=False, print_error=False)
