"""Read a pickle as data: no name in it is imported, and nothing in it is called.

``pickletools`` decodes the opcodes, and the machine below builds dicts, lists, tuples, numbers and text from them. The
name of a function or class becomes a `Global`, a call of it a `Call`. Memory and time are bounded by the number of
opcodes. An operation that walks a nested value, such as hashing a tuple, could take exponential time if the pickle
shares parts, so dicts have only text and small integers as keys; entries with other keys are left out.
"""

import pickletools
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from leepjax.models.files.content import ContentError

MOST_OPCODES = 2_000_000
"""About ten times the number in a large checkpoint with optimizer state."""


@dataclass(slots=True, eq=False, repr=False)
class Global:
    """The name of a function or class: ``module.name``."""

    name: str


@dataclass(slots=True, eq=False, repr=False)
class Call:
    """A call in the pickle, with the entries that the pickle sets in its result."""

    function: str
    arguments: tuple
    entries: dict[str | int, Any] = field(default_factory=dict)


@dataclass(slots=True, eq=False, repr=False)
class Reference:
    """An object stored outside the pickle, by its persistent identifier."""

    identifier: Any


@dataclass(slots=True, eq=False, repr=False)
class Pickle:
    """The value of a pickle, and all references in it."""

    value: Any
    references: list[Reference]


def read_pickle(stream: BinaryIO) -> Pickle:
    """Read the pickle at the stream's position, and move the position behind it.

    Raises:
        ContentError: for an opcode that doesn't occur in weights files, or for too many opcodes.
        Exception: any exception of ``pickletools`` and of the stack, for a corrupt pickle.
    """
    machine = _Machine()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if count == MOST_OPCODES:
            raise ContentError(f"a pickle of more than {MOST_OPCODES:,} operations")
        if opcode.name == "STOP":
            break
        machine.step(opcode.name, argument)
    return Pickle(machine.stack[-1], machine.references)


class _Machine:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        """The stacks below the marks."""
        self.memo: dict[int, Any] = {}
        self.references: list[Reference] = []

    def step(self, name: str, argument: Any) -> None:
        if name in _LITERALS:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _PUTS:
            self.memo[len(self.memo) if argument is None else argument] = self.stack[-1]
        elif name in _GETS:
            self.stack.append(self.memo[argument])
        elif name in _TUPLES:
            items = [self.stack.pop() for _ in range(_TUPLES[name])]
            self.stack.append(tuple(reversed(items)))
        elif name in _EMPTY:
            self.stack.append(_EMPTY[name]())
        elif name not in _NOTHING:
            method = getattr(self, f"_{name.lower()}", None)
            if method is None:
                raise ContentError(f"the operation {name} in a pickle")
            method(argument)

    def _mark(self, _: None) -> None:
        self.below.append(self.stack)
        self.stack = []

    def _since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.below.pop()
        return items

    def _pop(self, _: None) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self._since_mark()

    def _pop_mark(self, _: None) -> None:
        self._since_mark()

    def _dup(self, _: None) -> None:
        self.stack.append(self.stack[-1])

    def _tuple(self, _: None) -> None:
        items = self._since_mark()
        self.stack.append(tuple(items))

    def _list(self, _: None) -> None:
        items = self._since_mark()
        self.stack.append(items)

    def _append(self, _: None) -> None:
        item = self.stack.pop()
        _extend(self.stack[-1], [item])

    def _appends(self, _: None) -> None:
        items = self._since_mark()
        _extend(self.stack[-1], items)

    def _dict(self, _: None) -> None:
        items = self._since_mark()
        self.stack.append({})
        _set(self.stack[-1], items)

    def _setitem(self, _: None) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        _set(self.stack[-1], [key, value])

    def _setitems(self, _: None) -> None:
        items = self._since_mark()
        _set(self.stack[-1], items)

    def _additems(self, _: None) -> None:
        self._since_mark()

    def _frozenset(self, _: None) -> None:
        self._since_mark()
        self.stack.append(Call("frozenset", ()))

    def _global(self, argument: str) -> None:
        self.stack.append(Global(argument.replace(" ", ".")))

    def _stack_global(self, _: None) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise ContentError("a name in a pickle that isn't text")
        self.stack.append(Global(f"{module}.{name}"))

    def _reduce(self, _: None) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self.stack.append(_call(function, arguments))

    _newobj = _reduce

    def _newobj_ex(self, _: None) -> None:
        self.stack.pop()
        self._reduce(None)

    def _inst(self, argument: str) -> None:
        arguments = self._since_mark()
        self.stack.append(_call(Global(argument.replace(" ", ".")), tuple(arguments)))

    def _obj(self, _: None) -> None:
        function, *arguments = self._since_mark()
        self.stack.append(_call(function, tuple(arguments)))

    def _build(self, _: None) -> None:
        self.stack.pop()  # attributes of an object, dropped because tensors are entries of dicts

    def _binpersid(self, _: None) -> None:
        self._refer(self.stack.pop())

    def _refer(self, identifier: Any) -> None:
        self.references.append(Reference(identifier))
        self.stack.append(self.references[-1])


def _call(function: Any, arguments: Any) -> Any:
    if not isinstance(function, Global) or not isinstance(arguments, tuple):
        raise ContentError("a pickle that calls something without a name")
    if function.name in _DICTS:
        made: dict[str | int, Any] = {}
        pairs = arguments[0] if arguments and isinstance(arguments[0], list) else []  # as Python 2 wrote them
        for pair in pairs:
            if isinstance(pair, list | tuple) and len(pair) == 2:
                _set(made, list(pair))
        return made
    if function.name in _RECONSTRUCTORS and arguments and isinstance(arguments[0], Global):
        function = arguments[0]
    return Call(function.name, arguments)


def _set(target: Any, items: list[Any]) -> None:
    entries = target.entries if isinstance(target, Call) else target
    if not isinstance(entries, dict):
        raise ContentError("a pickle that sets entries of something else than a dict")
    for key, value in zip(items[::2], items[1::2], strict=True):
        if type(key) is str or (type(key) is int and abs(key) < 1 << 63):
            entries[key] = value


def _extend(target: Any, items: list[Any]) -> None:
    if isinstance(target, list):
        target.extend(items)
    elif not isinstance(target, Call):
        raise ContentError("a pickle that appends to something else than a list")


_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_PUTS = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_GETS = {"GET", "BINGET", "LONG_BINGET"}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_EMPTY = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": lambda: Call("set", ())}
_NOTHING = {"PROTO", "FRAME"}
_DICTS = {"collections.OrderedDict", "collections.defaultdict", "builtins.dict", "__builtin__.dict"}
_RECONSTRUCTORS = {"copyreg._reconstructor", "copy_reg._reconstructor", "copyreg.__newobj__", "copy_reg.__newobj__"}
