"""Compiles the passes when leepjax is built, if there is a C++ compiler; without one leepjax does without them."""

import importlib.util
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Sums may be reordered, so that they use vectors; NaN and infinity keep their meaning.
_FLAGS = ["-std=c++17", "-O3", "-fopenmp-simd", "-fno-math-errno"]
_FLAGS += ["-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math"]
_FLAGS += ["-fPIC", "-shared", "-w"]  # the warnings are those of XLA's headers


_LIBRARY = "leepjax/kernels/native/passes.cpu.so"


class CustomBuildHook(BuildHookInterface):
    """Hatch calls `initialize` before it builds a wheel, which an editable installation is, too.

    The library is left in the source tree, so that it is there for what runs in a clone, as tests do.
    """

    def initialize(self, version, build_data):
        library = Path(self.root, _LIBRARY)
        reason = _compile(library.with_name("handlers.cc"), library)
        if reason:
            self.app.display_warning(f"leepjax is built without its C++ passes, and uses JAX's loops: {reason}")
            return
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
        build_data["artifacts"].append(_LIBRARY)


def _compile(source: Path, library: Path) -> str | None:
    """Why there is no library, if there is none."""
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    jaxlib = importlib.util.find_spec("jaxlib")
    if compiler is None:
        return "no C++ compiler was found."
    if jaxlib is None or jaxlib.origin is None:
        return "jaxlib, which has the headers, isn't installed."
    unfinished = library.with_name(f"{library.name}.{os.getpid()}")
    include = Path(jaxlib.origin).with_name("include")
    try:
        done = subprocess.run(
            [*compiler.split(), *_FLAGS, f"-I{include}", str(source), "-o", str(unfinished)],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            return next((line for line in done.stderr.splitlines() if "error" in line), "the compiler failed.")
        unfinished.replace(library)  # another process may be reading the library
    except OSError as error:
        return str(error)
    return None
