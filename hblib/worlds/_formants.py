"""Speech-like sound of which everything is known: which phone, when, in which voice.

A formant synthesiser after Klatt (1980). The vocal folds give pulses, breath and narrow passages
give noise; the vocal tract filters them by its resonances, the formants. A phone is a target for
the formants and a mixture of sources. The formants move smoothly from target to target, so a phone
sounds different beside other phones, as it does in life.

Vowels have the average formants of men, women and children in Peterson and Barney (1952), table
II; consonants those of one man in Klatt (1980), table III. Where fricatives are loudest is rounded
from Jongman, Wayland and Wong (2000). Bursts, durations, levels, and how far voices and tokens
scatter are round values of ours.

`draw_speakers` makes voices, `draw_phones` words, and `synthesise` lets a voice say them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.fft

from hblib._checks import Randomness, choice, generator, number, whole

SAMPLE_RATE = 16_000  # Hz
FRAME_MS = 10  # from one frame to the next
_HOP = SAMPLE_RATE * FRAME_MS // 1000
_N_FFT = 6 * _HOP  # a window of 20 ms and 40 ms of ringing
_MOVE_MS = 14  # how slowly formants move: standard deviation of the smoothing
_SWITCH_MS = 3  # the same for the sources, which start and stop faster
_NASAL_POLE, _NASAL_ZERO = 270.0, 450.0  # Hz; outside nasals the zero lies on the pole

SPEAKER_GROUPS = ("man", "woman", "child")
_VOICE_PITCH = {"man": 132.0, "woman": 223.0, "child": 264.0}  # Hz, means of the table's F0


@dataclass(frozen=True)
class Phone:
    """What the tract and the sources do in one phone.

    Attributes
    ----------
    kind : {"silence", "vowel", "approximant", "nasal", "fricative", "stop"}
        Manner of articulation.
    ipa, example : str
        Symbol of the International Phonetic Alphabet, and a word with the sound.
    duration : float
        Of a typical token, in ms.
    formants : tuple of 3 floats, or 3 such tuples
        F1, F2, F3 in Hz: of a man, or for vowels of a man, a woman and a child.
    voice : float
        Amplitude of voicing; 1 for vowels.
    noise : float
        Amplitude of hiss, relative to a vowel; of a stop, that of its burst.
    peak, width : float
        Frequency at which the hiss is loudest, and its bandwidth, in Hz.
    """

    kind: str
    ipa: str
    example: str
    duration: float
    formants: tuple
    voice: float = 0.0
    noise: float = 0.0
    peak: float = 4000.0
    width: float = 6000.0


def _vowel(ipa: str, example: str, duration: float, *formants: tuple) -> Phone:
    return Phone("vowel", ipa, example, duration, formants, voice=1.0)


# A label is a position in this table.
PHONES = {
    "sil": Phone("silence", "", "", 100, (500, 1500, 2500)),
    "iy": _vowel("i", "heed", 110, (270, 2290, 3010), (310, 2790, 3310), (370, 3200, 3730)),
    "ih": _vowel("ɪ", "hid", 85, (390, 1990, 2550), (430, 2480, 3070), (530, 2730, 3600)),
    "eh": _vowel("ɛ", "head", 90, (530, 1840, 2480), (610, 2330, 2990), (690, 2610, 3570)),
    "ae": _vowel("æ", "had", 130, (660, 1720, 2410), (860, 2050, 2850), (1010, 2320, 3320)),
    "aa": _vowel("ɑ", "hod", 125, (730, 1090, 2440), (850, 1220, 2810), (1030, 1370, 3170)),
    "ah": _vowel("ʌ", "hud", 85, (640, 1190, 2390), (760, 1400, 2780), (850, 1590, 3360)),
    "uw": _vowel("u", "who'd", 110, (300, 870, 2240), (370, 950, 2670), (430, 1170, 3260)),
    "l": Phone("approximant", "l", "led", 70, (310, 1050, 2880), voice=0.6),
    "m": Phone("nasal", "m", "met", 75, (480, 1270, 2130), voice=0.5),
    "n": Phone("nasal", "n", "net", 70, (480, 1340, 2470), voice=0.5),
    "f": Phone("fricative", "f", "fed", 95, (340, 1100, 2080), noise=0.06),
    "s": Phone("fricative", "s", "said", 110, (320, 1390, 2530), 0, 0.35, 6800, 1500),
    "sh": Phone("fricative", "ʃ", "shed", 110, (300, 1840, 2750), 0, 0.40, 3800, 1000),
    "t": Phone("stop", "t", "ted", 100, (400, 1600, 2600), 0, 0.35, 4500, 2500),
    "k": Phone("stop", "k", "keg", 105, (300, 1990, 2850), 0, 0.35, 2200, 500),
}
PHONE_NAMES = tuple(PHONES)
VOWELS = tuple(name for name in PHONE_NAMES if PHONES[name].kind == "vowel")
CONSONANTS = tuple(name for name in PHONE_NAMES[1:] if name not in VOWELS)


class _StopPart(NamedTuple):
    """A part of a stop."""

    until: float  # where it ends, as a share of the phone's duration
    breath: float  # amplitude
    hiss: float  # amplitude, relative to that of the phone


# A silent closure, a burst, and breath while the tract opens again.
_STOP = (_StopPart(0.55, 0.0, 0.0), _StopPart(0.67, 0.05, 1.0), _StopPart(1.0, 0.2, 0.1))
# Of the three formants, in Hz: an open glottis damps the first, the nose the upper two.
_BANDWIDTHS = {
    "vowel": (60, 90, 150),
    "nasal": (40, 250, 250),
    "fricative": (200, 120, 200),
    "stop": (200, 120, 200),
}


@dataclass(frozen=True)
class Speaker:
    """A voice.

    Attributes
    ----------
    group : {"man", "woman", "child"}
        Whose average the voice scatters about.
    formants : numpy.ndarray, shape (n_phones, 3)
        The speaker's own targets, in Hz, in the order of `PHONES`.
    upper : numpy.ndarray, shape (n,)
        Formants above the third, which do not move, in Hz.
    pitch : float
        Mean frequency of the vocal folds, in Hz.
    breathiness : float
        Amplitude of the noise that goes with voicing, relative to it.
    tempo : float
        Factor on speed; 1 is usual.
    """

    group: str
    formants: np.ndarray
    upper: np.ndarray
    pitch: float
    breathiness: float
    tempo: float


@dataclass(frozen=True)
class Utterance:
    """A string of phones as said by somebody.

    Attributes
    ----------
    waveform : numpy.ndarray, shape (n_frames * 160,)
        Sound pressure at `SAMPLE_RATE`; a vowel has an amplitude (root mean square) near 1.
    phones : tuple of str
        Names of the phones, in the order of time.
    ends : numpy.ndarray, shape (n_phones,)
        When each phone ends, in ms.
    times : numpy.ndarray, shape (n_frames,)
        Middle of each frame, in ms.
    labels : numpy.ndarray, shape (n_frames,)
        Which phone of `PHONES` sounds there.
    formants : numpy.ndarray, shape (n_frames, 3)
        Resonances of the tract there, in Hz. They exist in silence too, but are not heard.
    """

    waveform: np.ndarray
    phones: tuple[str, ...]
    ends: np.ndarray
    times: np.ndarray
    labels: np.ndarray
    formants: np.ndarray


# --- who speaks, and what ------------------------------------------------------------------------


def target_formants(group: str) -> np.ndarray:
    """Formants of every phone for the average man, woman or child.

    Consonants are known for a man; for the others they are scaled, each formant by its mean ratio
    over the vowels.

    Parameters
    ----------
    group : {"man", "woman", "child"}
        A group of speakers.

    Returns
    -------
    numpy.ndarray, shape (n_phones, 3)
        In Hz, in the order of `PHONES`.

    Examples
    --------
    >>> target_formants("woman")[PHONE_NAMES.index("iy")]
    array([ 310., 2790., 3310.])
    """
    which = SPEAKER_GROUPS.index(choice("group", group, SPEAKER_GROUPS))
    table = np.array([PHONES[name].formants for name in VOWELS], dtype=float)
    ratio = np.exp(np.log(table[:, which] / table[:, 0]).mean(axis=0))
    return np.array(
        [
            phone.formants[which] if phone.kind == "vowel" else ratio * phone.formants
            for phone in PHONES.values()
        ]
    )


def draw_speakers(n: int, rng: Randomness) -> list[Speaker]:
    """Draw voices of men, women and children in turn.

    Formants scatter about the average of the group by 5 % for the length of the tract and by
    another 4 % for each formant of each phone; pitch by 10 % and tempo by 12 %.

    Parameters
    ----------
    n : int
        How many.
    rng : int, numpy.random.Generator or None
        Source of randomness.

    Returns
    -------
    list of Speaker

    Examples
    --------
    >>> [speaker.group for speaker in draw_speakers(4, rng=0)]
    ['man', 'woman', 'child', 'man']
    """
    n, rng = whole("n", n), generator(rng)
    return [_speaker(SPEAKER_GROUPS[i % len(SPEAKER_GROUPS)], rng) for i in range(n)]


def _speaker(group: str, rng: np.random.Generator) -> Speaker:
    typical = target_formants(group)
    tract, pitch, tempo = np.exp(rng.normal(0, [0.05, 0.10, 0.12]))
    accent = np.exp(rng.normal(0, 0.04, typical.shape))
    # A tract of 17.5 cm closed at one end resonates at 500, 1500, 2500 Hz and so on; digital
    # filters need all resonances of the band, or the upper ones come out too weak.
    scale = tract * typical[0].mean() / np.mean(PHONES["sil"].formants)
    upper = scale * np.arange(3500, SAMPLE_RATE / 2, 1000)
    return Speaker(
        group,
        formants=np.sort(tract * accent * typical),  # a high F2 may come out above a low F3
        upper=upper[upper < 0.95 * SAMPLE_RATE / 2],
        pitch=pitch * _VOICE_PITCH[group],
        breathiness=rng.uniform(0.02, 0.15),
        tempo=tempo,
    )


def draw_phones(rng: Randomness, n_words: int = 2) -> list[str]:
    """Draw made-up words, as a string of phones between silences.

    A word has one to three syllables: a consonant or none, a vowel, a consonant or none. No two
    vowels touch, no phone follows itself, and some words are separated by a pause.

    Parameters
    ----------
    rng : int, numpy.random.Generator or None
        Source of randomness.
    n_words : int, optional
        How many.

    Returns
    -------
    list of str
        Names of `PHONES`.

    Examples
    --------
    >>> " ".join(draw_phones(rng=0))
    'sil sh eh l aa k uw n ah f k ah sh iy s sil'
    """
    n_words, rng = whole("n_words", n_words), generator(rng)
    phones = ["sil"]
    for word in range(n_words):
        if word and rng.random() < 0.5:
            phones.append("sil")
        for _ in range(rng.integers(1, 4)):
            if phones[-1] in VOWELS or rng.random() < 0.8:
                phones.append(rng.choice([c for c in CONSONANTS if c != phones[-1]]).item())
            phones.append(rng.choice(VOWELS).item())
            if rng.random() < 0.35:
                phones.append(rng.choice(CONSONANTS).item())
    return [*phones, "sil"]


# --- speaking ------------------------------------------------------------------------------------


def synthesise(
    phones: str | Sequence[str], speaker: Speaker, rng: Randomness, noise: float = 0.03
) -> Utterance:
    """Let a speaker say a string of phones.

    Parameters
    ----------
    phones : str or sequence of str
        Names of `PHONES`, separated by spaces in a string. Begin and end with ``sil``, or the
        sound is cut off.
    speaker : Speaker
        Whose voice it is.
    rng : int, numpy.random.Generator or None
        Source of randomness: durations and targets scatter from token to token, by 15 % and 3 %.
    noise : float, optional
        Amplitude of white noise in the room, relative to a vowel; 0.03 is 30 dB below it.

    Returns
    -------
    Utterance

    Raises
    ------
    ValueError
        If a phone is unknown, there is none, or `noise` is negative.

    References
    ----------
    D. H. Klatt (1980), Software for a cascade/parallel formant synthesizer, Journal of the
    Acoustical Society of America 67, doi 10.1121/1.383940.

    Examples
    --------
    >>> seem = synthesise("sil s iy m sil", draw_speakers(1, rng=0)[0], rng=0)
    >>> len(seem.waveform) / SAMPLE_RATE, len(seem.labels)
    (0.47, 47)
    """
    phones = tuple(phones.split() if isinstance(phones, str) else phones)
    unknown = [name for name in phones if name not in PHONES]
    if unknown or not phones:
        got = f"{unknown[0]!r}" if unknown else "none"
        raise ValueError(f"phones must be names among {', '.join(PHONE_NAMES)}, got {got}")
    noise, rng = number("noise", noise, least=0), generator(rng)

    numbers = np.array([PHONE_NAMES.index(name) for name in phones])
    usual = np.array([PHONES[name].duration for name in phones])
    ends = np.cumsum(usual / speaker.tempo * np.exp(rng.normal(0, 0.15, len(phones))))
    n_frames = int(np.ceil(ends[-1] / FRAME_MS))
    ends[-1] = n_frames * FRAME_MS
    times = FRAME_MS * (np.arange(n_frames) + 0.5)

    goals = np.sort(speaker.formants[numbers] * np.exp(rng.normal(0, 0.03, (len(phones), 3))))
    formants, tract = _tract(phones, ends, goals, speaker, n_frames)
    larynx, hiss = _sources(phones, ends, speaker, n_frames, rng)
    waveform = _filtered(larynx, tract) + _filtered(hiss, _hiss(phones, ends, times))
    waveform += noise * rng.standard_normal(len(waveform))
    labels = numbers[np.searchsorted(ends, times)]
    return Utterance(waveform, phones, ends, times, labels, formants)


def _steps(values, ends, n_frames: int, smoothing: float) -> np.ndarray:
    """Values that jump at the ends of segments, every ms and smoothed, (n_ms, n_values)."""
    from scipy.ndimage import gaussian_filter1d

    ms = np.arange(n_frames * FRAME_MS) + 0.5
    values = np.asarray(values, dtype=float)[np.searchsorted(ends, ms)]
    return gaussian_filter1d(values, smoothing, axis=0, mode="nearest")


def _tract(
    phones: tuple[str, ...], ends: np.ndarray, goals: np.ndarray, speaker: Speaker, n_frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Tracks of the formants, (n_frames, 3), and response of the tract, (n_frames, n_bins)."""
    kinds = [PHONES[name].kind for name in phones]
    widths = [_BANDWIDTHS.get(kind, _BANDWIDTHS["vowel"]) for kind in kinds]
    zeros = [_NASAL_ZERO if kind == "nasal" else _NASAL_POLE for kind in kinds]
    # Smoothing makes coarticulation: what a phone reaches depends on its neighbours, and a short
    # one falls short of its target.
    tracks = _steps(np.log(np.column_stack([goals, widths, zeros])), ends, n_frames, _MOVE_MS)
    tracks = np.exp(tracks[FRAME_MS // 2 :: FRAME_MS])
    formants, widths, zeros = tracks[:, :3], tracks[:, 3:6], tracks[:, 6]
    response = _above(speaker) * _resonance(_NASAL_POLE, 100.0) / _resonance(zeros, 100.0)
    for frequency, width in zip(formants.T, widths.T):
        response = response * _resonance(frequency, width)
    return formants, response


def _above(speaker: Speaker) -> np.ndarray:
    """Response of the formants that do not move, (n_bins,)."""
    return _resonance(speaker.upper, 0.08 * speaker.upper).prod(axis=0)


def _sources(
    phones: tuple[str, ...],
    ends: np.ndarray,
    speaker: Speaker,
    n_frames: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """What the larynx and what narrow passages send out, (n_frames * 160,) each."""
    until, levels = [], []  # ms; amplitudes of voice, breath, hiss
    for name, start, end in zip(phones, np.append(0, ends), ends):
        phone = PHONES[name]
        if phone.kind == "stop":
            for part in _STOP:
                until.append(start + part.until * (end - start))
                levels.append((0.0, part.breath, part.hiss * phone.noise))
        else:
            until.append(end)
            levels.append((phone.voice, speaker.breathiness * phone.voice, phone.noise))
    levels = _steps(levels, until, n_frames, _SWITCH_MS)
    n = n_frames * _HOP
    ms = (np.arange(n) + 0.5) * 1000 / SAMPLE_RATE - 0.5
    voice, breath, hiss = (np.interp(ms, np.arange(len(levels)), level) for level in levels.T)
    folds, air = _larynx(speaker, n, rng)
    return voice * folds + breath * air, hiss * rng.standard_normal(n)


def _larynx(
    speaker: Speaker, n: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Pulses of the vocal folds and noise of breath, (n,) each, of amplitude 1 past the tract."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import lfilter

    unsteady = gaussian_filter1d(rng.standard_normal(n // _HOP + 1), 3)
    wander = np.interp(np.arange(n) / _HOP, np.arange(len(unsteady)), unsteady)
    pitch = speaker.pitch * np.linspace(1.1, 0.9, n) * (1 + 0.08 * wander)
    turns = np.floor(np.cumsum(pitch) / SAMPLE_RATE + rng.random())
    # Above 100 Hz a pulse falls by 12 dB an octave; radiation from the lips gives 6 dB back.
    a, b, c = _coefficients(0.0, 100.0)
    folds = lfilter([a, -a], [1, -b, -c], np.diff(turns, prepend=0) > 0)
    # Parseval's theorem gives the power behind a tract at rest.
    widths = np.array(_BANDWIDTHS["vowel"], dtype=float)
    rest = _above(speaker) * _resonance(speaker.formants[0], widths).prod(axis=0)
    pulse = rest * _resonance(0.0, 100.0) * (1 - _DELAY)
    per_sample = speaker.pitch / SAMPLE_RATE
    folds /= np.sqrt(per_sample * np.mean(np.abs(pulse) ** 2))
    return folds, rng.standard_normal(n) / np.sqrt(np.mean(np.abs(rest) ** 2))


def _hiss(phones: tuple[str, ...], ends: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Response of the passage that hisses, (n_frames, n_bins); in between, of the nearest one."""
    hissing = np.flatnonzero([PHONES[name].noise > 0 for name in phones])
    shapes = np.ones((1, len(_DELAY)), dtype=complex)
    if not len(hissing):
        return shapes
    peaks = np.array([PHONES[phones[i]].peak for i in hissing])
    widths = np.array([PHONES[phones[i]].width for i in hissing])
    shapes = _resonance(peaks, widths) ** 2 * (1 - _DELAY)
    shapes /= np.sqrt(np.mean(np.abs(shapes) ** 2, axis=1, keepdims=True))
    middles = (np.append(0, ends)[hissing] + ends[hissing]) / 2
    return shapes[np.abs(times[:, None] - middles).argmin(axis=1)]


# --- filters -------------------------------------------------------------------------------------

# e^(-i omega): what a delay of one sample does to each frequency of the Fourier transform.
_DELAY = np.exp(-2j * np.pi * np.arange(_N_FFT // 2 + 1) / _N_FFT)


def _coefficients(frequency, bandwidth) -> tuple:
    """A, B, C of a resonator y_t = A x_t + B y_(t-1) + C y_(t-2) of Klatt (1980)."""
    c = -np.exp(-2 * np.pi * bandwidth / SAMPLE_RATE)
    b = 2 * np.sqrt(-c) * np.cos(2 * np.pi * frequency / SAMPLE_RATE)
    return 1 - b - c, b, c


def _resonance(frequency, bandwidth) -> np.ndarray:
    """Response of resonators, (..., n_bins)."""
    a, b, c = _coefficients(np.asarray(frequency)[..., None], np.asarray(bandwidth)[..., None])
    return a / (1 - b * _DELAY - c * _DELAY**2)


def _filtered(source: np.ndarray, responses: np.ndarray) -> np.ndarray:
    """Filter with a response that changes from frame to frame, by overlapping and adding.

    Windows of two frames that sum to one fade from each filter to the next. A filter rings for
    40 ms beyond its window, by when a formant of 60 Hz bandwidth has lost 65 dB.
    """
    from scipy.signal.windows import hann

    n_frames = len(source) // _HOP
    window = hann(2 * _HOP, sym=False)
    padded = np.pad(source, _HOP // 2)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, 2 * _HOP)[::_HOP] * window
    pieces = scipy.fft.irfft(scipy.fft.rfft(pieces, _N_FFT) * responses, _N_FFT)
    n_blocks = _N_FFT // _HOP
    blocks = pieces.reshape(n_frames, n_blocks, _HOP)
    out = np.zeros((n_frames + n_blocks - 1, _HOP))
    for i in range(n_blocks):
        out[i : i + n_frames] += blocks[:, i]
    return out.ravel()[_HOP // 2 :][: len(source)]
