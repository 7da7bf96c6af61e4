"""Speech-like sequences: sounds are what they are said to be, frames belong to their labels."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from hblib import worlds
from hblib.worlds import (
    PHONE_NAMES,
    PHONES,
    SAMPLE_RATE,
    SPEAKER_GROUPS,
    VOWELS,
    _formants,
    synthesise,
    target_formants,
)


@pytest.fixture(scope="module")
def speech():
    return worlds.draw_speech(n_speakers=9, n_utterances=4, rng=0)


@pytest.fixture(scope="module")
def parts(speech):
    """Training and test speakers."""
    return worlds.split_speakers(speech, n_test=3, rng=0)


def average(group, **changes):
    """The average voice of a group, slow enough that every target is reached."""
    speaker = worlds.draw_speakers(3, rng=0)[SPEAKER_GROUPS.index(group)]
    settled = {"formants": target_formants(group), "breathiness": 0.02, "tempo": 0.5}
    return replace(speaker, **settled | changes)


def frames_of(utterance, name):
    """Samples of the frames of a phone, (n, 160)."""
    return utterance.waveform.reshape(-1, 160)[utterance.labels == PHONE_NAMES.index(name)]


def amplitude(samples):
    return np.sqrt(np.mean(np.square(samples)))


def resonances(samples, order=18):
    """Frequencies and bandwidths of the poles that linear prediction finds, Hz."""
    samples = np.append(0, np.diff(samples)) * np.hanning(len(samples))
    correlation = np.correlate(samples, samples, "full")[len(samples) - 1 :][: order + 1]
    correlation[0] *= 1 + 1e-9
    predictor = scipy.linalg.solve_toeplitz(correlation[:-1], correlation[1:])
    poles = np.roots(np.append(1, -predictor))
    poles = poles[poles.imag > 0]
    scale = SAMPLE_RATE / (2 * np.pi)
    return np.angle(poles) * scale, -2 * np.log(np.abs(poles)) * scale


def centroid(samples):
    """Mean frequency of the power, Hz."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    return (power.mean(axis=0) * np.fft.rfftfreq(samples.shape[-1], 1 / SAMPLE_RATE)).sum() / (
        power.mean(axis=0).sum()
    )


# --- the table -----------------------------------------------------------------------------------


def test_at_least_twelve_phones_of_every_kind():
    kinds = [phone.kind for phone in PHONES.values()]
    assert len(kinds) == 16 and PHONE_NAMES[0] == "sil"
    assert set(kinds) == {"silence", "vowel", "approximant", "nasal", "fricative", "stop"}


def test_formants_rise_within_a_phone_and_from_man_to_child():
    man, woman, child = (target_formants(group) for group in SPEAKER_GROUPS)
    assert (np.diff(man) > 0).all()
    assert (woman > man).all() and (child > woman).all()


def test_vowels_are_the_published_averages():
    # Peterson and Barney 1952, table II: a woman's [i], a child's [a], a man's [u].
    assert target_formants("woman")[PHONE_NAMES.index("iy")].tolist() == [310, 2790, 3310]
    assert target_formants("child")[PHONE_NAMES.index("aa")].tolist() == [1030, 1370, 3170]
    assert target_formants("man")[PHONE_NAMES.index("uw")].tolist() == [300, 870, 2240]


def test_speakers_of_a_group_scatter_about_its_average():
    speakers = worlds.draw_speakers(90, rng=1)
    for i, group in enumerate(SPEAKER_GROUPS):
        own = np.array([speaker.formants for speaker in speakers[i::3]])
        logs = np.log(own / target_formants(group))
        assert np.abs(logs.mean(axis=(0, 1))).max() < 0.03
        assert (np.diff(own, axis=2) > 0).all()
        np.testing.assert_allclose(logs.std(axis=0).mean(), np.hypot(0.05, 0.04), atol=0.008)
        assert all(speaker.upper[-1] < SAMPLE_RATE / 2 for speaker in speakers)


# --- sounds --------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", SPEAKER_GROUPS)
@pytest.mark.parametrize("vowel", VOWELS)
def test_linear_prediction_finds_the_formants_of_a_vowel(group, vowel):
    # A low pitch, since the harmonics of a high one draw the measured peaks to themselves.
    said = synthesise(f"sil {vowel} sil", average(group, pitch=90.0), rng=0, noise=0)
    sounding = np.flatnonzero(said.labels == PHONE_NAMES.index(vowel))
    middle = sounding[len(sounding) // 4 : -len(sounding) // 4]
    target = target_formants(group)[PHONE_NAMES.index(vowel)]
    # The track reaches the target but for the scatter from token to token.
    np.testing.assert_allclose(said.formants[middle].mean(axis=0), target, rtol=0.08)
    found, widths = resonances(said.waveform.reshape(-1, 160)[middle].ravel())
    for true in said.formants[middle].mean(axis=0):
        nearest = np.argmin(np.abs(found - true))
        assert abs(found[nearest] - true) < max(40, 0.05 * true), (found, true)
        assert widths[nearest] < 500


def test_silence_is_quiet_and_as_loud_as_the_room():
    said = synthesise("sil ae sil", average("woman"), rng=0, noise=0.03)
    silent = said.waveform[: 5 * 160]
    assert 0.9 * 0.03 < amplitude(silent) < 1.1 * 0.03
    quiet = synthesise("sil ae sil", average("woman"), rng=0, noise=0).waveform[: 5 * 160]
    assert amplitude(quiet) < 1e-3


def test_vowels_have_amplitudes_near_one():
    for group in SPEAKER_GROUPS:
        said = {vowel: synthesise(f"sil {vowel} sil", average(group), 0) for vowel in VOWELS}
        loud = [amplitude(frames_of(utterance, vowel)) for vowel, utterance in said.items()]
        assert 0.3 < min(loud) and max(loud) < 3


def test_sibilants_are_high_and_vowels_low():
    middle = {
        name: centroid(frames_of(synthesise(f"sil {name} sil", average("man"), rng=1), name)[3:-3])
        for name in PHONE_NAMES[1:]
    }
    assert middle["s"] > middle["sh"] + 1500 and middle["sh"] > 3000
    assert middle["f"] > 3000
    assert max(middle[name] for name in (*VOWELS, "l", "m", "n")) < 2500


def test_noises_are_not_periodic_and_vowels_are():
    speaker = average("man", pitch=100.0, breathiness=0.0)

    def periodicity(name):
        said = synthesise(f"sil {name} sil", speaker, rng=0, noise=0)
        samples = frames_of(said, name)[4:-4].ravel()
        lags = np.arange(SAMPLE_RATE // 125, SAMPLE_RATE // 80)
        return max(np.corrcoef(samples[lag:], samples[:-lag])[0, 1] for lag in lags)

    hissed = max(periodicity(name) for name in ("s", "sh", "f"))
    assert min(periodicity(name) for name in VOWELS) > 0.5 > 1.5 * hissed


def test_a_stop_is_closed_then_bursts():
    for name in ("t", "k"):
        said = synthesise(f"sil aa {name} aa sil", average("man"), rng=0, noise=0)
        loud = np.sqrt((frames_of(said, name) ** 2).mean(axis=1))
        n = len(loud)
        closed, burst = loud[n // 5 : n // 2], loud[n // 2 : 3 * n // 4]
        assert burst.max() > 5 * closed.max()
    high, low = (
        centroid(frames_of(synthesise(f"sil {name} sil", average("man"), rng=0, noise=0), name))
        for name in ("t", "k")
    )
    assert high > low + 1000


def test_formants_move_smoothly_from_phone_to_phone():
    said = synthesise("sil l iy k aa n uw s ae sil", average("child", tempo=1.5), rng=0)
    # A step from target to target would be as large as the whole way; smoothed with a standard
    # deviation of 14 ms it takes no more than 10 ms / (sqrt(2 pi) 14 ms) = 28 % of it a frame.
    goals = np.log(target_formants("child"))
    way = np.ptp(goals, axis=0) * 1.1
    assert (np.abs(np.diff(np.log(said.formants), axis=0)) < 0.3 * way).all()


def test_a_phone_depends_on_its_neighbours():
    def second_formant(phones):
        said = synthesise(phones, average("man", tempo=1.0), rng=0, noise=0)
        return said.formants[said.labels == PHONE_NAMES.index("l"), 1].mean()

    assert second_formant("sil iy l iy sil") > 1.1 * second_formant("sil uw l uw sil")


def test_a_short_phone_falls_short_of_its_target():
    def reached(tempo):
        said = synthesise("sil uw iy uw sil", average("man", tempo=tempo), rng=0, noise=0)
        return said.formants[:, 1].max()

    assert reached(3.0) < reached(2.0) < reached(1.0)


def test_tempo_shortens_pitch_raises():
    slow, fast = (
        synthesise("sil s iy sil", average("man", tempo=tempo), rng=0).ends[-1]
        for tempo in (0.7, 1.4)
    )
    np.testing.assert_allclose(slow / fast, 2, rtol=0.05)

    def peak(pitch):  # the strongest harmonic below 450 Hz lies near F1 = 270 Hz
        said = synthesise("sil iy sil", average("man", pitch=pitch), rng=0, noise=0)
        samples = frames_of(said, "iy").ravel()
        power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
        return np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)[np.argmax(power)]

    assert 230 < peak(260.0) < 290


def test_labels_follow_the_ends_of_phones():
    said = synthesise("sil n ae t sil", worlds.draw_speakers(1, rng=3)[0], rng=4)
    assert len(said.waveform) == 160 * len(said.labels) and said.ends[-1] == 10 * len(said.labels)
    np.testing.assert_array_equal(said.times, 10 * np.arange(len(said.labels)) + 5)
    for time, label in zip(said.times, said.labels):
        assert said.phones[int((said.ends < time).sum())] == PHONE_NAMES[label]


def test_a_filter_that_stands_still_is_the_usual_one():
    source = np.random.default_rng(0).standard_normal(1600)
    response = _formants._resonance(np.full(10, 700.0), 60.0)
    a, b, c = _formants._coefficients(700.0, 60.0)
    wanted = scipy.signal.lfilter([a], [1, -b, -c], np.where(np.arange(1600) < 80, 0, source))
    got = _formants._filtered(np.where(np.arange(1600) < 80, 0, source), response)
    np.testing.assert_allclose(got[:1500], wanted[:1500], atol=0.02 * amplitude(wanted))


@given(st.integers(0, 2**32), st.integers(1, 5))
@settings(deadline=None, max_examples=60)
def test_words_keep_the_rules(seed, n_words):
    phones = worlds.draw_phones(seed, n_words)
    assert phones[0] == phones[-1] == "sil" and set(phones) <= set(PHONE_NAMES)
    assert sum(name in VOWELS for name in phones) >= n_words
    for one, next_one in zip(phones, phones[1:]):
        assert one != next_one and not (one in VOWELS and next_one in VOWELS)


@given(st.lists(st.sampled_from(PHONE_NAMES), min_size=1, max_size=12), st.integers(0, 2**32))
@settings(deadline=None, max_examples=40)
def test_any_string_of_phones_can_be_said(phones, seed):
    said = synthesise(phones, worlds.draw_speakers(3, seed)[seed % 3], seed)
    assert np.isfinite(said.waveform).all() and amplitude(said.waveform) < 20
    assert set(said.labels) <= {PHONE_NAMES.index(name) for name in phones}
    assert (np.diff(said.ends, prepend=0) > 0).all()
    assert (np.diff(said.formants, axis=1) > 0).all() and said.formants.min() > 100


# --- frames --------------------------------------------------------------------------------------


def test_same_seed_same_speech():
    one, two, other = (worlds.draw_speech(2, 2, rng=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.frames, two.frames)
    np.testing.assert_array_equal(one.labels, two.labels)
    assert one.frames.shape != other.frames.shape or (one.frames != other.frames).any()


def test_shapes_and_types(speech):
    n = len(speech.labels)
    assert speech.frames.shape == (n, 11 * 24) and speech.frames.dtype == np.float32
    assert speech.bands.shape == (n, 24) and speech.mean.shape == speech.std.shape == (9, 24)
    assert len(speech.utterances) == 36 and len(speech.speakers) == 9
    assert speech.utterance.max() == 35 and set(speech.speaker) == set(range(9))
    assert set(speech.labels) == set(range(16)) and speech.phones == PHONE_NAMES
    np.testing.assert_array_equal(speech.speaker, speech.utterance // 4)
    for name in ("times", "labels"):
        joined = np.concatenate([getattr(said, name) for said in speech.utterances])
        np.testing.assert_array_equal(getattr(speech, name), joined)


def test_every_speaker_is_standardised(speech):
    for i in range(9):
        own = speech.bands[speech.speaker == i]
        np.testing.assert_allclose(own.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(own.std(axis=0), 1, atol=1e-5)


def test_middle_of_the_window_is_the_frame_itself(speech):
    np.testing.assert_array_equal(speech.frames[:, 5 * 24 : 6 * 24], speech.bands)


def test_chosen_words_are_cut_like_drawn_ones(speech):
    for i in (0, 17):
        rows = speech.utterance == i
        mean, std = speech.mean[i // 4], speech.std[i // 4]
        got = worlds.speech_features(speech.utterances[i], mean, std)
        np.testing.assert_allclose(got, speech.frames[rows], atol=1e-5)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(0, 8))
@settings(deadline=None, max_examples=60)
def test_stacking_equals_a_loop(lengths, context):
    utterance = np.repeat(np.arange(len(lengths)), lengths)
    frames = np.arange(2.0 * len(utterance)).reshape(-1, 2)
    wanted = []
    for i in range(len(frames)):
        own = np.flatnonzero(utterance == utterance[i])
        near = [min(max(i + d, own[0]), own[-1]) for d in range(-context, context + 1)]
        wanted.append(np.concatenate([frames[j] for j in near]))
    np.testing.assert_array_equal(worlds.stack_frames(frames, utterance, context), wanted)


def test_bands_cover_the_spectrum_evenly():
    bands = worlds.mel_filterbank()
    assert bands.shape == (24, 257) and bands.min() >= 0 and bands.max() <= 1
    assert (bands.sum(axis=1) > 0).all()
    # Between the first peak and the last, neighbouring triangles add up to one.
    inside = slice(bands[0].argmax() + 1, bands[-1].argmax())
    np.testing.assert_allclose(bands.sum(axis=0)[inside], 1)


def test_a_tone_lights_its_own_band():
    time = np.arange(1600) / SAMPLE_RATE
    peaks = np.arange(257) @ worlds.mel_filterbank().T / worlds.mel_filterbank().sum(axis=1)
    for band in (4, 12, 20):
        tone = np.sin(2 * np.pi * peaks[band] * SAMPLE_RATE / 512 * time)
        assert abs(worlds.log_mel(tone)[5].argmax() - band) <= 1


def test_a_click_is_loudest_in_its_own_frame():
    click = np.zeros(1600)
    click[5 * 160 + 80] = 1
    energy = worlds.log_mel(click).sum(axis=1)
    assert energy.argmax() == 5
    np.testing.assert_allclose(energy[4], energy[6], rtol=0.02)  # the window lies symmetrically


def test_a_louder_recording_shifts_all_bands(speech):
    waveform = speech.utterances[0].waveform
    shift = worlds.log_mel(10 * waveform) - worlds.log_mel(waveform)
    np.testing.assert_allclose(shift, np.log(100), atol=0.05)  # the floor of 1e-6 stays


def test_parts_share_no_speaker_and_miss_no_frame(speech, parts):
    train, test = parts
    assert len(set(test.speaker)) == 3 and not set(train.speaker) & set(test.speaker)
    assert not set(train.utterance) & set(test.utterance)
    assert len(train.labels) + len(test.labels) == len(speech.labels)
    for part in parts:
        assert len(part.frames) == len(part.bands) == len(part.labels) == len(part.times)
        i = part.utterance[0]
        own = part.labels[part.utterance == i]
        np.testing.assert_array_equal(own, part.utterances[i].labels)


def test_the_task_can_be_learnt_but_not_fully(speech, parts):
    from sklearn.linear_model import LogisticRegression

    train, test = parts
    model = LogisticRegression(C=0.01, max_iter=200).fit(train.frames, train.labels)
    guess = model.predict(test.frames)
    right = np.mean(guess == test.labels)
    most_frequent = np.mean(test.labels == np.bincount(train.labels).argmax())
    assert most_frequent < 0.35 and 0.65 < right < 0.95
    # Errors are mostly within a family of sounds, as with people.
    kinds = np.array([PHONES[name].kind for name in PHONE_NAMES])
    wrong = (guess != test.labels) & (kinds[test.labels] == "vowel")
    assert np.mean(kinds[guess[wrong]] == "vowel") > 0.6


# --- what is given -------------------------------------------------------------------------------


def test_waveforms_and_frames_may_be_tensors_and_integers():
    import torch

    wave = np.round(1000 * np.sin(np.arange(800))).astype(np.int16)
    expected = worlds.log_mel(wave.astype(float))
    tensor = torch.tensor(wave, dtype=torch.float32, requires_grad=True)
    for same in (wave, tensor, wave.tolist(), np.repeat(wave, 2)[::2]):
        np.testing.assert_array_equal(worlds.log_mel(same), expected)
    utterance = np.repeat([3, 1], [2, 3])
    frames = torch.arange(10.0, dtype=torch.bfloat16).reshape(5, 2).requires_grad_()
    stacked = worlds.stack_frames(frames, utterance, 1)
    np.testing.assert_array_equal(
        stacked, worlds.stack_frames(np.arange(10).reshape(5, 2), utterance, 1)
    )


def test_utterances_may_have_any_whole_numbers():
    frames = np.arange(4.0)[:, None]
    expected = worlds.stack_frames(frames, [0, 0, 1, 1], 1)
    for numbers in (np.array([0, 0, 1, 1], np.uint8), [-5, -5, 7, 7]):
        np.testing.assert_array_equal(worlds.stack_frames(frames, numbers, 1), expected)


@pytest.fixture(scope="module")
def speaker():
    return worlds.draw_speakers(1, rng=0)[0]


@pytest.mark.parametrize(
    "phones, message",
    [
        ("sil th sil", "phones must be names among sil, iy, .*, got 'th'"),
        ("", "phones must be names among .*, got none"),
    ],
)
def test_unknown_phones_are_refused(speaker, phones, message):
    with pytest.raises(ValueError, match=message):
        synthesise(phones, speaker, 0)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: worlds.draw_speech(noise=-1, rng=0), "noise must be at least 0, got -1"),
        (lambda: worlds.draw_speech(context=-1, rng=0), "context must be a whole number of at"),
        (lambda: target_formants("dog"), "group must be one of 'man', .*, got 'dog'"),
        (lambda: worlds.log_mel(np.zeros(1000)), r"waveform must be of shape .* got \(1000,\)"),
        (lambda: worlds.log_mel(np.zeros((2, 160))), "waveform must be of shape"),
        (lambda: worlds.log_mel(np.full(160, np.nan)), "160 of 160 values that are not finite"),
        (lambda: worlds.stack_frames([[1.0]], [0.0], 1), "utterance must hold whole numbers"),
    ],
)
def test_input_that_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_split_leaves_speakers_to_train_on(speech):
    with pytest.raises(ValueError, match="n_test must leave a speaker to train on: below 9, got 9"):
        worlds.split_speakers(speech, 9, 0)
