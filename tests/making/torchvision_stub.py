"""An empty torchvision for timm, which imports it for transforms that leepjax doesn't use.

The CPU build of PyTorch on PyPI has no torchvision that can be imported beside it.
"""

import enum
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types


class InterpolationMode(enum.Enum):
    """torchvision's, which timm maps to Pillow's."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


class _Nothing(type):
    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return cls


class _Empty(types.ModuleType):
    """A module that has every name; each is a class that has every attribute."""

    __path__ = ()
    __version__ = "0.0"
    InterpolationMode = InterpolationMode

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Nothing(name, (), {})


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] != "torchvision":
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return _Empty(spec.name)

    def exec_module(self, module):
        pass


def install():
    """Put the empty torchvision where imports look last, unless there is another."""
    if importlib.util.find_spec("torchvision") is None:
        sys.meta_path.append(_Finder())
