"""Does chapter 7 hold on speech that was not made for it? Its claims on the voices of eSpeak NG.

eSpeak NG is a formant synthesiser made by others for people who need things read to them. It says
six English sentences in five accents and 32 voices, and reports when each phoneme begins. This
script writes what it says as recordings with their alignments, in the form of TIMIT, under 16 kinds
of sounds; `hblib.worlds.load_aligned_speech` reads them, and the chapter runs on them by one
parameter. eSpeak NG draws its breath anew each time, so two runs differ a little.

Needs the wheel ``espeakng-loader`` (the library, GPL-3.0, and its voices), which the book never
imports: ``pip install espeakng-loader``, or ``pip download`` and a folder on PYTHONPATH.

Run ``python tools/independent_speech.py`` (two minutes); writes
``book/reproductions/independent_speech.json``.
"""

import ctypes
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import espeakng_loader
import numpy as np
from scipy.io import wavfile
from scipy.signal import resample_poly

ROOT = Path(__file__).parents[1]
RATE, OUT_RATE = 22050, 16000
SEED = 1
PAUSE = 0.1  # seconds of silence before and after a sentence
ACCENTS = ("en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan")
VARIANTS = ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5", "klatt",
            "Andy", "linda")  # fmt: skip
SENTENCES = (
    "The early worm watches a yellow bird on the garden wall.",
    "She had your dark suit in greasy wash water all year.",
    "Don't ask me to carry an oily rag like that.",
    "We think both of these books should move to the other room.",
    "A good judge of music chose the short measure of the show.",
    "Five people saw the big dog jump over the thin fence.",
)
# What eSpeak calls a phoneme, by how it begins, and the kind of sound that it counts as.
KINDS = (
    ("iy", "i: i"), ("ih", "I I2 I# y"), ("eh", "E e: eI e@ e"), ("ae", "a a# aI aU aa aI2"),
    ("aa", "A: A@ A 0 O: O@ O OI o: oU o@ o O2"), ("ah", "V @ 3: 3 @L @2 @5 I@ i@ VR 0# a2 i@3 IR"),
    ("uw", "u: u U U@"), ("s", "s z s; z;"), ("sh", "S Z tS dZ"), ("f", "f v T D h x"),
    ("m", "m n N n- m- n^"), ("l", "l l^ l- L"), ("r", "r r- r/ w j R"),
    ("t", "p t k t2 t# ? p2 k2"), ("d", "b d g *"), ("sil", "_ _: _! _| |"),
)  # fmt: skip


class _Event(ctypes.Structure):
    class _Id(ctypes.Union):
        _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p),
                    ("string", ctypes.c_char * 8)]  # fmt: skip

    _fields_ = [
        ("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int), ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("id", _Id),
    ]  # fmt: skip


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)
PHONEME = 7


def kind_of(phoneme):
    """The kind of sound of one of eSpeak's phonemes; None if the table lacks it."""
    phoneme = re.sub(r"^['%,=|]+", "", phoneme) or "_"
    for kind, names in KINDS:
        if phoneme in names.split():
            return kind
    return None


class Speaker:
    """eSpeak NG by its C interface: sound and the beginning of each phoneme."""

    def __init__(self):
        self.library = espeakng_loader.load_library()
        data = espeakng_loader.get_data_path().encode()
        assert self.library.espeak_Initialize(2, 0, data, 1) == RATE  # synchronous, phonemes
        self.callback = _CALLBACK(self._heard)
        self.library.espeak_SetSynthCallback(self.callback)

    def _heard(self, wave, n, events):
        if wave and n:
            self.sound.append(np.ctypeslib.as_array(wave, (n,)).copy())
        i = 0
        while events[i].type:
            name = bytes(events[i].id.string).split(b"\0")[0].decode()
            if events[i].type == PHONEME and name != ";":  # that softens the phoneme before
                self.phonemes.append((events[i].audio_position / 1000, name))
            i += 1
        return 0

    def say(self, voice, sentence):
        """Sound at OUT_RATE, and (start, phoneme) in seconds."""
        self.sound, self.phonemes = [], []
        assert self.library.espeak_SetVoiceByName(voice.encode()) == 0, voice
        text = sentence.encode() + b"\0"
        self.library.espeak_Synth(text, len(text), 0, 1, 0, 1, None, None)
        self.library.espeak_Synchronize()
        sound = np.concatenate(self.sound).astype(float)
        return resample_poly(sound, 320, 441), self.phonemes


def write(folder, rng):
    """Write recordings and alignments; return how many seconds, and phonemes outside the table."""
    speaker, seconds, unknown = Speaker(), 0.0, {}
    for i in range(32):
        voice = f"{ACCENTS[i % len(ACCENTS)]}+{VARIANTS[i % len(VARIANTS)]}"
        home = folder / f"{i:02d}"
        home.mkdir(parents=True)
        for k, sentence in enumerate(SENTENCES):
            sound, phonemes = speaker.say(voice, sentence)
            sound = np.pad(sound / np.sqrt((sound**2).mean()), int(PAUSE * OUT_RATE))
            sound = sound + 0.03 * rng.normal(size=len(sound))
            seconds += len(sound) / OUT_RATE
            phonemes = [(0, "_"), *((PAUSE + start, name) for start, name in phonemes)]
            ends = [*(start for start, _ in phonemes[1:]), len(sound) / OUT_RATE]
            rows = []
            for (start, name), end in zip(phonemes, ends):
                kind = kind_of(name)
                if kind is None:
                    unknown[name] = unknown.get(name, 0) + 1
                rows.append(f"{int(start * OUT_RATE)} {int(end * OUT_RATE)} {kind or 'ah'}")
            wave = (4000 * sound).clip(-32000, 32000).astype("i2")
            wavfile.write(home / f"{k}.wav", OUT_RATE, wave)
            (home / f"{k}.PHN").write_text("\n".join(rows) + "\n")
    return seconds, unknown


def outcomes(notebook):
    """Estimate, interval, levels and verdict inputs of every claim of an executed chapter."""
    found = {}
    for cell in json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            record = output.get("data", {}).get("application/vnd.hblib.claim+json")
            if record:
                parts = record["levels"] | {name: record[name] for name in ("found", "control")}
                found[record["id"]] = {
                    name: {"estimate": round(part["estimate"], 4),
                           "interval": [round(end, 4) for end in part["interval"]]}
                    for name, part in parts.items()
                }  # fmt: skip
    return found


def main():
    """Speak, run the chapter and store what its claims measured."""
    with tempfile.TemporaryDirectory() as place:
        seconds, unknown = write(Path(place) / "espeak", np.random.default_rng(SEED))
        notebook = ROOT / "_build" / "runs" / "independent_speech.ipynb"
        subprocess.run(
            [sys.executable, "-m", "runner.cli", "run", "07_grid_layers",
             f"data_set={place}/espeak", f"seed={SEED}", "--output", str(notebook)],
            cwd=ROOT, check=True,
        )  # fmt: skip
        result = {
            "speech": "eSpeak NG 1.52.0 (espeakng-loader 0.2.4), 32 voices, 6 sentences each",
            "seconds": round(seconds, 1),
            "unknown": unknown,
            "seed": SEED,
            "claims": outcomes(notebook),
        }
    target = ROOT / "book" / "reproductions" / "independent_speech.json"
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
