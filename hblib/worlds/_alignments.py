"""Recorded speech with its alignment: sound files beside text files that say what sounds when.

An alignment is either Praat's TextGrid, as forced aligners write it (the alignments of LibriSpeech
are such), or TIMIT's .PHN, lines of "first sample, last sample, phone".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hblib._checks import whole
from hblib.worlds._formants import FRAME_MS, SAMPLE_RATE
from hblib.worlds._speech import log_mel, stack_frames

_SILENT = {"", "sil", "sp", "spn", "h#", "pau", "epi"}


@dataclass(frozen=True)
class AlignedSpeech:
    """Labelled frames of recordings; `split_speakers` sets speakers aside.

    Attributes
    ----------
    frames : numpy.ndarray, shape (n_frames, (2 * context + 1) * N_BANDS)
        float32: what a network sees, as in `Speech`.
    bands : numpy.ndarray, shape (n_frames, N_BANDS)
        float32: the frame alone, each speaker's bands at mean zero and variance one.
    labels : numpy.ndarray, shape (n_frames,)
        Which of `phones`.
    utterance, speaker : numpy.ndarray, shape (n_frames,)
        Index into `utterances` and `speakers`.
    times : numpy.ndarray, shape (n_frames,)
        Middle of the frame, in ms from the start of its recording.
    phones : tuple of str
        Names of the classes, silence first, then in the order of the alphabet.
    utterances : tuple of str
        Names of the sound files within the folder.
    speakers : tuple of str
        Names of the folders that hold them.
    mean, std : numpy.ndarray, shape (n_speakers, N_BANDS)
        Of each speaker's bands before they were standardised.
    """

    frames: np.ndarray
    bands: np.ndarray
    labels: np.ndarray
    utterance: np.ndarray
    speaker: np.ndarray
    times: np.ndarray
    phones: tuple[str, ...]
    utterances: tuple[str, ...]
    speakers: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray


def load_aligned_speech(
    path: str | Path, *, context: int = 5, merge: Mapping[str, str] | None = None
) -> AlignedSpeech:
    """Read recordings and their alignments from a folder, and cut them into frames.

    Parameters
    ----------
    path : path
        Folder with a folder for each speaker, at any depth. Each recording, ``name.wav`` at 16 kHz
        with one channel, has ``name.TextGrid`` (with a tier "phones") or ``name.PHN`` beside it.
    context : int, optional
        Neighbours seen on each side.
    merge : mapping of str to str, optional
        Other names for phones, to bring several under one. Stress marks of English vowels ("AH0")
        are dropped first, and every sort of silence is called "sil".

    Returns
    -------
    AlignedSpeech
        Frames that the alignment leaves out count as silence.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If it holds no recording, or a file is not of these forms.

    Examples
    --------
    >>> load_aligned_speech("LibriSpeech/dev-clean")                        # doctest: +SKIP
    """
    path, context = Path(path), whole("context", context, least=0)
    if not path.is_dir():
        raise FileNotFoundError(f"path must be a folder of recordings, there is none at {path}")
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() == ".wav")
    if not files:
        raise ValueError(f"path must hold recordings (.wav), there are none in {path}")
    merge = dict(merge or {})
    raw, said = [], []
    for file in files:
        bands = log_mel(_read(file))
        raw.append(bands)
        said.append(_label(_alignment(file), len(bands), merge))
    phones = ("sil", *sorted({str(name) for names in said for name in names} - {"sil"}))
    number = {name: i for i, name in enumerate(phones)}
    speakers = tuple(sorted({file.parent.relative_to(path).as_posix() for file in files}))
    lengths = [len(bands) for bands in raw]
    who = np.array([speakers.index(file.parent.relative_to(path).as_posix()) for file in files])
    utterance = np.repeat(np.arange(len(files)), lengths)
    speaker = np.repeat(who, lengths)
    raw = np.concatenate(raw)
    own = [raw[speaker == i] for i in range(len(speakers))]
    mean = np.array([rows.mean(axis=0) for rows in own])
    # A band that never changes, as in a recording of silence, stays at 0.
    std = np.maximum([rows.std(axis=0) for rows in own], 1e-6)
    bands = ((raw - mean[speaker]) / std[speaker]).astype(np.float32)
    return AlignedSpeech(
        frames=stack_frames(bands, utterance, context),
        bands=bands,
        labels=np.array([number[name] for names in said for name in names]),
        utterance=utterance,
        speaker=speaker,
        times=np.concatenate([(np.arange(n) + 0.5) * FRAME_MS for n in lengths]),
        phones=phones,
        utterances=tuple(file.relative_to(path).as_posix() for file in files),
        speakers=speakers,
        mean=mean,
        std=std,
    )


def _read(file):
    """Return the waveform at a root mean square of 1, cut to whole frames."""
    from scipy.io import wavfile

    try:
        rate, sound = wavfile.read(file)
    except ValueError as error:
        raise ValueError(f"{file} must be a WAV file that can be read: {error}") from None
    if rate != SAMPLE_RATE or sound.ndim != 1:
        raise ValueError(
            f"{file} must have one channel at {SAMPLE_RATE} Hz, got {rate} Hz and the shape "
            f"{sound.shape}"
        )
    hop = SAMPLE_RATE * FRAME_MS // 1000
    sound = sound[: len(sound) // hop * hop].astype(float)
    if len(sound) < 2 * hop:
        raise ValueError(f"{file} must last at least two frames, {2 * FRAME_MS} ms")
    return sound / max(np.sqrt((sound**2).mean()), 1e-12)


def _alignment(file):
    """Return (start, end, phone) of a recording's phones, in ms."""
    beside = {other.suffix.lower(): other for other in sorted(file.parent.glob(f"{file.stem}.*"))}
    if ".textgrid" in beside:
        return _textgrid(beside[".textgrid"])
    if ".phn" in beside:
        return _phn(beside[".phn"])
    raise ValueError(f"{file} must have an alignment beside it, {file.stem}.TextGrid or .PHN")


def _textgrid(file):
    text = file.read_text(encoding="utf-8")
    tiers = re.split(r"item\s*\[\d+\]\s*:", text)[1:]
    for tier in tiers:
        if re.search(r'name\s*=\s*"phones"', tier):
            found = re.findall(
                r'xmin\s*=\s*([\d.]+)\s*xmax\s*=\s*([\d.]+)\s*text\s*=\s*"([^"]*)"', tier
            )
            return [(1000 * float(start), 1000 * float(end), name) for start, end, name in found]
    raise ValueError(f'{file} must be a long TextGrid with a tier "phones"')


def _phn(file):
    rows = [line.split() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not all(len(row) == 3 and row[0].isdigit() and row[1].isdigit() for row in rows):
        raise ValueError(f'{file} must have lines of "first sample, last sample, phone"')
    ms = 1000 / SAMPLE_RATE
    return [(ms * int(start), ms * int(end), name) for start, end, name in rows]


def _label(alignment, n_frames, merge):
    """Name the phone that sounds in the middle of each frame."""
    middle = (np.arange(n_frames) + 0.5) * FRAME_MS
    labels = np.full(n_frames, "sil", dtype=object)
    for start, end, name in alignment:
        name = re.sub(r"(?<=[A-Z])[012]$", "", name.strip())
        name = "sil" if name.lower() in _SILENT else name
        labels[(start <= middle) & (middle < end)] = merge.get(name, name)
    return labels
