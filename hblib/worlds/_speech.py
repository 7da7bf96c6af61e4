"""Frames of speech for a network, with the phone that each belongs to.

A recording becomes one vector every 10 ms: the logarithm of the energy in 24 bands evenly spaced
in mel (Davis and Mermelstein 1980). Each speaker's bands are brought to mean zero and variance one,
which takes away part of what tells voices apart. A network sees a frame with its neighbours, since
a sound is known by how it changes.

`draw` has many speakers of `hblib.formants` say many things, `split` sets whole speakers aside.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import scipy.fft
import scipy.signal

from hblib.worlds import _formants as formants
from hblib.worlds._formants import FRAME_MS, SAMPLE_RATE

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
        Middle of the frame, ms from the start of its utterance.
    phones : tuple of str
        Names of the classes.
    utterances : tuple of hblib.formants.Utterance
    speakers : tuple of hblib.formants.Speaker
    mean, std : numpy.ndarray, shape (n_speakers, N_BANDS)
        Of each speaker's bands before they were standardised.
    """

    frames: np.ndarray
    bands: np.ndarray
    labels: np.ndarray
    utterance: np.ndarray
    speaker: np.ndarray
    times: np.ndarray
    phones: tuple
    utterances: tuple
    speakers: tuple
    mean: np.ndarray
    std: np.ndarray


def draw(n_speakers=24, n_utterances=4, *, rng, noise=0.03, context=5):
    """Let speakers talk, and cut what they say into frames.

    Parameters
    ----------
    n_speakers : int, optional
        How many; men, women and children in turn.
    n_utterances : int, optional
        Of each speaker: two words, 1.1 s on average.
    rng : numpy.random.Generator or int
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
    >>> speech = draw(n_speakers=2, n_utterances=1, rng=0)
    >>> speech.frames.shape[1], speech.phones[speech.labels[0]]
    (264, 'sil')
    """
    for name, value in (("n_speakers", n_speakers), ("n_utterances", n_utterances)):
        formants.check_count(name, value)
    _check_context(context)
    formants.check_noise(noise)
    rng = np.random.default_rng(rng)
    speakers = formants.draw_speakers(n_speakers, rng)
    who = np.repeat(np.arange(n_speakers), n_utterances)
    utterances = [
        formants.say(formants.draw_phones(rng), speakers[i], rng, noise=noise) for i in who
    ]
    lengths = [len(utterance.labels) for utterance in utterances]
    utterance = np.repeat(np.arange(len(utterances)), lengths)
    speaker = who[utterance]
    raw = np.concatenate([log_mel(utterance.waveform) for utterance in utterances])
    own = [raw[speaker == i] for i in range(n_speakers)]
    mean = np.array([rows.mean(axis=0) for rows in own])
    std = np.array([rows.std(axis=0) for rows in own])
    bands = ((raw - mean[speaker]) / std[speaker]).astype(np.float32)
    return Speech(
        stack(bands, utterance, context),
        bands,
        np.concatenate([utterance.labels for utterance in utterances]),
        utterance,
        speaker,
        np.concatenate([utterance.times for utterance in utterances]),
        formants.NAMES,
        tuple(utterances),
        tuple(speakers),
        mean,
        std,
    )


def split(speech, n_test, rng):
    """Set some speakers aside.

    Parameters
    ----------
    speech : Speech
    n_test : int
        Speakers of the second part, drawn at random.
    rng : numpy.random.Generator or int
        Source of randomness.

    Returns
    -------
    train, test : Speech
        Utterances and speakers keep their numbers.

    Examples
    --------
    >>> train, test = split(draw(n_speakers=3, n_utterances=1, rng=0), n_test=1, rng=0)
    >>> set(train.speaker) & set(test.speaker)
    set()
    """
    present = np.unique(speech.speaker)
    formants.check_count("n_test", n_test)
    if n_test >= len(present):
        raise ValueError(
            f"n_test must leave a speaker to train on: below {len(present)}, got {n_test}"
        )
    chosen = np.random.default_rng(rng).choice(present, n_test, replace=False)
    test = np.isin(speech.speaker, chosen)
    return _rows(speech, ~test), _rows(speech, test)


def _rows(speech, keep):
    fields = ("frames", "bands", "labels", "utterance", "speaker", "times")
    return replace(speech, **{name: getattr(speech, name)[keep] for name in fields})


def features(utterance, mean, std, context=5):
    """Frames of one utterance as `draw` makes them, for words of one's own choice.

    Parameters
    ----------
    utterance : hblib.formants.Utterance
    mean, std : numpy.ndarray, shape (N_BANDS,)
        Of the speaker: a row of ``speech.mean`` and of ``speech.std``.
    context : int, optional

    Returns
    -------
    numpy.ndarray, shape (n_frames, (2 * context + 1) * N_BANDS)
        float32.
    """
    _check_context(context)
    if not (np.isfinite(std).all() and np.min(std) > 0):
        raise ValueError("std must be finite and above 0 in every band")
    bands = ((log_mel(utterance.waveform) - mean) / std).astype(np.float32)
    return stack(bands, np.zeros(len(bands), dtype=int), context)


def log_mel(waveform):
    """Logarithm of the energy in bands of a recording, every 10 ms.

    Parameters
    ----------
    waveform : numpy.ndarray, shape (n_samples,)
        At 16 kHz, a whole number of frames of 160 samples.

    Returns
    -------
    numpy.ndarray, shape (n_samples / 160, N_BANDS)
        Natural logarithm. Windows of 25 ms are centred on the frames.
    """
    hop = SAMPLE_RATE * FRAME_MS // 1000
    waveform = np.asarray(waveform, dtype=float)
    if waveform.ndim != 1 or not len(waveform) or len(waveform) % hop:
        raise ValueError(
            f"waveform must be of shape (n,) with n a multiple of {hop}, got {waveform.shape}"
        )
    # Emphasis of the treble makes up for the fall of the voice towards high frequencies.
    emphasised = np.append(waveform[0], waveform[1:] - 0.97 * waveform[:-1])
    padded = np.pad(emphasised, (_WINDOW - hop) // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::hop]
    spectra = scipy.fft.rfft(windows * scipy.signal.windows.hamming(_WINDOW), _N_FFT)
    return np.log(np.abs(spectra) ** 2 @ mel_bands().T + 1e-6)


@cache
def mel_bands():
    """Triangles evenly spaced in mel, after Davis and Mermelstein (1980).

    Returns
    -------
    numpy.ndarray, shape (N_BANDS, 257)
        Weight of each frequency of the Fourier transform in each band. A triangle begins and
        ends at the peaks of its neighbours.
    """
    top = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, N_BANDS + 2) / 2595) - 1)
    frequencies = np.arange(_N_FFT // 2 + 1) * SAMPLE_RATE / _N_FFT
    left, peak, right = (edges[i : i + N_BANDS, None] for i in range(3))
    rising = (frequencies - left) / (peak - left)
    falling = (right - frequencies) / (right - peak)
    return np.clip(np.minimum(rising, falling), 0, None)


def stack(frames, utterance, context):
    """Put each frame between its neighbours of the same utterance.

    Parameters
    ----------
    frames : numpy.ndarray, shape (n_frames, n_features)
    utterance : numpy.ndarray, shape (n_frames,)
        Which utterance a frame belongs to; frames of one stand together.
    context : int
        Neighbours on each side. Beyond the ends, the first and the last frame are repeated.

    Returns
    -------
    numpy.ndarray, shape (n_frames, (2 * context + 1) * n_features)

    Examples
    --------
    >>> stack(np.array([[1], [2], [3]]), np.array([0, 0, 1]), context=1)
    array([[1, 1, 2],
           [1, 2, 2],
           [3, 3, 3]])
    """
    _check_context(context)
    frames, utterance = np.asarray(frames), np.asarray(utterance)
    if frames.ndim != 2 or utterance.shape != frames.shape[:1] or not frames.size:
        raise ValueError(
            "frames must have the shape (n_frames, n_features) and utterance (n_frames,), got "
            f"{frames.shape} and {utterance.shape}"
        )
    if utterance.dtype.kind not in "iu":
        raise ValueError(f"utterance must hold integers, got {utterance.dtype}")
    starts = np.flatnonzero(np.diff(utterance, prepend=utterance[0] - 1))
    lengths = np.diff(np.append(starts, len(utterance)))
    first = np.repeat(starts, lengths)[:, None]
    last = np.repeat(starts + lengths - 1, lengths)[:, None]
    near = np.arange(len(frames))[:, None] + np.arange(-context, context + 1)
    return frames[np.clip(near, first, last)].reshape(len(frames), -1)


def _check_context(context):
    if not isinstance(context, int | np.integer) or context < 0:
        raise ValueError(f"context must be an integer of at least 0, got {context!r}")
