"""Write text_outputs.npz: what transformers' networks of texts compute in float64 from `random_state`.

    pip install torch transformers
    python tests/recorded/make_text_outputs.py

Tests need neither: they make the same state with NumPy and compare its hash with the recorded one.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers

sys.path.insert(0, str(Path(__file__).parents[1]))
from recorded.random_state import digest, random_state
from recorded.text_cases import CASES, Case, texts


def outputs(case: Case) -> tuple[list[np.ndarray], np.ndarray | None, dict[str, np.ndarray]]:
    """The embeddings and the states after each block, the logits of a classifier, and the state dict."""
    fields = {name: value for name, value in case.fields.items() if name != "model_type"}
    kind = getattr(transformers, case.kind)
    model = kind(kind.config_class(**fields)).eval()
    shapes = {name: tuple(value.shape) for name, value in model.named_parameters()}
    state = random_state(shapes)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()}, strict=False)
    ids, types, mask = map(torch.from_numpy, texts())
    inputs = {"input_ids": ids.long(), "attention_mask": mask.long()}
    if fields.get("type_vocab_size", 2) > 1 and "distil" not in case.kind.lower() and "Modern" not in case.kind:
        inputs["token_type_ids"] = types.long()
    with torch.inference_mode():
        found = model.double()(**inputs, output_hidden_states=True)
    logits = found.logits.numpy() if "logits" in found else None
    return [each.numpy() for each in found.hidden_states], logits, state


def main() -> None:
    """Record all cases."""
    arrays, digests, names = {}, {}, {}
    for name, case in CASES.items():
        states, logits, state = outputs(case)
        arrays |= {f"{name}.{index}": np.float32(each) for index, each in enumerate(states)}
        if logits is not None:
            arrays[f"{name}.logits"] = np.float32(logits)
        digests[name] = digest(state)
        names[name] = {each: value.shape for each, value in state.items()}
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    facts = {"digests": digests, "shapes": names, "versions": versions}
    np.savez_compressed(Path(__file__).with_name("text_outputs.npz"), facts=np.array(json.dumps(facts)), **arrays)


if __name__ == "__main__":
    main()
