"""Frames of speech for a network, with the phone that each belongs to.

A recording becomes one vector every 10 ms: the logarithm of the energy in 24 bands evenly spaced
in mel (Davis and Mermelstein 1980). Each speaker's bands are brought to mean zero and variance one,
which takes away part of what tells voices apart. A network sees a frame with its neighbours, since
a sound is known by how it changes.

`draw_speech` lets many speakers say many things, `split_speakers` sets whole speakers aside.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike

from hblib._checks import Randomness, as_array, generator, number, whole
from hblib.worlds import _formants as formants
from hblib.worlds._formants import FRAME_MS, SAMPLE_RATE, Speaker, Utterance

N_BANDS = 24
_WINDOW = 400  # samples, 25 ms
_N_FFT = 512


@dataclass(frozen=True)
class Speech:
    """Labelled frames, one after the other, utterance by utterance.

    Attributes
    ----------
    frames : numpy.ndarray, shape (n_frames, (2 * context + 1) * N_BANDS)
        float32: what a network sees. The neighbours come in the order of time, the frame itself
        in the middle.
    bands : numpy.ndarray, shape (n_frames, N_BANDS)
        float32: the frame alone.
    labels : numpy.ndarray, shape (n_frames,)
        Which of `phones`.
    utterance, speaker : numpy.ndarray, shape (n_frames,)
        Index into `utterances` and `speakers`.
    times : numpy.ndarray, shape (n_frames,)
        Middle of the frame, in ms from the start of its utterance.
    phones : tuple of str
        Names of the classes.
    utterances : tuple of Utterance
        What was said.
    speakers : tuple of Speaker
        Who said it.
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
    utterances: tuple[Utterance, ...]
    speakers: tuple[Speaker, ...]
    mean: np.ndarray
    std: np.ndarray


def draw_speech(
    n_speakers: int = 24,
    n_utterances: int = 4,
    *,
    rng: Randomness,
    noise: float = 0.03,
    context: int = 5,
) -> Speech:
    """Let speakers talk, and cut what they say into frames.

    Parameters
    ----------
    n_speakers : int, optional
        How many; men, women and children in turn.
    n_utterances : int, optional
        Of each speaker: two words, 1.1 s on average.
    rng : int, sequence of int, numpy.random.Generator or None
        Source of randomness.
    noise : float, optional
        Amplitude of white noise relative to a vowel.
    context : int, optional
        Neighbours seen on each side.

    Returns
    -------
    Speech

    Examples
    --------
    >>> speech = draw_speech(n_speakers=2, n_utterances=1, rng=0)
    >>> speech.frames.shape[1], speech.phones[speech.labels[0]]
    (264, 'sil')
    """
    n_speakers, n_utterances = whole("n_speakers", n_speakers), whole("n_utterances", n_utterances)
    noise, context = number("noise", noise, least=0), whole("context", context, least=0)
    rng = generator(rng)
    speakers = formants.draw_speakers(n_speakers, rng)
    who = np.repeat(np.arange(n_speakers), n_utterances)
    utterances = [
        formants.synthesise(formants.draw_phones(rng), speakers[i], rng, noise=noise) for i in who
    ]
    lengths = [len(said.labels) for said in utterances]
    utterance = np.repeat(np.arange(len(utterances)), lengths)
    speaker = who[utterance]
    raw = np.concatenate([log_mel(said.waveform) for said in utterances])
    own = [raw[speaker == i] for i in range(n_speakers)]
    mean = np.array([rows.mean(axis=0) for rows in own])
    std = np.array([rows.std(axis=0) for rows in own])
    bands = ((raw - mean[speaker]) / std[speaker]).astype(np.float32)
    return Speech(
        frames=stack_frames(bands, utterance, context),
        bands=bands,
        labels=np.concatenate([said.labels for said in utterances]),
        utterance=utterance,
        speaker=speaker,
        times=np.concatenate([said.times for said in utterances]),
        phones=formants.PHONE_NAMES,
        utterances=tuple(utterances),
        speakers=tuple(speakers),
        mean=mean,
        std=std,
    )


def split_speakers(speech: Speech, n_test: int, rng: Randomness) -> tuple[Speech, Speech]:
    """Set some speakers aside.

    Parameters
    ----------
    speech : Speech
        What is to be split.
    n_test : int
        Speakers of the second part, drawn at random.
    rng : int, sequence of int, numpy.random.Generator or None
        Source of randomness.

    Returns
    -------
    train, test : Speech
        Utterances and speakers keep their numbers.

    Examples
    --------
    >>> speech = draw_speech(n_speakers=3, n_utterances=1, rng=0)
    >>> train, test = split_speakers(speech, n_test=1, rng=0)
    >>> set(train.speaker) & set(test.speaker)
    set()
    """
    present = np.unique(speech.speaker)
    n_test = whole("n_test", n_test)
    if n_test >= len(present):
        raise ValueError(
            f"n_test must leave a speaker to train on: below {len(present)}, got {n_test}"
        )
    chosen = generator(rng).choice(present, n_test, replace=False)
    test = np.isin(speech.speaker, chosen)
    return _rows(speech, ~test), _rows(speech, test)


def _rows(speech: Speech, keep: np.ndarray) -> Speech:
    fields = ("frames", "bands", "labels", "utterance", "speaker", "times")
    return replace(speech, **{name: getattr(speech, name)[keep] for name in fields})


def speech_features(
    utterance: Utterance, mean: ArrayLike, std: ArrayLike, context: int = 5
) -> np.ndarray:
    """Frames of one utterance as `draw_speech` makes them, for words of your own choice.

    Parameters
    ----------
    utterance : Utterance
        What was said.
    mean, std : array_like, shape (N_BANDS,)
        Of the speaker: a row of ``speech.mean`` and of ``speech.std``.
    context : int, optional
        Neighbours seen on each side.

    Returns
    -------
    numpy.ndarray of float32, shape (n_frames, (2 * context + 1) * N_BANDS)

    Examples
    --------
    >>> speech = draw_speech(n_speakers=2, n_utterances=1, rng=0)
    >>> frames = speech_features(speech.utterances[1], speech.mean[1], speech.std[1])
    >>> bool(np.allclose(frames, speech.frames[speech.utterance == 1], atol=1e-5))
    True
    """
    context = whole("context", context, least=0)
    mean, std = as_array("mean", mean, ndim=1), as_array("std", std, ndim=1)
    if len(mean) != N_BANDS or len(std) != N_BANDS:
        raise ValueError(f"mean and std must have {N_BANDS} bands, got {len(mean)} and {len(std)}")
    if std.min() <= 0:
        raise ValueError("std must be above 0 in every band")
    bands = ((log_mel(utterance.waveform) - mean) / std).astype(np.float32)
    return stack_frames(bands, np.zeros(len(bands), dtype=int), context)


def log_mel(waveform: ArrayLike) -> np.ndarray:
    """Logarithm of the energy in bands of a recording, every 10 ms.

    Parameters
    ----------
    waveform : array_like, shape (n_samples,)
        At 16 kHz, a whole number of frames of 160 samples.

    Returns
    -------
    numpy.ndarray, shape (n_samples / 160, N_BANDS)
        Natural logarithm. Windows of 25 ms are centred on the frames.

    Examples
    --------
    >>> log_mel(np.sin(np.arange(1600))).shape
    (10, 24)
    """
    from scipy.signal.windows import hamming

    hop = SAMPLE_RATE * FRAME_MS // 1000
    waveform = as_array("waveform", waveform).astype(float)
    if waveform.ndim != 1 or len(waveform) % hop:
        raise ValueError(
            f"waveform must be of shape (n,) with n a multiple of {hop}, got {waveform.shape}"
        )
    # Emphasis of the treble makes up for the fall of the voice towards high frequencies.
    emphasised = np.append(waveform[0], waveform[1:] - 0.97 * waveform[:-1])
    padded = np.pad(emphasised, (_WINDOW - hop) // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::hop]
    spectra = scipy.fft.rfft(windows * hamming(_WINDOW), _N_FFT)
    return np.log(np.abs(spectra) ** 2 @ mel_filterbank().T + 1e-6)


@cache
def mel_filterbank() -> np.ndarray:
    """Triangles evenly spaced in mel, after Davis and Mermelstein (1980).

    Returns
    -------
    numpy.ndarray, shape (N_BANDS, 257)
        Weight of each frequency of the Fourier transform in each band. A triangle begins and
        ends at the peaks of its neighbours.

    References
    ----------
    S. B. Davis and P. Mermelstein (1980), Comparison of parametric representations for
    monosyllabic word recognition in continuously spoken sentences, IEEE Transactions on Acoustics,
    Speech, and Signal Processing 28, doi 10.1109/TASSP.1980.1163420.

    Examples
    --------
    >>> mel_filterbank().shape
    (24, 257)
    """
    top = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, N_BANDS + 2) / 2595) - 1)
    frequencies = np.arange(_N_FFT // 2 + 1) * SAMPLE_RATE / _N_FFT
    left, peak, right = (edges[i : i + N_BANDS, None] for i in range(3))
    rising = (frequencies - left) / (peak - left)
    falling = (right - frequencies) / (right - peak)
    return np.clip(np.minimum(rising, falling), 0, None)


def stack_frames(frames: ArrayLike, utterance: ArrayLike, context: int) -> np.ndarray:
    """Put each frame between its neighbours of the same utterance.

    Parameters
    ----------
    frames : array_like, shape (n_frames, n_features)
        What is stacked, in the order of time.
    utterance : array_like of int, shape (n_frames,)
        Which utterance a frame belongs to; frames of one stand together.
    context : int
        Neighbours on each side. Beyond the ends, the first and the last frame are repeated.

    Returns
    -------
    numpy.ndarray, shape (n_frames, (2 * context + 1) * n_features)

    Examples
    --------
    >>> stack_frames([[1], [2], [3]], utterance=[0, 0, 1], context=1)
    array([[1., 1., 2.],
           [1., 2., 2.],
           [3., 3., 3.]])
    """
    context = whole("context", context, least=0)
    frames, utterance = as_array("frames", frames, ndim=2), np.asarray(utterance)
    if utterance.dtype.kind not in "iu" or utterance.shape != frames.shape[:1]:
        raise ValueError(
            f"utterance must hold whole numbers, one for each of the {len(frames)} frames, got "
            f"{utterance.dtype} of shape {utterance.shape}"
        )
    starts = np.flatnonzero(np.append(True, utterance[1:] != utterance[:-1]))
    lengths = np.diff(np.append(starts, len(utterance)))
    first = np.repeat(starts, lengths)[:, None]
    last = np.repeat(starts + lengths - 1, lengths)[:, None]
    near = np.arange(len(frames))[:, None] + np.arange(-context, context + 1)
    return frames[np.clip(near, first, last)].reshape(len(frames), -1)
