"""PyTorch modules as sources: PyTorch computes them on their own device, and batches are shared through DLPack."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np

from leepjax.models.bridges.bridged import Bridged, code_of, digest_of, settings_of
from leepjax.models.source import HostNetwork, Source
from leepjax.types import DType, InputError, Outputs

Route = Callable[[Any, Any], tuple[Any, Any]]
"""``route(module, images)``: tensors [n 3 s s] → features [n d] and logits [n z]. It can be pickled."""


@dataclass(frozen=True, eq=False)
class TorchNetwork(HostNetwork):
    """A PyTorch module in evaluation mode, and how its features and logits are found."""

    module: Any
    route: Route
    kind: str = "a PyTorch module"
    reopen: Callable[[], HostNetwork] | None = None
    """Opens the source in another process by its name, so that the weights needn't be sent there."""

    def __reduce__(self):
        return (self.reopen, ()) if self.reopen else (type(self), (self.module, self.route, self.kind))

    @property
    def weight_bytes(self) -> int:
        return sum(tensor.numel() * tensor.element_size() for tensor in self.module.state_dict().values())

    def compute(self, images: jax.Array, dtype: DType) -> Outputs:
        import torch  # pyright: ignore[reportMissingImports]

        module = self.module if dtype == "float32" else self._in_bfloat16
        device, kind = device_and_dtype(module)
        try:
            with torch.inference_mode():
                batch = tensor_of(images).permute(0, 3, 1, 2)  # a view, in the layout that PyTorch calls channels_last
                features, logits = self.route(module, batch.to(device, kind))
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
                raise MemoryError(str(error)) from error
            raise
        return Outputs(array_of(features), array_of(logits))

    @cached_property
    def _in_bfloat16(self) -> Any:
        import torch  # pyright: ignore[reportMissingImports]

        return copy.deepcopy(self.module).to(torch.bfloat16)


def device_and_dtype(module: Any) -> tuple[Any, Any]:
    """The device of a module's parameters, and the dtype of its images."""
    import torch  # pyright: ignore[reportMissingImports]

    floating = [each for each in (*module.parameters(), *module.buffers()) if each.is_floating_point()]
    return (floating[0].device, floating[0].dtype) if floating else (torch.device("cpu"), torch.float32)


def tensor_of(images: jax.Array) -> Any:
    """A tensor that shares the memory of an array on one device; of an array on several, a copy."""
    import torch  # pyright: ignore[reportMissingImports]

    if len(images.devices()) > 1:
        return torch.from_numpy(np.array(images))
    return torch.from_dlpack(jax.block_until_ready(images))


def array_of(tensor: Any) -> np.ndarray:
    """A tensor as a float32 array."""
    return tensor.float().cpu().numpy()


def identity_of(module: Any, route: Route) -> str:
    """The digest of a module's weights, buffers, structure, plain attributes and code, and of its route."""
    modules = [(name, each, settings_of(_attributes(each))) for name, each in module.named_modules()]
    text = f"{module!r} {[(name, settings) for name, _, settings in modules]} {code_of(type(m) for _, m, _ in modules)}"
    tensors = dict(module.named_buffers()) | module.state_dict()
    return digest_of(f"{text} {sorted(tensors)} {route}", (_bits(tensors[name]) for name in sorted(tensors)))


def _attributes(module: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(module).items() if name[0] != "_" and name != "training"}


def _bits(tensor: Any) -> np.ndarray:
    """The bytes of a tensor of any dtype; NumPy has no bfloat16."""
    import torch  # pyright: ignore[reportMissingImports]

    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy()


def default_device() -> Any:
    """The device for a module that leepjax opens: an accelerator, if PyTorch has one."""
    import torch  # pyright: ignore[reportMissingImports]

    return torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")


def reopened(bridged: Bridged, open_source: Callable[[], Source]) -> Any:
    """The network of a source that has a name: another process opens it by this name, and isn't sent the weights."""
    network: Any = bridged.network
    return replace(network, reopen=partial(_reopen, open_source, bridged.weights_hash))


def _reopen(open_source: Callable[[], Source], weights_hash: str) -> Any:
    source = open_source()
    if source.card.weights_hash != weights_hash:
        raise InputError(
            f"{source.name}: expected the weights that were opened, got others in another process; replace no file "
            "while it is in use, or take the serial engine."
        )
    return source.network
