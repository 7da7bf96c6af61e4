"""Painted pictures with known facts, and captions that people might write under them.

A picture shows a subject (one to six of a kind), perhaps something that it rides, holds or stands
next to, a place, and perhaps an extra thing in a corner. What occurs together follows a table of
situations: often, seldom or never. Captions come from a small grammar and say what is salient: the
subject and what it does, usually the place, seldom an extra that is out of place.

`draw_scenes` gives pictures with facts and captions, `statements` the facts of a picture as a set
of short strings, and `parse_caption` the statements that a caption makes, so that a caption can be
checked.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

import numpy as np

from hblib._checks import Randomness, generator, whole
from hblib.worlds._scene_painting import render_scenes
from hblib.worlds._sprites import COLOURS, THINGS

PEOPLE, ANIMALS = ("man", "woman", "child"), ("cat", "dog", "horse", "bird")
SCENE_THINGS = tuple(thing for thing in THINGS if thing != "pedestal")
PLURALS = {"man": "men", "woman": "women", "child": "children", "knife": "knives"}
PLURALS = {thing: PLURALS.get(thing, thing + "s") for thing in SCENE_THINGS}
COUNTS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "group", 6: "group"}


class _Situation(NamedTuple):
    """What any of some subjects does, and how often in each place."""

    subjects: tuple[str, ...]
    relation: str | None
    other: str | None
    weights: Mapping[str, float]


# What is not listed never occurs.
SITUATIONS = (
    _Situation(PEOPLE, None, None, dict(street=3, beach=2, snow=2, field=2, kitchen=2, office=1)),
    _Situation(("man", "woman"), "riding", "horse", dict(field=5, beach=2)),
    _Situation(("child",), "riding", "horse", dict(field=0.5)),
    _Situation(PEOPLE, "riding", "bicycle", dict(street=4, field=2)),
    _Situation(("man", "child"), "riding", "skateboard", dict(street=5)),
    _Situation(("woman",), "riding", "skateboard", dict(street=0.5)),
    _Situation(PEOPLE, "riding", "snowboard", dict(snow=6)),
    _Situation(("man", "woman"), "riding", "surfboard", dict(beach=6)),
    _Situation(("dog",), "riding", "skateboard", dict(street=0.7)),
    _Situation(("dog",), "riding", "surfboard", dict(beach=0.7)),
    _Situation(PEOPLE, "holding", "umbrella", dict(street=3, beach=2, snow=0.5)),
    _Situation(PEOPLE, "holding", "cake", dict(kitchen=3, office=0.5)),
    _Situation(("man", "woman"), "holding", "knife", dict(kitchen=3)),
    _Situation(PEOPLE, "holding", "kite", dict(beach=2, field=2)),
    _Situation(PEOPLE, "holding", "ball", dict(field=2, beach=2)),
    _Situation(PEOPLE, "holding", "cat", dict(kitchen=2, office=1)),
    _Situation(("woman", "child"), "holding", "dog", dict(street=1, field=0.5, kitchen=0.5)),
    _Situation(PEOPLE, "next to", "dog", dict(street=2, beach=1, field=2, snow=1)),
    _Situation(("man", "woman"), "next to", "horse", dict(field=2)),
    _Situation(("man", "woman"), "next to", "car", dict(street=3)),
    _Situation(PEOPLE, "next to", "bicycle", dict(street=1, field=0.5)),
    _Situation(PEOPLE, "next to", "cake", dict(kitchen=1)),
    _Situation(("man", "woman"), "next to", "airplane", dict(field=1, snow=0.3)),
    _Situation(("cat",), None, None, dict(kitchen=3, office=3, street=2, field=1)),
    _Situation(("dog",), None, None, dict(street=3, beach=3, field=3, snow=1.5)),
    _Situation(("horse",), None, None, dict(field=6, beach=1)),
    _Situation(("bird",), None, None, dict(field=3, beach=3, street=2, sky=3)),
    _Situation(("airplane",), None, None, dict(sky=8, field=1)),
    _Situation(("kite",), None, None, dict(sky=3)),
    _Situation(("car",), None, None, dict(street=5, snow=1)),
    _Situation(("bicycle",), None, None, dict(street=3)),
    _Situation(("keyboard",), None, None, dict(office=6)),
    _Situation(("cake",), None, None, dict(kitchen=4)),
    _Situation(("umbrella",), None, None, dict(beach=3)),
    _Situation(("cat",), "next to", "keyboard", dict(office=4)),
    _Situation(("cat",), "next to", "cake", dict(kitchen=1)),
    _Situation(("cat",), "next to", "dog", dict(street=0.5, field=0.5)),
    _Situation(("knife",), "next to", "cake", dict(kitchen=3)),
    _Situation(("dog",), "next to", "ball", dict(beach=2, field=2)),
    _Situation(("bird",), "next to", "bicycle", dict(street=0.5)),
    _Situation(("bird",), "next to", "kite", dict(sky=1)),
)  # fmt: skip
STATUES = (
    _Situation(("man", "woman", "horse", "dog", "bird"), None, None, dict(street=3, field=1.5)),
    _Situation(("man", "woman"), "riding", "horse", dict(street=6, field=2)),
)  # fmt: skip
COUNT_WEIGHTS = {1: 0.60, 2: 0.16, 3: 0.09, 4: 0.08, 5: 0.04, 6: 0.03}
EXTRA = 0.35  # of pictures have an extra thing
ODD = 0.4  # of the extra things are unusual in the place
USUAL_EXTRAS = {
    "kitchen": ("cat", "cake", "knife"),
    "street": ("dog", "bird", "umbrella", "skateboard"),
    "beach": ("umbrella", "ball", "bird", "dog"),
    "snow": ("dog", "bird"),
    "field": ("dog", "bird", "ball", "kite"),
    "office": ("cat", "keyboard"),
    "sky": ("bird", "kite"),
}
EXTRAS = tuple(sorted(set().union(*USUAL_EXTRAS.values())))
# Probability that a caption mentions what is there.
MENTIONED = {"usual": 0.7, "odd": 0.2, "place": 0.7, "colour": 0.35, "size": 0.7, "style": 0.85}
BLACK_AND_WHITE = 0.15  # of pictures
SIZED = 0.3  # of the subjects that can be small or large are


@dataclass(frozen=True)
class Facts:
    """What one picture shows; `None` where there is nothing of the sort.

    Attributes
    ----------
    subject : str
        One of `SCENE_THINGS`.
    place : str
        "kitchen", "street", "beach", "snow", "field", "office" or "sky".
    relation : {"riding", "holding", "next to"} or None
        To what.
    other, other_colour : str or None
        What the subject rides, holds or is next to.
    statue : bool
        Whether the subject, with what it rides, is a statue.
    count : int
        How many subjects, 1 to 6; each rides or holds its own `other`.
    colour : str
        Of the subject, or of a person's clothes.
    size : {"small", "large"} or None
        Of the subject, where that is special.
    extra, extra_colour : str or None
        A small thing in a corner.
    black_and_white : bool
        Whether the picture has no colours.

    Examples
    --------
    >>> Facts("cat", "kitchen", colour="black").count
    1
    """

    subject: str
    place: str
    relation: str | None = None
    other: str | None = None
    statue: bool = False
    count: int = 1
    colour: str = "red"
    size: str | None = None
    other_colour: str | None = None
    extra: str | None = None
    extra_colour: str | None = None
    black_and_white: bool = False

    @property
    def extra_is_odd(self) -> bool:
        """Whether there is an extra that is unusual in this place."""
        return self.extra is not None and self.extra not in USUAL_EXTRAS[self.place]


@dataclass(frozen=True)
class Scenes:
    """Pictures with facts and captions.

    Attributes
    ----------
    images : numpy.ndarray of uint8, shape (n_scenes, 64, 64, 3)
        Red, green and blue.
    facts : list of Facts
        One for each picture.
    captions : list of list of str
        Several for each picture.
    """

    images: np.ndarray
    facts: list[Facts]
    captions: list[list[str]]

    def __len__(self) -> int:
        return len(self.facts)

    def shows(self, statement: str) -> np.ndarray:
        """Return whether a statement is true of each picture, bool of shape (n_scenes,)."""
        return np.array([statement in statements(facts) for facts in self.facts], bool)


def draw_scenes(
    n: int, rng: Randomness, held_out: Sequence[Collection[str]] = (), n_captions: int = 5
) -> Scenes:
    """Draw pictures at random.

    Parameters
    ----------
    n : int
        How many.
    rng : int, numpy.random.Generator or None
        Source of randomness.
    held_out : sequence of sets of str
        Combinations of statements (see `statements`) that no picture may show together, for
        instance ``[{"woman riding horse"}, {"cat", "place: street"}]``.
    n_captions : int
        Captions for each picture, drawn independently.

    Returns
    -------
    Scenes

    Raises
    ------
    ValueError
        If `held_out` has statements that cannot be true, or leaves nothing to draw.

    Examples
    --------
    >>> scenes = draw_scenes(3, rng=0)
    >>> scenes.images.shape
    (3, 64, 64, 3)
    >>> all(parse_caption(caption) <= statements(facts)
    ...     for facts, captions in zip(scenes.facts, scenes.captions) for caption in captions)
    True
    """
    n, n_captions = whole("n", n), whole("n_captions", n_captions)
    held_out = _check_held_out(held_out)
    rng = generator(rng)
    table, weights = situations(held_out)
    facts = []
    while len(facts) < n:
        drawn = [complete_facts(table[i], rng) for i in rng.choice(len(table), n, p=weights)]
        # The table leaves out what it can decide; counts, colours and extras are only known now.
        facts += [f for f in drawn if not any(h <= statements(f) for h in held_out)]
    facts = facts[:n]
    captions = [[draw_caption(f, rng) for _ in range(n_captions)] for f in facts]
    return Scenes(render_scenes(facts, rng), facts, captions)


def situations(held_out: Iterable[Collection[str]] = ()) -> tuple[list[Facts], np.ndarray]:
    """All situations with their probabilities.

    Parameters
    ----------
    held_out : sequence of sets of str
        See `draw_scenes`.

    Returns
    -------
    table : list of Facts
        One subject each, without an extra.
    weights : numpy.ndarray, shape (len(table),)
        Sum to 1.

    Examples
    --------
    >>> table, weights = situations()
    >>> table[0].subject, table[0].place, round(float(weights.sum()), 9)
    ('man', 'street', 1.0)
    """
    table, weights = [], []
    for rows, statue in ((SITUATIONS, False), (STATUES, True)):
        for row in rows:
            for subject, (place, weight) in product(row.subjects, row.weights.items()):
                facts = Facts(subject, place, row.relation, row.other, statue)
                if not any(set(h) <= statements(facts) for h in held_out):
                    table.append(facts)
                    weights.append(weight)
    if not table:
        raise ValueError("held_out leaves no situation to draw from")
    return table, np.array(weights) / sum(weights)


def scene_cooccurrence() -> np.ndarray:
    """Probability that two things are in one picture, as the tables imply it.

    Returns
    -------
    numpy.ndarray, shape (n_things, n_things)
        In the order of `SCENE_THINGS`; the diagonal is the probability of one thing.

    Examples
    --------
    >>> P, at = scene_cooccurrence(), SCENE_THINGS.index
    >>> bool(P[at("man"), at("snowboard")] > P[at("woman"), at("skateboard")] > 0)
    True
    >>> float(P[at("horse"), at("snowboard")])
    0.0
    """
    P = np.zeros((len(SCENE_THINGS), len(SCENE_THINGS)))
    for facts, weight in zip(*situations()):
        shown = [SCENE_THINGS.index(thing) for thing in (facts.subject, facts.other) if thing]
        P[np.ix_(shown, shown)] += weight
        for extra, probability in _extras(facts).items():
            new = SCENE_THINGS.index(extra)
            P[shown, new] += weight * probability
            P[new, shown] += weight * probability
            P[new, new] += weight * probability
    return P


def _extras(facts: Facts) -> dict[str, float]:
    """Probability of each extra thing in a situation."""
    present = (facts.subject, facts.other)
    usual = [thing for thing in USUAL_EXTRAS[facts.place] if thing not in present]
    odd = [
        thing
        for thing in EXTRAS
        if thing not in present and thing not in USUAL_EXTRAS[facts.place]
    ]
    return {
        thing: EXTRA * share / len(things)
        for things, share in ((usual, 1 - ODD), (odd, ODD))
        for thing in things
    }


_COATS = {
    "cat": "black white brown",
    "dog": "black white brown",
    "horse": "black white brown",
    "bird": "red blue green yellow",
    "keyboard": "black blue",
    "knife": "black brown",
}
_COLOURS = {
    thing: _COATS.get(thing, "red blue green yellow").split() for thing in SCENE_THINGS
}


def complete_facts(facts: Facts, rng: Randomness) -> Facts:
    """Add to a situation what the table leaves open, at random.

    Parameters
    ----------
    facts : Facts
        From `situations`.
    rng : int, numpy.random.Generator or None
        Source of randomness.

    Returns
    -------
    Facts
        With a count, colours, perhaps an extra thing, perhaps in black and white.

    Examples
    --------
    >>> complete_facts(Facts("horse", "field"), rng=0).colour in ("black", "white", "brown")
    True
    """
    rng = generator(rng)
    count = (
        1 if facts.statue else int(rng.choice(list(COUNT_WEIGHTS), p=list(COUNT_WEIGHTS.values())))
    )
    sized = count == 1 and facts.relation is None and facts.subject not in PEOPLE
    extras = _extras(facts)
    chosen = rng.choice(len(extras) + 1, p=[*extras.values(), 1 - sum(extras.values())])
    extra = [*extras, None][chosen]

    def colour(thing):
        return None if thing is None else str(rng.choice(_COLOURS[thing]))

    return replace(
        facts,
        count=count,
        colour=colour(facts.subject),
        other_colour=colour(facts.other),
        size=str(rng.choice(["small", "large"])) if sized and rng.random() < SIZED else None,
        extra=extra,
        extra_colour=colour(extra),
        black_and_white=bool(rng.random() < BLACK_AND_WHITE),
    )


# --- facts as statements -------------------------------------------------------------------------


class Statement(NamedTuple):
    """One statement in named parts; ``str`` gives its short string again.

    Attributes
    ----------
    about : str
        "thing", "relation", "statue", "count", "colour", "size", "place" or "style".
    thing : str
        What it is said of; empty for place and style, which are said of the picture.
    value : str
        The count, colour, size, place, style or relation; empty for a thing and a statue.
    other : str
        The second thing of a relation, or empty.

    Examples
    --------
    >>> Statement.parse("count of man: two")
    Statement(about='count', thing='man', value='two', other='')
    >>> str(Statement("relation", "man", "riding", "horse"))
    'man riding horse'
    """

    about: str
    thing: str = ""
    value: str = ""
    other: str = ""

    @classmethod
    def parse(cls, text: str) -> Statement:
        """Read a statement from its short string."""
        return _parse(text)

    def __str__(self) -> str:
        return {
            "thing": f"{self.thing}",
            "statue": f"statue of {self.thing}",
            "relation": f"{self.thing} {self.value} {self.other}",
            "place": f"place: {self.value}",
            "style": f"style: {self.value}",
        }.get(self.about, f"{self.about} of {self.thing}: {self.value}")


@functools.lru_cache(maxsize=2**12)  # a few hundred statements come again and again
def _parse(text: str) -> Statement:
    head, colon, value = text.partition(": ")
    about, of, thing = head.partition(" of ")
    if colon and head in ("place", "style"):
        return Statement(head, value=value)
    if of and thing in SCENE_THINGS:
        if about == "statue" and not colon:
            return Statement("statue", thing)
        if about in ("count", "colour", "size") and value:
            return Statement(about, thing, value)
    if text in SCENE_THINGS:
        return Statement("thing", text)
    for relation in ("riding", "holding", "next to"):
        one, found, other = text.partition(f" {relation} ")
        if found and one in SCENE_THINGS and other in SCENE_THINGS:
            return Statement("relation", one, relation, other)
    raise ValueError(f"{text!r} is not a statement such as 'cat' or 'count of cat: two'")


def statements(facts: Facts) -> frozenset[str]:
    """All that is true of a picture, as short strings.

    Parameters
    ----------
    facts : Facts

    Returns
    -------
    frozenset of str
        Things by their names, and ``"man riding horse"``, ``"count of man: two"``, ``"statue of
        man"``, ``"colour of horse: brown"``, ``"size of dog: large"``, ``"place: field"``,
        ``"style: black and white"``. From three on, a count is also a ``group``.

    Examples
    --------
    >>> for statement in sorted(statements(Facts("cat", "office", "next to", "keyboard", count=2))):
    ...     print(statement)
    cat
    cat next to keyboard
    colour of cat: red
    count of cat: two
    count of keyboard: one
    keyboard
    place: office
    """
    true = {
        facts.subject,
        f"place: {facts.place}",
        f"count of {facts.subject}: {COUNTS[facts.count]}",
    }
    if facts.count >= 3:
        true.add(f"count of {facts.subject}: group")
    if facts.relation:
        true |= {facts.other, _related(facts.subject, facts.relation, facts.other)}
        if facts.count == 1 or facts.relation == "next to":
            true.add(f"count of {facts.other}: one")
    if facts.extra:
        true |= {facts.extra, f"count of {facts.extra}: one"}
    if facts.statue:
        true.add(f"statue of {facts.subject}")
    if facts.size:
        true.add(f"size of {facts.subject}: {facts.size}")
    if facts.black_and_white:
        return frozenset(true | {"style: black and white"})
    for thing, colour in (
        (facts.subject, None if facts.statue else facts.colour),
        (facts.other, None if facts.statue else facts.other_colour),
        (facts.extra, facts.extra_colour),
    ):
        if thing and colour:
            true.add(f"colour of {thing}: {colour}")
    return frozenset(true)


def salient_statements(facts: Facts) -> frozenset[str]:
    """What a caption should say at least: subject, how many, what it does, statue, style.

    Parameters
    ----------
    facts : Facts

    Returns
    -------
    frozenset of str
        A subset of ``statements(facts)``.

    Examples
    --------
    >>> sorted(salient_statements(Facts("cat", "kitchen", extra="cake")))
    ['cat', 'count of cat: one']
    """
    group = "group" if facts.count > 4 else COUNTS[facts.count]
    wanted = {
        facts.subject,
        f"count of {facts.subject}: {group}",
        f"statue of {facts.subject}",
        "style: black and white",
        facts.other,
    }
    if facts.relation:
        wanted.add(_related(facts.subject, facts.relation, facts.other))
    return statements(facts) & wanted


def _related(one: str, relation: str, other: str) -> str:
    # Being next to each other has no direction.
    one, other = sorted((one, other)) if relation == "next to" else (one, other)
    return f"{one} {relation} {other}"


# --- captions ------------------------------------------------------------------------------------

PLACE_PHRASES = {
    "kitchen": ("in a kitchen", "in the kitchen"),
    "street": ("on a street", "in the street", "on the road"),
    "beach": ("on the beach", "at the beach"),
    "snow": ("in the snow", "on the snow"),
    "field": ("in a field", "on the grass"),
    "office": ("in an office", "on a desk"),
    "sky": ("in the sky", "in the air"),
}
_RELATION_WORDS = {
    "riding": ("riding", "riding on"),
    "holding": ("holding", "with"),
    "next to": ("next to", "beside"),
}
_ALONE = {
    **dict.fromkeys(PEOPLE, "standing"),
    "cat": "sitting",
    "dog": "running",
    "horse": "standing",
    "airplane": "flying",
    "kite": "flying",
    "car": "parked",
    "bicycle": "parked",
}


def draw_caption(facts: Facts, rng: Randomness) -> str:
    """Draw one of the captions that people might write under a picture.

    Parameters
    ----------
    facts : Facts
        What the picture shows.
    rng : int, numpy.random.Generator or None
        Source of randomness.

    Returns
    -------
    str
        Lower-case words separated by spaces.

    Examples
    --------
    >>> draw_caption(Facts("man", "street", "riding", "horse", statue=True), rng=11)
    'a statue of a man riding a horse on a street'
    """
    rng = generator(rng)
    colourless = facts.black_and_white or facts.statue

    def mentioned(what):
        return rng.random() < MENTIONED[what]

    def phrase(thing, colour=None, size=None, many=False):
        person = thing in PEOPLE
        seen = colour and not facts.black_and_white and mentioned("colour")
        words = [size] if size and mentioned("size") else []
        words += [colour] if seen and not person else []
        words += [PLURALS[thing] if many else thing]
        if seen and person:
            words += ["in", colour] if many or rng.random() < 0.5 else ["in", "a", colour, "shirt"]
        return " ".join(words) if many else _with_article(" ".join(words))

    parts = []
    if facts.black_and_white and mentioned("style"):
        parts.append(f"a black and white {rng.choice(['photo', 'picture'])} of")
    first = phrase(facts.subject, None if colourless else facts.colour, facts.size, facts.count > 1)
    if facts.statue:
        first = f"a statue of {first}"
    if facts.count > 4 or (facts.count > 2 and rng.random() < 0.15):
        first = f"a group of {first}"
    elif facts.count > 1:
        first = f"{COUNTS[facts.count]} {first}"
    if facts.relation is None:
        verb = _ALONE.get(facts.subject)
        parts += [first] + ([verb] if verb and not facts.statue and rng.random() < 0.5 else [])
    else:
        many = facts.count > 1 and facts.relation != "next to"
        second = phrase(facts.other, None if colourless else facts.other_colour, many=many)
        if facts.relation == "next to" and rng.random() < 0.3:
            first, second = second, first
        parts += [first, str(rng.choice(_RELATION_WORDS[facts.relation])), second]
    if mentioned("place"):
        parts.append(str(rng.choice(PLACE_PHRASES[facts.place])))
    if facts.extra and mentioned("odd" if facts.extra_is_odd else "usual"):
        third = phrase(facts.extra, facts.extra_colour)
        parts.append(f"and {third} nearby" if rng.random() < 0.5 else f"near {third}")
    return " ".join(parts)


def _with_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


# What a word of a caption names.
_THING_OF = {thing: thing for thing in SCENE_THINGS} | {many: one for one, many in PLURALS.items()}
_PLACE_OF = {
    phrase.split()[-1]: place for place, phrases in PLACE_PHRASES.items() for phrase in phrases
}
CAPTION_VOCABULARY = tuple(
    sorted(
        {
            *_THING_OF,
            *_PLACE_OF,
            *COLOURS,
            *_ALONE.values(),
            *"a an the in on at of and near nearby with to next beside riding holding".split(),
            *"small large two three four group statue photo picture shirt".split(),
        }
    )
)


@functools.lru_cache(maxsize=2**16)  # captions come again and again
def parse_caption(caption: str) -> frozenset[str]:
    """Return the statements that a caption makes.

    Parameters
    ----------
    caption : str
        Words of `CAPTION_VOCABULARY`; it need not be a sentence of the grammar.

    Returns
    -------
    frozenset of str
        In the form of `statements`.

    Raises
    ------
    ValueError
        If a word is not in the vocabulary.

    Examples
    --------
    >>> sorted(parse_caption("two men in red riding horses in a field"))
    ['colour of man: red', 'count of man: two', 'horse', 'man', 'man riding horse', 'place: field']
    """
    words = caption.split()
    if unknown := sorted(set(words) - set(CAPTION_VOCABULARY)):
        raise ValueError(f"caption has words that are not in the vocabulary: {', '.join(unknown)}")
    said, previous, relation, loose = set(), None, None, []
    for i, word in enumerate(words):
        if word in _THING_OF:
            thing = _THING_OF[word]
            said.add(thing)
            if previous and relation:
                said.add(_related(previous, relation, thing))
            counted = [w for w in loose if w in ("two", "three", "four", "group")]
            if word == thing or counted:
                said.add(f"count of {thing}: {counted[-1] if counted else 'one'}")
            said |= {f"colour of {thing}: {w}" for w in loose if w in COLOURS}
            said |= {f"size of {thing}: {w}" for w in loose if w in ("small", "large")}
            if "statue" in loose:
                said.add(f"statue of {thing}")
            previous, relation, loose = thing, None, []
        elif word in _PLACE_OF:
            said.add(f"place: {_PLACE_OF[word]}")
        elif word in ("photo", "picture"):
            said.add("style: black and white")
            loose = []
        elif word in COLOURS and previous and _follows_in(words[:i]):
            said.add(f"colour of {previous}: {word}")
        elif word in ("riding", "holding", "with", "next", "beside"):
            relation = {"with": "holding", "next": "next to", "beside": "next to"}.get(word, word)
        else:
            loose.append(word)
    return frozenset(said)


def _follows_in(before: list[str]) -> bool:
    return before[-1:] == ["in"] or before[-2:] == ["in", "a"]


def _check_held_out(held_out: Sequence[Collection[str]]) -> list[frozenset[str]]:
    known = set(SCENE_THINGS) | {"style: black and white"}
    for facts in situations()[0]:
        known |= statements(facts)
    known |= {f"count of {t}: {c}" for t in SCENE_THINGS for c in COUNTS.values()}
    known |= {f"colour of {t}: {c}" for t in SCENE_THINGS for c in COLOURS}
    known |= {f"size of {t}: {s}" for t in SCENE_THINGS for s in ("small", "large")}
    for combination in held_out:
        if isinstance(combination, str) or not set(combination) or not set(combination) <= known:
            raise ValueError(
                "held_out must be a sequence of sets of statements such as 'cat' or "
                f"'man riding horse', got {combination!r}"
            )
    return [frozenset(combination) for combination in held_out]
