"""Text to token numbers and back, with the package tokenizers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_MISSING = "text is cut into tokens by the package tokenizers: pip install 'hblib[lm]'"
_CONTROL = 3  # kind of a token in a GGUF file that no text stands for


class Tokenizer:
    """Cuts text into tokens; made by `load`.

    Parameters
    ----------
    inner : tokenizers.Tokenizer

    Examples
    --------
    >>> Tokenizer(None)
    Tokenizer()
    """

    def __init__(self, inner: Any):
        self.inner = inner

    def __repr__(self) -> str:
        return f"Tokenizer({'' if self.inner is None else self.inner.get_vocab_size()})"

    def encode(self, text: str) -> list[int]:
        """Return the numbers of the tokens of a text, with nothing put before or after."""
        if not isinstance(text, str):
            raise ValueError(f"text must be a string, got {type(text).__name__}")
        return self.inner.encode(text, add_special_tokens=False).ids

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of token numbers, control tokens included."""
        numbers = [int(token) for token in tokens]
        return self.inner.decode(numbers, skip_special_tokens=False)


def from_file(path: Path) -> Tokenizer:
    """Read a ``tokenizer.json``."""
    try:
        import tokenizers
    except ImportError:
        raise ImportError(_MISSING) from None
    return Tokenizer(tokenizers.Tokenizer.from_file(str(path)))


def from_gguf(get: Callable[..., Any]) -> Tokenizer | None:
    """Make the byte-level tokenizer that a GGUF file describes; None where it is another kind.

    Parameters
    ----------
    get : callable
        Gives the value of a key of the file, or None.
    """
    kind, split = get("tokenizer.ggml.model"), get("tokenizer.ggml.pre", "gpt-2")
    if kind != "gpt2" or split not in ("gpt-2", "default", "smollm"):
        return None
    try:
        from tokenizers import AddedToken, decoders, models, pre_tokenizers
        from tokenizers import Tokenizer as Inner
    except ImportError:
        raise ImportError(_MISSING) from None
    tokens, kinds = get("tokenizer.ggml.tokens"), get("tokenizer.ggml.token_type", ())
    merges = [tuple(line.split(" ")) for line in get("tokenizer.ggml.merges", ())]
    inner = Inner(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    steps = [pre_tokenizers.Digits(individual_digits=True)] if split == "smollm" else []
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False))
    inner.pre_tokenizer = pre_tokenizers.Sequence(steps)
    inner.decoder = decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, kinds) if kind == _CONTROL]
    inner.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in control])
    return Tokenizer(inner)
