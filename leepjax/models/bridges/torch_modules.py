"""Find the features and logits of a PyTorch module: by timm's methods, or by a hook on its head."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from leepjax.data.preprocessing import Preprocessing
from leepjax.models.bridges.bridged import Bridged, required
from leepjax.models.bridges.heads import (
    AUTO,
    HeadCall,
    check_output,
    check_repeated,
    find_head,
    find_head_of_pair,
    is_head,
    probe_images,
)
from leepjax.models.bridges.libraries import is_instance
from leepjax.models.bridges.timm_modules import describe_timm, is_timm, timm_preprocessing, timm_route
from leepjax.models.bridges.torch_network import Route, TorchNetwork, array_of, device_and_dtype, identity_of
from leepjax.types import InputError


def bridge_torch(module: Any, preprocessing: Preprocessing | None, head: str | None = AUTO) -> Bridged:
    """Describe a PyTorch module in evaluation mode, and find its head.

    Raises:
        InputError: without preprocessing, or when the module takes no images, or its head isn't found.
    """
    described = describe_timm(module) if is_timm(module) else None
    name = described.name if described else type(module).__name__
    if preprocessing is None and described:
        preprocessing = timm_preprocessing(module)
    preprocessing = required(preprocessing, name)
    route, num_classes = find_route(name, module, preprocessing.image_size, head)
    bridged = of_route(name, module, route, num_classes, preprocessing)
    return bridged._replace(licence=described.licence, origin=described.origin) if described else bridged


def of_route(name: str, module: Any, route: Route, num_classes: int, preprocessing: Preprocessing) -> Bridged:
    """A PyTorch module whose features and logits are computed by `route`."""
    num_parameters = sum(each.numel() for each in module.parameters())
    return Bridged(
        name, TorchNetwork(module, route), num_classes, num_parameters, identity_of(module, route), preprocessing
    )


def copied(module: Any) -> Any:
    """A copy of a user's module in evaluation mode, so that training it further doesn't change the source.

    Raises:
        InputError: when it can't be copied.
    """
    try:
        return copy.deepcopy(module).eval()
    except (RuntimeError, TypeError) as error:  # tensors that autograd computed, open files
        raise InputError(f"as_source: expected a module that can be copied, got {error}; load it again.") from error


def find_route(name: str, module: Any, image_size: int | tuple[int, int], head: str | None) -> tuple[Route, int]:
    """How the features and logits of a module in evaluation mode are found, and its number of classes.

    Raises:
        InputError: when the module takes no images, or its head isn't found.
    """
    images = probe_images(image_size)
    output, calls = probed(name, module, images, _recorded)
    again = probed(name, module, images, lambda module, images: output_of(module(images)))
    for first, second in zip(_arrays(output), _arrays(again), strict=True):
        check_repeated(name, first, second)
    if isinstance(output, tuple):
        call = find_head_of_pair(name, calls, _arrays(output), head)
        return (partial(hooked, (call.path,)), call.logits.shape[1]) if call else (paired, output[1].shape[1])
    output = array_of(output)
    if head == AUTO and is_timm(module) and (route := _by_timm(name, module, images, output)):
        return route, output.shape[1] if route is timm_route else 0
    if head is not None and is_instance(module, "torch.jit", "ScriptModule"):
        raise InputError(
            f"as_source: expected a module whose layers can be watched for its head, got {name} of torch.jit; pass the "
            "module that it was made of, or head=None, which takes its output as features."
        )
    paths = find_head(name, calls, output, head)
    return (partial(hooked, paths), output.shape[1]) if paths else (headless, 0)


def _arrays(output: Any) -> list[np.ndarray]:
    return [array_of(each) for each in (output if isinstance(output, tuple) else (output,))]


def probed(name: str, module: Any, images: np.ndarray, route: Callable[[Any, Any], Any]) -> Any:
    """Run a route on the images of a probe.

    Raises:
        InputError: when the module raises an exception.
    """
    import torch  # pyright: ignore[reportMissingImports]

    try:
        with torch.inference_mode():
            return route(module, torch.from_numpy(images).permute(0, 3, 1, 2).to(*device_and_dtype(module)))
    except Exception as error:  # a module may raise any type
        size = images.shape[1]
        raise InputError(
            f"as_source: expected {name} to take images [n 3 {size} {size}], got {type(error).__name__}: "
            f"{str(error).partition(chr(10))[0].rstrip('.')}; check its preprocessing and arguments."
        ) from error


def _by_timm(name: str, module: Any, images: np.ndarray, output: np.ndarray) -> Route | None:
    """Timm's own method for the features, if the module's head then gives its output; otherwise None."""
    if getattr(module, "num_classes", None) == 0:
        check_output(name, output)
        return headless
    try:
        features, logits = map(array_of, probed(name, module, images, timm_route))
    except InputError:  # it has another kind of head, which a hook may find
        return None
    return timm_route if is_head(HeadCall("", features, logits), output) else None


def _recorded(module: Any, images: Any) -> tuple[Any, list[HeadCall]]:
    """The output of a module for a probe, and its linear layers in the order in which they were computed."""
    import torch  # pyright: ignore[reportMissingImports]

    calls: list[HeadCall] = []

    def record(path, layer, inputs, output):
        calls.append(HeadCall(path, array_of(inputs[0]), array_of(output)))

    linear = [(path, each) for path, each in module.named_modules() if isinstance(each, torch.nn.Linear)]
    handles = [each.register_forward_hook(partial(record, path)) for path, each in linear]
    try:
        return output_of(module(images)), calls
    finally:
        for handle in handles:
            handle.remove()


def output_of(returned: Any) -> Any:
    """The tensor [n d] that a module returns, directly or as transformers' ``logits`` or ``pooler_output``; or a pair.

    Raises:
        TypeError: for anything else.
    """
    import torch  # pyright: ignore[reportMissingImports]

    found = (getattr(returned, field, None) for field in ("logits", "pooler_output"))
    output: Any = next((each for each in found if each is not None), returned)
    if _is_pair(output):
        return tuple(output)
    if not torch.is_tensor(output):
        raise TypeError(f"it returned a {type(output).__name__} instead of a tensor")
    return output.flatten(1) if output.ndim == 4 and tuple(output.shape[2:]) == (1, 1) else output


def _is_pair(output: Any) -> bool:
    import torch  # pyright: ignore[reportMissingImports]

    return isinstance(output, tuple | list) and len(output) == 2 and all(map(torch.is_tensor, output))


def paired(module: Any, images: Any) -> tuple[Any, Any]:
    """The route of a module that returns features and logits."""
    features, logits = output_of(module(images))
    return features, logits


def headless(module: Any, images: Any) -> tuple[Any, Any]:
    """The route of a module without a head: no logits."""
    features = output_of(module(images))
    return features, features[:, :0]


def hooked(
    paths: tuple[str, ...], module: Any, images: Any, call: Callable[[Any, Any], Any] | None = None
) -> tuple[Any, Any]:
    """The route through a head: its input and output; for several heads, concatenated inputs and the mean output.

    `call` calls a module whose input isn't images.
    """
    import torch  # pyright: ignore[reportMissingImports]

    seen = {}
    handles = [module.get_submodule(path).register_forward_hook(partial(_see, seen, path)) for path in paths]
    try:
        (call or type(module).__call__)(module, images)
    finally:
        for handle in handles:
            handle.remove()
    features, logits = zip(*(seen[path] for path in paths), strict=True)
    return torch.cat(features, 1), torch.stack(logits).mean(0)


def _see(seen: dict[str, tuple[Any, Any]], path: str, layer: Any, inputs: tuple[Any, ...], output: Any) -> None:
    seen[path] = inputs[0], output
