"""Made pictures with known facts, and captions that people might write under them.

A picture shows a subject (one to six of a kind), perhaps something that it rides, holds or stands
next to, a place, and perhaps an extra thing in a corner. What occurs together follows a table of
situations: often, seldom or never. Captions come from a small grammar and say what is salient: the
subject and what it does, mostly the place, seldom an extra that is out of place.

`draw` gives pictures with facts and captions, `statements` the facts of a picture as a set of short
strings, and `facts_of` those that a caption states, so that a caption can be checked.
"""

import functools
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from hblib.worlds._scene_painting import render
from hblib.worlds._sprites import COLOURS, THINGS

PEOPLE, ANIMALS = ("man", "woman", "child"), ("cat", "dog", "horse", "bird")
KINDS = tuple(kind for kind in THINGS if kind != "pedestal")
PLURALS = {"man": "men", "woman": "women", "child": "children", "knife": "knives"}
PLURALS = {kind: PLURALS.get(kind, kind + "s") for kind in KINDS}
COUNTS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "group", 6: "group"}

# Subjects, relation, other thing, weight in each place. What is not listed never occurs.
SITUATIONS = (
    (PEOPLE, None, None, dict(street=3, beach=2, snow=2, field=2, kitchen=2, office=1)),
    (("man", "woman"), "riding", "horse", dict(field=5, beach=2)),
    (("child",), "riding", "horse", dict(field=0.5)),
    (PEOPLE, "riding", "bicycle", dict(street=4, field=2)),
    (("man", "child"), "riding", "skateboard", dict(street=5)),
    (("woman",), "riding", "skateboard", dict(street=0.5)),
    (PEOPLE, "riding", "snowboard", dict(snow=6)),
    (("man", "woman"), "riding", "surfboard", dict(beach=6)),
    (("dog",), "riding", "skateboard", dict(street=0.7)),
    (("dog",), "riding", "surfboard", dict(beach=0.7)),
    (PEOPLE, "holding", "umbrella", dict(street=3, beach=2, snow=0.5)),
    (PEOPLE, "holding", "cake", dict(kitchen=3, office=0.5)),
    (("man", "woman"), "holding", "knife", dict(kitchen=3)),
    (PEOPLE, "holding", "kite", dict(beach=2, field=2)),
    (PEOPLE, "holding", "ball", dict(field=2, beach=2)),
    (PEOPLE, "holding", "cat", dict(kitchen=2, office=1)),
    (("woman", "child"), "holding", "dog", dict(street=1, field=0.5, kitchen=0.5)),
    (PEOPLE, "next to", "dog", dict(street=2, beach=1, field=2, snow=1)),
    (("man", "woman"), "next to", "horse", dict(field=2)),
    (("man", "woman"), "next to", "car", dict(street=3)),
    (PEOPLE, "next to", "bicycle", dict(street=1, field=0.5)),
    (PEOPLE, "next to", "cake", dict(kitchen=1)),
    (("man", "woman"), "next to", "airplane", dict(field=1, snow=0.3)),
    (("cat",), None, None, dict(kitchen=3, office=3, street=2, field=1)),
    (("dog",), None, None, dict(street=3, beach=3, field=3, snow=1.5)),
    (("horse",), None, None, dict(field=6, beach=1)),
    (("bird",), None, None, dict(field=3, beach=3, street=2, sky=3)),
    (("airplane",), None, None, dict(sky=8, field=1)),
    (("kite",), None, None, dict(sky=3)),
    (("car",), None, None, dict(street=5, snow=1)),
    (("bicycle",), None, None, dict(street=3)),
    (("keyboard",), None, None, dict(office=6)),
    (("cake",), None, None, dict(kitchen=4)),
    (("umbrella",), None, None, dict(beach=3)),
    (("cat",), "next to", "keyboard", dict(office=4)),
    (("cat",), "next to", "cake", dict(kitchen=1)),
    (("cat",), "next to", "dog", dict(street=0.5, field=0.5)),
    (("knife",), "next to", "cake", dict(kitchen=3)),
    (("dog",), "next to", "ball", dict(beach=2, field=2)),
    (("bird",), "next to", "bicycle", dict(street=0.5)),
    (("bird",), "next to", "kite", dict(sky=1)),
)  # fmt: skip
STATUES = (
    (("man", "woman", "horse", "dog", "bird"), None, None, dict(street=3, field=1.5)),
    (("man", "woman"), "riding", "horse", dict(street=6, field=2)),
)  # fmt: skip
COUNT_WEIGHTS = {1: 0.60, 2: 0.16, 3: 0.09, 4: 0.08, 5: 0.04, 6: 0.03}
# An extra thing is in one picture of three; mostly one that is usual in the place.
EXTRA, ODD = 0.35, 0.4
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
# How often a caption mentions what is there.
MENTIONED = {"usual": 0.7, "odd": 0.2, "place": 0.7, "colour": 0.35, "size": 0.7, "style": 0.85}
BLACK_AND_WHITE, SIZED = 0.15, 0.3


@dataclass(frozen=True)
class Facts:
    """What one picture shows: `None` where there is nothing of the sort.

    Attributes
    ----------
    subject : str
        Its kind, one of `KINDS`.
    count : int
        How many subjects, 1 to 6; each rides or holds its own `other`.
    colour : str
        Of the subjects; of its clothes for a person.
    size : {"small", "large"} or None
    statue : bool
    relation : {"riding", "holding", "next to"} or None
    other, other_colour : str or None
    place : str
        One of `sprites.PLACES`.
    extra, extra_colour : str or None
        A small thing in a corner.
    black_and_white : bool
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
    def extra_is_odd(self):
        """Whether there is an extra that is unusual in this place."""
        return self.extra is not None and self.extra not in USUAL_EXTRAS[self.place]


@dataclass(frozen=True)
class Scenes:
    """Pictures with facts and captions.

    Attributes
    ----------
    images : numpy.ndarray of uint8, shape (n_scenes, 64, 64, 3)
    facts : list of Facts
    captions : list of list of str
        Several captions a picture.
    """

    images: np.ndarray
    facts: list
    captions: list

    def __len__(self):
        return len(self.facts)

    def show(self, statement):
        """Whether a statement is true of each picture: bool array of shape (n_scenes,)."""
        return np.array([statement in statements(facts) for facts in self.facts], bool)


def draw(n, rng, held_out=(), n_captions=5):
    """Draw pictures at random.

    Parameters
    ----------
    n : int
        How many.
    rng : numpy.random.Generator or int
        Source of randomness.
    held_out : sequence of sets of str
        Combinations of statements (see `statements`) that no picture may show together, for
        instance ``[{"woman riding horse"}, {"cat", "place: street"}]``.
    n_captions : int
        Captions for each picture, drawn independently.

    Returns
    -------
    Scenes

    Examples
    --------
    >>> scenes = draw(3, rng=0)
    >>> scenes.images.shape
    (3, 64, 64, 3)
    >>> all(facts_of(caption) <= statements(facts)
    ...     for facts, captions in zip(scenes.facts, scenes.captions) for caption in captions)
    True
    """
    if not isinstance(n, int | np.integer) or n < 1:
        raise ValueError(f"n must be a positive integer, got {n!r}")
    if not isinstance(n_captions, int | np.integer) or n_captions < 1:
        raise ValueError(f"n_captions must be a positive integer, got {n_captions!r}")
    held_out = _check_held_out(held_out)
    rng = np.random.default_rng(rng)
    table, weights = situations(held_out)
    facts = []
    while len(facts) < n:
        some = [complete(table[i], rng) for i in rng.choice(len(table), n, p=weights)]
        # The table leaves out what it can decide; counts, colours and extras are only known now.
        facts += [f for f in some if not any(h <= statements(f) for h in held_out)]
    facts = facts[:n]
    captions = [[caption(f, rng) for _ in range(n_captions)] for f in facts]
    return Scenes(render(facts, rng), facts, captions)


def situations(held_out=()):
    """All situations with their probabilities.

    Parameters
    ----------
    held_out : sequence of sets of str
        See `draw`.

    Returns
    -------
    table : list of Facts
        One subject each, without an extra.
    weights : numpy.ndarray, shape (len(table),)
        Sum to 1.
    """
    table, weights = [], []
    for rows, statue in ((SITUATIONS, False), (STATUES, True)):
        for subjects, relation, other, places in rows:
            for subject, (place, weight) in product(subjects, places.items()):
                facts = Facts(subject, place, relation, other, statue)
                if not any(set(h) <= statements(facts) for h in held_out):
                    table.append(facts)
                    weights.append(weight)
    if not table:
        raise ValueError("held_out leaves no situation to draw from")
    return table, np.array(weights) / sum(weights)


def co_occurrence():
    """Probability that two things are in one picture, as the tables imply it.

    Returns
    -------
    numpy.ndarray, shape (n_kinds, n_kinds)
        In the order of `KINDS`; the diagonal is the probability of one thing.

    Examples
    --------
    >>> P, at = co_occurrence(), KINDS.index
    >>> bool(P[at("man"), at("snowboard")] > P[at("woman"), at("skateboard")] > 0)
    True
    >>> float(P[at("horse"), at("snowboard")])
    0.0
    """
    P = np.zeros((len(KINDS), len(KINDS)))
    for facts, weight in zip(*situations()):
        shown = [KINDS.index(kind) for kind in (facts.subject, facts.other) if kind]
        P[np.ix_(shown, shown)] += weight
        for extra, probability in _extras(facts).items():
            new = KINDS.index(extra)
            P[shown, new] += weight * probability
            P[new, shown] += weight * probability
            P[new, new] += weight * probability
    return P


def _extras(facts):
    """Probability of each extra thing in a situation."""
    usual = [kind for kind in USUAL_EXTRAS[facts.place] if kind not in (facts.subject, facts.other)]
    odd = [
        kind
        for kind in EXTRAS
        if kind not in (*usual, facts.subject, facts.other)
        and kind not in USUAL_EXTRAS[facts.place]
    ]
    return {
        kind: EXTRA * share / len(kinds)
        for kinds, share in ((usual, 1 - ODD), (odd, ODD))
        for kind in kinds
    }


_COATS = {
    "cat": "black white brown",
    "dog": "black white brown",
    "horse": "black white brown",
    "bird": "red blue green yellow",
    "keyboard": "black blue",
    "knife": "black brown",
}
_COLOURS = {kind: _COATS.get(kind, "red blue green yellow").split() for kind in KINDS}


def complete(facts, rng):
    """Add to a situation what the table leaves open, at random.

    Parameters
    ----------
    facts : Facts
        From `situations`.
    rng : numpy.random.Generator

    Returns
    -------
    Facts
        With a count, colours, perhaps an extra thing, perhaps in black and white.
    """
    count = (
        1 if facts.statue else int(rng.choice(list(COUNT_WEIGHTS), p=list(COUNT_WEIGHTS.values())))
    )
    sized = count == 1 and facts.relation is None and facts.subject not in PEOPLE
    extras = _extras(facts)
    chosen = rng.choice(len(extras) + 1, p=[*extras.values(), 1 - sum(extras.values())])
    extra = [*extras, None][chosen]

    def colour(kind):
        return None if kind is None else str(rng.choice(_COLOURS[kind]))

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


def statements(facts):
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
    for kind, colour in (
        (facts.subject, None if facts.statue else facts.colour),
        (facts.other, None if facts.statue else facts.other_colour),
        (facts.extra, facts.extra_colour),
    ):
        if kind and colour:
            true.add(f"colour of {kind}: {colour}")
    return frozenset(true)


def salient(facts):
    """What a caption should say at least: subject, how many, what it does, statue, style.

    Parameters
    ----------
    facts : Facts

    Returns
    -------
    frozenset of str
        A subset of ``statements(facts)``.
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


def _related(one, relation, other):
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


def caption(facts, rng):
    """One of the captions that people might write under a picture.

    Parameters
    ----------
    facts : Facts
    rng : numpy.random.Generator or int

    Returns
    -------
    str
        Lower-case words separated by spaces.

    Examples
    --------
    >>> caption(Facts("man", "street", "riding", "horse", statue=True), rng=11)
    'a statue of a man riding a horse on a street'
    """
    rng = np.random.default_rng(rng)
    colourless = facts.black_and_white or facts.statue

    def mentioned(what):
        return rng.random() < MENTIONED[what]

    def phrase(kind, colour=None, size=None, many=False):
        person = kind in PEOPLE
        seen = colour and not facts.black_and_white and mentioned("colour")
        words = [size] if size and mentioned("size") else []
        words += [colour] if seen and not person else []
        words += [PLURALS[kind] if many else kind]
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


def _with_article(words):
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


_KIND_OF = {**{kind: kind for kind in KINDS}, **{many: kind for kind, many in PLURALS.items()}}
_PLACE_OF = {
    phrase.split()[-1]: place for place, phrases in PLACE_PHRASES.items() for phrase in phrases
}
VOCABULARY = tuple(
    sorted(
        {
            *_KIND_OF,
            *_PLACE_OF,
            *COLOURS,
            *_ALONE.values(),
            *"a an the in on at of and near nearby with to next beside riding holding".split(),
            *"small large two three four group statue photo picture shirt".split(),
        }
    )
)


@functools.lru_cache(maxsize=2**16)  # captions come again and again
def facts_of(caption):
    """The statements that a caption makes.

    Parameters
    ----------
    caption : str
        Words of `VOCABULARY`; it need not be a sentence of the grammar.

    Returns
    -------
    frozenset of str
        In the form of `statements`.

    Examples
    --------
    >>> sorted(facts_of("two men in red riding horses in a field"))
    ['colour of man: red', 'count of man: two', 'horse', 'man', 'man riding horse', 'place: field']
    """
    words = caption.split()
    if unknown := sorted(set(words) - set(VOCABULARY)):
        raise ValueError(f"caption has words that are not in the vocabulary: {', '.join(unknown)}")
    said, previous, relation, loose = set(), None, None, []
    for i, word in enumerate(words):
        if word in _KIND_OF:
            kind = _KIND_OF[word]
            said.add(kind)
            if previous and relation:
                said.add(_related(previous, relation, kind))
            counted = [w for w in loose if w in ("two", "three", "four", "group")]
            if word == kind or counted:
                said.add(f"count of {kind}: {counted[-1] if counted else 'one'}")
            said |= {f"colour of {kind}: {w}" for w in loose if w in COLOURS}
            said |= {f"size of {kind}: {w}" for w in loose if w in ("small", "large")}
            if "statue" in loose:
                said.add(f"statue of {kind}")
            previous, relation, loose = kind, None, []
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


def _follows_in(before):
    return before[-1:] == ["in"] or before[-2:] == ["in", "a"]


def _check_held_out(held_out):
    known = set(KINDS) | {"style: black and white"}
    for table_facts in situations()[0]:
        known |= statements(table_facts)
    known |= {f"count of {k}: {c}" for k in KINDS for c in COUNTS.values()}
    known |= {f"colour of {k}: {c}" for k in KINDS for c in COLOURS}
    known |= {f"size of {k}: {s}" for k in KINDS for s in ("small", "large")}
    for combination in held_out:
        if isinstance(combination, str) or not set(combination) or not set(combination) <= known:
            raise ValueError(
                "held_out must be a sequence of sets of statements such as 'cat' or "
                f"'man riding horse', got {combination!r}"
            )
    return [frozenset(combination) for combination in held_out]
