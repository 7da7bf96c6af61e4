"""Files of word vectors: the text and binary formats of word2vec, and the text format of GloVe.

word2vec's files begin with a line that has the number of words and the dimension, GloVe's do not.
A text line is a word and its numbers. Words may have spaces in them, so a line is split from the
right, at the dimension of the header or, without one, at the commonest length of a line.
"""

from __future__ import annotations

import array
import gzip
import itertools
import warnings
from collections import Counter
from collections.abc import Iterator
from os import PathLike, fspath
from typing import BinaryIO

import numpy as np

_PEEK = 1000  # lines that are read ahead to find the dimension of a file without a header


def read_vectors(
    path: str | PathLike, dtype: str = "float64", binary: bool = False, n_words: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Read words (V,) and vectors (V, d); ValueError says what is wrong with the file."""
    with _open(path) as file:
        words, vectors = (_read_binary if binary else _read_text)(file, n_words)
    if not np.isfinite(vectors).all():
        row, column = np.argwhere(~np.isfinite(vectors))[0]
        value = vectors[row, column]
        raise ValueError(f"number {column + 1} of the word {words[row]!r} is {value}")
    vectors = vectors.astype(dtype)
    first = {}
    for i, word in enumerate(words):
        first.setdefault(word, i)
    if len(first) < len(words):
        warnings.warn(
            f"{fspath(path)} has {len(words) - len(first):,} words more than once; the first "
            "vector of each is taken",
            stacklevel=3,
        )
        vectors = vectors[list(first.values())]
    return np.array(list(first)), vectors


def write_vectors(
    path: str | PathLike,
    words: np.ndarray,
    vectors: np.ndarray,
    binary: bool = False,
    header: bool = True,
) -> None:
    """Write words and vectors; nothing is written if one of them could not be read back."""
    for word in words:
        if not word or "\n" in word or "\r" in word:
            raise ValueError(f"the word {str(word)!r} is empty or has a line break in it")
        if binary and " " in word:
            raise ValueError(f"the word {str(word)!r} has a space, which binary files cannot hold")
        if not header and " " in word and _is_number(word.rsplit(" ", 1)[1]):
            raise ValueError(f"the word {str(word)!r} ends like a number: write a header")
    if not np.isfinite(vectors).all():
        row = np.flatnonzero(~np.isfinite(vectors).all(1))[0]
        raise ValueError(f"the vector of the word {str(words[row])!r} is not finite")
    if binary and not header:
        raise ValueError("binary files of word vectors always have a header")
    with open(path, "wb") as file:
        if header:
            file.write(f"{vectors.shape[0]} {vectors.shape[1]}\n".encode())
        for word, v in zip(words, vectors):
            if binary:
                numbers = v.astype("<f4").tobytes()
            else:
                numbers = " ".join(map(str, v.tolist())).encode()
            file.write(f"{word} ".encode() + numbers + b"\n")


def _open(path: str | PathLike) -> BinaryIO:
    return gzip.open(path, "rb") if fspath(path).endswith(".gz") else open(path, "rb")


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _header(line: str) -> tuple[int, int] | None:
    """Number of words and dimension, if a line has the form of a header."""
    fields = line.split()
    if len(fields) == 2 and all(field.isascii() and field.isdigit() for field in fields):
        return int(fields[0]), int(fields[1])
    return None


def _read_text(file: BinaryIO, n_words: int | None) -> tuple[list[str], np.ndarray]:
    lines = _text_lines(file)
    ahead = list(itertools.islice(lines, _PEEK))
    if not ahead:
        raise ValueError("it is empty")
    lengths = [line.count(" ") for _, line in ahead]
    header = _header(ahead[0][1])
    if header is not None and (len(ahead) == 1 or lengths[1] >= header[1]):
        expected, dim = header
        ahead = ahead[1:]
    else:
        expected = None
        # The commonest length; the longest of several, so that a doubtful file is refused.
        common = Counter(lengths)
        dim = max(common, key=lambda length: (common[length], length))
    if dim < 1:
        raise ValueError("its lines have no numbers")
    words, numbers = [], array.array("d")
    for at, line in itertools.chain(ahead, lines):
        if len(words) == n_words:
            break
        word, *fields = line.rsplit(" ", dim)
        try:
            numbers.extend(map(float, fields))
        except ValueError:
            raise ValueError(f"line {at} does not end with {dim} numbers") from None
        if len(fields) < dim:
            raise ValueError(f"line {at} has {len(fields)} numbers, the others {dim}")
        if not word:
            raise ValueError(f"line {at} has no word")
        if expected is None and " " in word and _is_number(word.rsplit(" ", 1)[1]):
            raise ValueError(f"line {at} has more than {dim} numbers")
        words.append(word)
    _check_count(expected, len(words), n_words)
    return words, np.frombuffer(numbers).reshape(len(words), dim)


def _text_lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """Lines with their number, without their end and without empty ones."""
    for at, line in enumerate(file, start=1):
        line = line.decode("utf-8-sig" if at == 1 else "utf-8").rstrip(" \t\r\n")
        if line:
            yield at, line


def _read_binary(file: BinaryIO, n_words: int | None) -> tuple[list[str], np.ndarray]:
    first = file.readline(100)
    header = _header(first.decode("ascii", "replace"))
    if header is None:
        raise ValueError("its first line is not the number of words and the dimension")
    expected, dim = header
    n = expected if n_words is None else min(n_words, expected)
    size = 4 * dim
    words, rows = [], []
    for _ in range(n):
        word = bytearray()
        # word2vec.c writes a line break behind every vector, other programs do not.
        while (byte := file.read(1)) not in (b" ", b""):
            word += byte if word or byte != b"\n" else b""
        row = file.read(size)
        if len(row) < size:
            break
        words.append(word.decode())
        rows.append(row)
    _check_count(expected, len(words), n_words)
    if n_words is None and file.read(2).strip(b"\n"):
        raise ValueError(f"it goes on after the {expected:,} words of its first line")
    return words, np.frombuffer(b"".join(rows), "<f4").reshape(len(words), dim)


def _check_count(expected: int | None, found: int, n_words: int | None) -> None:
    enough = n_words is not None and found == n_words
    if expected is not None and found != expected and not enough:
        raise ValueError(f"its first line promises {expected:,} words, it has {found:,}")
    if not found:
        raise ValueError("it has no words")
