"""Rank two encoders of texts for questions to a bank, choose one, and predict with the head that was trained on it."""

import json
import tempfile
from pathlib import Path

import numpy as np
import safetensors.numpy
import tokenizers

import leepjax as lj

INTENTS = {
    "card": ["card", "plastic", "visa", "debit", "chip"],
    "transfer": ["transfer", "wire", "send", "payment", "deposit"],
    "rate": ["rate", "exchange", "currency", "dollars", "euros"],
}
FRAMES = [
    "my {} and {} please",
    "help with the {} or {}",
    "is a {} {} free",
    "where is this {} from {}",
    "the {} {} failed",
]


def write_encoder(folder: Path, vectors: np.ndarray, words: list[str]) -> str:
    """Static embeddings in model2vec's format: a vector for each word, and the tokenizer that finds the words."""
    folder.mkdir()
    model = tokenizers.models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"model_type": "model2vec", "hidden_dim": vectors.shape[1]}))
    safetensors.numpy.save_file({"embeddings": vectors.astype(np.float32)}, str(folder / "model.safetensors"))
    return f"local-dir:{folder}"


def co_occurrences(texts: list[str], words: list[str]) -> np.ndarray:
    """Vectors of words [words 8] such that words that occur in the same texts are similar; no label is used."""
    together = np.zeros((len(words), len(words)))
    for text in texts:
        numbers = [words.index(word) for word in text.split()]
        together[np.ix_(numbers, numbers)] += 1
    return np.linalg.svd(np.log1p(together))[0][:, :8]


def main() -> None:
    random = np.random.default_rng(0)
    texts, labels = [], []
    for intent, nouns in INTENTS.items():
        for _ in range(200):
            texts.append(random.choice(FRAMES).format(*random.choice(nouns, 2)))
            labels.append(intent)
    words = ["[UNK]", *sorted({word for text in texts for word in text.split()})]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = [
            write_encoder(folder / "co-occurrences", co_occurrences(texts, words), words),
            write_encoder(folder / "random-vectors", random.normal(size=(len(words), 8)), words),
        ]
        few = random.permutation(len(texts))[:60]  # as many as somebody has labelled
        target = ([texts[i] for i in few], [labels[i] for i in few])
        print(lj.rank(target, sources, measures=["logme"], verify="ridge", resamples=0))

        choice = lj.choose(target, sources, out=folder / "choice")
        print(choice)
        print(*lj.predict(["send a wire to my bank", "exchange euros"], folder / "choice").rows(), sep="\n")


if __name__ == "__main__":
    main()
