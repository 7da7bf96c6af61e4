"""Recordings with alignments, written here in the forms that forced aligners and TIMIT use."""

import numpy as np
import pytest
from scipy.io import wavfile

from hblib import worlds

TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 0.5
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 0.5
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = "ah"
    item [2]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 0.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.1
            text = ""
        intervals [2]:
            xmin = 0.1
            xmax = 0.4
            text = "AH0"
        intervals [3]:
            xmin = 0.4
            xmax = 0.5
            text = "S"
"""


def write(folder, name, seed=0, rate=16000, n=8000):
    folder.mkdir(parents=True, exist_ok=True)
    sound = (1000 * np.random.default_rng(seed).normal(size=n)).astype(np.int16)
    wavfile.write(folder / f"{name}.wav", rate, sound)


@pytest.fixture
def recordings(tmp_path):
    write(tmp_path / "84" / "121123", "84-121123-0000")
    (tmp_path / "84/121123/84-121123-0000.TextGrid").write_text(TEXTGRID, encoding="utf-8")
    write(tmp_path / "fcjf0", "sa1", seed=1, n=8100)
    (tmp_path / "fcjf0/sa1.PHN").write_text("0 1600 h#\n1600 6400 aa\n6400 7200 s\n", "utf-8")
    return tmp_path


def test_frames_carry_the_phone_in_their_middle(recordings):
    speech = worlds.load_aligned_speech(recordings, context=1)
    assert speech.phones == ("sil", "AH", "S", "aa", "s")
    assert speech.frames.shape == (100, 3 * worlds.N_BANDS)
    assert speech.speakers == ("84/121123", "fcjf0")
    assert speech.utterances == ("84/121123/84-121123-0000.wav", "fcjf0/sa1.wav")
    names = np.array(speech.phones)[speech.labels]
    assert (names[:50] == ["sil"] * 10 + ["AH"] * 30 + ["S"] * 10).all()
    assert (names[50:] == ["sil"] * 10 + ["aa"] * 30 + ["s"] * 5 + ["sil"] * 5).all()
    np.testing.assert_allclose(speech.times[:3], [5, 15, 25])


def test_bands_are_standardised_for_each_speaker_and_can_be_split(recordings):
    speech = worlds.load_aligned_speech(recordings)
    for i in range(2):
        bands = speech.bands[speech.speaker == i]
        np.testing.assert_allclose(bands.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(bands.std(axis=0), 1, atol=1e-4)
    train, test = worlds.split_speakers(speech, 1, rng=0)
    assert len(train.labels) == len(test.labels) == 50
    assert set(train.speaker) != set(test.speaker)


def test_the_volume_of_a_recording_does_not_count(recordings):
    before = worlds.load_aligned_speech(recordings).bands
    file = recordings / "fcjf0/sa1.wav"
    rate, sound = wavfile.read(file)
    wavfile.write(file, rate, (sound.astype(float) / 7).astype(np.float32))
    np.testing.assert_allclose(worlds.load_aligned_speech(recordings).bands, before, atol=1e-4)


def test_phones_can_be_merged(recordings):
    speech = worlds.load_aligned_speech(recordings, merge={"aa": "AH", "s": "S"})
    assert speech.phones == ("sil", "AH", "S")


def test_the_same_form_as_drawn_speech(recordings):
    """What a network reads of recordings has the form of what it reads of drawn speech."""
    drawn, read = worlds.draw_speech(1, 1, rng=0), worlds.load_aligned_speech(recordings)
    assert drawn.frames.shape[1] == read.frames.shape[1]
    assert drawn.frames.dtype == read.frames.dtype


def test_what_cannot_be_read_is_refused(recordings, tmp_path):
    def refused(message, error=ValueError):
        with pytest.raises(error, match=message):
            worlds.load_aligned_speech(recordings)

    (recordings / "fcjf0/sa1.PHN").write_text("0 aa\n", "utf-8")
    refused("first sample, last sample, phone")
    (recordings / "fcjf0/sa1.PHN").unlink()
    refused("alignment beside it")
    (recordings / "fcjf0/sa1.TextGrid").write_text("nothing", "utf-8")
    refused('tier "phones"')
    write(recordings / "fcjf0", "sa1", rate=8000)
    refused("one channel at 16000 Hz")
    write(recordings / "fcjf0", "sa1", n=200)
    refused("at least two frames")
    (recordings / "fcjf0/sa1.wav").write_bytes(b"no sound")
    refused("must be a WAV file")
    for file in recordings.rglob("*.wav"):
        file.unlink()
    refused("there are none in")
    with pytest.raises(FileNotFoundError, match="folder of recordings"):
        worlds.load_aligned_speech(tmp_path / "nowhere")
