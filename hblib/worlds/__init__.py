"""Worlds whose facts are known, so that what a network has learnt can be checked.

Drawn faces with 46 factors, letters of 21 typefaces, painted scenes with captions, speech of which
every frame is labelled, and matrices of known rank; beside them real digits, faces and texts.
`catalogue` has one line on each of them, and `load` gives any of them by name.

Examples
--------
>>> from hblib import worlds
>>> list(worlds.catalogue())  # doctest: +NORMALIZE_WHITESPACE
['digits', 'letters', 'wikipedia', 'analogies', 'matrices', 'faces', 'scenes', 'speech',
 'lfw_subset', 'olivetti', 'lfw', 'celeba']
>>> worlds.catalogue()["digits"]
'Handwritten digits: 1,797 images of 8 x 8 pixels in 17 grey levels, ten classes'
>>> faces = worlds.load("faces", n=100, rng=0)
>>> faces.images.shape, int(faces.factors["beard"].sum())
((100, 48, 48, 3), 21)
"""

from hblib.worlds._alignments import AlignedSpeech, load_aligned_speech
from hblib.worlds._catalogue import SOURCES, catalogue, checksum, describe
from hblib.worlds._data import Digits, Matrices, digits, draw_matrices
from hblib.worlds._faces import (
    FACE_CORRELATIONS,
    FACE_FACTORS,
    FACE_SOURCES,
    Faces,
    Factor,
    draw_face_factors,
    draw_faces,
    load_faces,
    mirror_factors,
    render_faces,
)
from hblib.worlds._formants import (
    CONSONANTS,
    FRAME_MS,
    PHONE_NAMES,
    PHONES,
    SAMPLE_RATE,
    SPEAKER_GROUPS,
    VOWELS,
    Phone,
    Speaker,
    Utterance,
    draw_phones,
    draw_speakers,
    synthesise,
    target_formants,
)
from hblib.worlds._letters import FACES, LETTERS, Face, Letters, draw_letters
from hblib.worlds._load import load
from hblib.worlds._pictures import gallery, montage, png_url, spatial_frequency, ssim
from hblib.worlds._scene_painting import render_scenes
from hblib.worlds._scenes import (
    CAPTION_VOCABULARY,
    SCENE_THINGS,
    Facts,
    Scenes,
    Statement,
    complete_facts,
    draw_caption,
    draw_scenes,
    parse_caption,
    salient_statements,
    scene_cooccurrence,
    situations,
    statements,
)
from hblib.worlds._speech import (
    N_BANDS,
    Speech,
    draw_speech,
    log_mel,
    mel_filterbank,
    speech_features,
    split_speakers,
    stack_frames,
)
from hblib.worlds._texts import (
    Analogies,
    Cooccurrence,
    Text,
    analogies,
    wikipedia,
    wikipedia_text,
    wikipedia_titles,
)
from hblib.worlds._word_lists import word_lists

__all__ = [
    "CAPTION_VOCABULARY",
    "CONSONANTS",
    "FACES",
    "FACE_CORRELATIONS",
    "FACE_FACTORS",
    "FACE_SOURCES",
    "FRAME_MS",
    "LETTERS",
    "N_BANDS",
    "PHONES",
    "PHONE_NAMES",
    "SAMPLE_RATE",
    "SCENE_THINGS",
    "SOURCES",
    "SPEAKER_GROUPS",
    "VOWELS",
    "AlignedSpeech",
    "Analogies",
    "Cooccurrence",
    "Digits",
    "Face",
    "Faces",
    "Factor",
    "Facts",
    "Letters",
    "Matrices",
    "Phone",
    "Scenes",
    "Statement",
    "Speaker",
    "Speech",
    "Text",
    "Utterance",
    "analogies",
    "catalogue",
    "checksum",
    "complete_facts",
    "describe",
    "digits",
    "draw_caption",
    "draw_face_factors",
    "draw_faces",
    "draw_letters",
    "draw_matrices",
    "draw_phones",
    "draw_scenes",
    "draw_speakers",
    "draw_speech",
    "gallery",
    "load",
    "load_aligned_speech",
    "load_faces",
    "log_mel",
    "mel_filterbank",
    "mirror_factors",
    "montage",
    "parse_caption",
    "png_url",
    "render_faces",
    "render_scenes",
    "salient_statements",
    "scene_cooccurrence",
    "situations",
    "spatial_frequency",
    "speech_features",
    "split_speakers",
    "ssim",
    "stack_frames",
    "statements",
    "synthesise",
    "target_formants",
    "wikipedia",
    "wikipedia_text",
    "wikipedia_titles",
    "word_lists",
]
