"""What captions say, and what becomes of them when the code behind them is changed.

Captions of made scenes are read by `hblib.worlds`, which turns a sentence into a set of short
statements, so that nobody has to judge:

- `caption_jaccard` compares captions by what they say, `caption_quality` compares them with facts;
- `caption_lift`: do the pictures that use an atom show what the atom, decoded by itself, says?
- `minimal_pairs`, pictures that differ in one thing only, and `named_by_atoms`: is that thing among
  a code's atoms?
- `interpolate`, `named_sides` and `switches_abruptly`: what captions along a line between two codes
  name;
- `states_count`: does a caption give a certain thing the right count?
- `single_things`, `two_things` and `pairs_of_things`: pictures for lines and modifiers.

An atom *by itself* is the atom times the typical length of a code: a decoder has no reason to make
sense of codes that are much shorter or longer.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse as sp

from hblib import worlds
from hblib._checks import Randomness, as_array, choice, generator, whole
from hblib.meaning._attributes import top_inputs

if TYPE_CHECKING:
    import pandas as pd

# --- what captions say ----------------------------------------------------------------------------


def caption_statements(captions: Iterable[str]) -> list[frozenset[str]]:
    """Statements that each caption makes.

    Parameters
    ----------
    captions : iterable of str
        Words of the vocabulary of `hblib.worlds`.

    Returns
    -------
    list of frozenset of str
        As short strings, for instance ``"man riding horse"``; see `hblib.worlds.Statement`.

    Raises
    ------
    ValueError
        If a caption has words outside the vocabulary.

    Examples
    --------
    >>> sorted(caption_statements(["a cat in a kitchen"])[0])
    ['cat', 'count of cat: one', 'place: kitchen']
    """
    if isinstance(captions, str):
        raise ValueError(f"captions must be several captions, not one: {captions!r}")
    return [worlds.parse_caption(caption) for caption in captions]


def caption_jaccard(captions: Sequence[str], others: Sequence[str]) -> NDArray[np.float64]:
    """Jaccard index of captions: the statements two captions share, of those either one makes.

    Parameters
    ----------
    captions, others : list of str
        In pairs.

    Returns
    -------
    ndarray of shape (n_captions,)
        From 0 (nothing in common) to 1; 1 also if neither says anything.

    Raises
    ------
    ValueError
        If the captions do not come in pairs.

    Examples
    --------
    >>> caption_jaccard(["a cat on a street", "two cats"], ["a cat in a kitchen", "two cats"])
    array([0.5, 1. ])
    """
    if len(captions) != len(others):
        raise ValueError(
            f"captions and others must come in pairs, got {len(captions)} and {len(others)}"
        )
    pairs = zip(caption_statements(captions), caption_statements(others), strict=True)
    return np.array([len(a & b) / len(a | b) if a | b else 1.0 for a, b in pairs])


def caption_quality(captions: Sequence[str], facts: Sequence[worlds.Facts]) -> pd.Series:
    """How good captions are, judged by the facts of the pictures.

    Parameters
    ----------
    captions : list of str
        One per picture.
    facts : list of hblib.worlds.Facts
        Of the pictures.

    Returns
    -------
    pandas.Series
        ``statements true``: share of what the captions say; ``salient said``: share of what they
        should say at least (`hblib.worlds.salient_statements`) that they do say; ``nothing false``
        and ``all salient said``: share of captions; ``exact``: share of captions that are both;
        ``distinct``: number of different captions by number of captions.

    Examples
    --------
    >>> from hblib.worlds import Facts
    >>> facts = [Facts("cat", "kitchen")] * 2
    >>> float(caption_quality(["a cat in a kitchen", "two dogs in a kitchen"], facts)["exact"])
    0.5
    """
    import pandas as pd

    if not len(captions) or len(captions) != len(facts):
        raise ValueError(
            "captions and facts must come in pairs, at least one, got "
            f"{len(captions)} and {len(facts)}"
        )
    says = caption_statements(captions)
    true = [len(s & worlds.statements(f)) for s, f in zip(says, facts, strict=True)]
    salient = [worlds.salient_statements(f) for f in facts]
    hits = [len(s & should) for s, should in zip(says, salient, strict=True)]
    clean = np.array(true) == [len(s) for s in says]
    complete = np.array(hits) == [len(should) for should in salient]
    return pd.Series({
        "statements true": sum(true) / max(sum(map(len, says)), 1),
        "salient said": sum(hits) / sum(map(len, salient)),
        "nothing false": clean.mean(),
        "all salient said": complete.mean(),
        "exact": (clean & complete).mean(),
        "distinct": len(set(captions)) / len(captions),
    })  # fmt: skip


def things_and_relations(statements: Iterable[str]) -> set[str]:
    """The statements about things and their relations: what nouns and verbs between nouns say.

    Parameters
    ----------
    statements : iterable of str
        Of one caption or picture.

    Returns
    -------
    set of str
        Those of them that are about a thing or a relation.

    Raises
    ------
    ValueError
        If a string is no statement.

    Examples
    --------
    >>> (said,) = caption_statements(["two men in red riding horses in a field"])
    >>> sorted(things_and_relations(said))
    ['horse', 'man', 'man riding horse']
    """
    return {s for s in statements if worlds.Statement.parse(s).about in ("thing", "relation")}


# --- atoms and pictures ---------------------------------------------------------------------------


def caption_lift(
    codes: Any, says: Sequence[Collection[str]], facts: Sequence[worlds.Facts], n_top: int = 10
) -> NDArray[np.float64]:
    """How far the pictures that use an atom show what it says: base rate is 0, certainty 1.

    Parameters
    ----------
    codes : sparse array or array_like, shape (n_pictures, n_atoms)
        Weights, signs turned so that most of an atom's are positive. A picture uses an atom if the
        weight is stored (sparse) or is not 0 (dense).
    says : list of sets of str
        Statements of each atom by itself; `things_and_relations` count.
    facts : list of hblib.worlds.Facts
        Of the pictures.
    n_top : int
        Pictures with the largest weights that are looked at, among those that use the atom.

    Returns
    -------
    ndarray of shape (n_atoms,)
        Mean over the statements of ``(p - b) / (1 - b)``, where p is the share of the top pictures
        of which the statement is true and b that of all. 0 for an atom that says nothing, NaN for
        one that fewer than `n_top` pictures use.

    Examples
    --------
    >>> from hblib.worlds import Facts
    >>> facts = [Facts("cat", "kitchen"), Facts("dog", "street")]
    >>> caption_lift([[2.0], [0.0]], [{"cat"}], facts, n_top=1)
    array([1.])
    """
    n_top = whole("n_top", n_top)
    codes = _sparse_codes(codes, sp.csc_array)
    if codes.shape != (len(facts), len(says)):
        raise ValueError(
            "codes must have one row per picture of facts and one column per atom of says, shape "
            f"{(len(facts), len(says))}, got {codes.shape}"
        )
    shown = [things_and_relations(worlds.statements(f)) for f in facts]
    base = {s: sum(s in one for one in shown) / len(shown) for s in set().union(*shown)}
    result = np.full(codes.shape[1], np.nan)
    for atom, statements in enumerate(says):
        column = slice(codes.indptr[atom], codes.indptr[atom + 1])
        if column.stop - column.start < n_top:
            continue
        users, weights = codes.indices[column], codes.data[column]
        top = users[top_inputs(weights[:, None], n_top).indices[0]]
        lifts = [
            (np.mean([s in shown[i] for i in top]) - base[s]) / (1 - base[s]) if s in base else 0.0
            for s in sorted(things_and_relations(statements))
        ]
        result[atom] = np.mean(lifts) if lifts else 0.0
    return result


def minimal_pairs(
    facts: Iterable[worlds.Facts], rng: Randomness
) -> tuple[list[worlds.Facts], NDArray[np.uint8], NDArray[np.uint8]]:
    """Pictures with an extra thing, and the same pictures without it.

    Parameters
    ----------
    facts : list of hblib.worlds.Facts
        Those without an extra thing are left out.
    rng : int, sequence of int, numpy.random.Generator or None
        Paints the pictures.

    Returns
    -------
    kept : list of hblib.worlds.Facts
        Those with an extra thing.
    images, without : ndarray of uint8, shape (len(kept), 64, 64, 3)
        Equal in every pixel that the extra thing does not cover.

    Raises
    ------
    ValueError
        If no picture has an extra thing.

    Examples
    --------
    >>> from hblib.worlds import Facts
    >>> facts = [Facts("man", "street", extra="dog", extra_colour="brown")]
    >>> _, images, without = minimal_pairs(facts, rng=0)
    >>> bool(0 < (images != without).mean() < 0.2)
    True
    """
    kept = [f for f in facts if f.extra]
    if not kept:
        raise ValueError("facts must hold at least one picture with an extra thing")
    seed = int(generator(rng).integers(2**63))
    bare = [replace(f, extra=None, extra_colour=None) for f in kept]
    return kept, worlds.render_scenes(kept, seed), worlds.render_scenes(bare, seed)


def named_by_atoms(
    codes: Any, says: Sequence[Collection[str]], things: Sequence[str]
) -> NDArray[np.bool_]:
    """Whether one of the atoms of each code names a certain thing.

    Parameters
    ----------
    codes : sparse array or array_like, shape (n_pictures, n_atoms)
        Weights; the atoms of a code are those stored (sparse) or not 0 (dense).
    says : list of sets of str
        Statements of each atom by itself.
    things : list of str
        The thing to look for in each picture.

    Returns
    -------
    ndarray of bool, shape (n_pictures,)

    Examples
    --------
    >>> codes = [[2.0, 0.0, -1.0], [0.0, 3.0, 0.0]]
    >>> named_by_atoms(codes, [{"man"}, {"dog"}, {"cat"}], ["cat", "cat"])
    array([ True, False])
    """
    codes = _sparse_codes(codes, sp.csr_array)
    if codes.shape != (len(things), len(says)):
        raise ValueError(
            "codes must have one row per picture of things and one column per atom of says, shape "
            f"{(len(things), len(says))}, got {codes.shape}"
        )
    return np.array([
        any(thing in says[atom] for atom in codes.indices[codes.indptr[i] : codes.indptr[i + 1]])
        for i, thing in enumerate(things)
    ])  # fmt: skip


def correlated_atoms(codes: Any, true: ArrayLike, n_best: int) -> NDArray[np.intp]:
    """Atoms whose weights are most correlated with a truth value, best first.

    Parameters
    ----------
    codes : sparse array or array_like, shape (n_pictures, n_atoms)
        Weights.
    true : array_like of bool, shape (n_pictures,)
        Of each picture.
    n_best : int
        How many atoms; all of them if there are fewer.

    Returns
    -------
    ndarray of int, shape (n_best,)

    Examples
    --------
    >>> correlated_atoms([[1.0, 0.0], [0.0, 2.0], [1.0, 3.0]], [False, True, True], n_best=1)
    array([1])
    """
    codes = _sparse_codes(codes, sp.csr_array)
    n_best = whole("n_best", n_best)
    true = as_array("true", true)
    if true.shape != codes.shape[:1] or not np.isin(true, (0, 1)).all():
        raise ValueError(f"true must hold True or False for each of {codes.shape[0]} pictures")
    target = true.astype(float) - np.mean(true)
    mean = np.asarray(codes.mean(axis=0)).ravel()
    variance = np.asarray(codes.power(2).mean(axis=0)).ravel() - mean**2
    covariance = codes.T @ target / len(target)
    scale = np.sqrt(np.maximum(variance, 0))
    correlation = np.divide(covariance, scale, out=np.zeros_like(scale, dtype=float),
                            where=scale > 1e-9)  # fmt: skip
    return np.argsort(-correlation, kind="stable")[:n_best]


# --- lines and modifiers --------------------------------------------------------------------------


def single_things(
    n_each: int, rng: Randomness
) -> dict[str, list[worlds.Facts]]:
    """Pictures of one single thing: facts by thing, for things that occur alone.

    Parameters
    ----------
    n_each : int
        Pictures of each thing.
    rng : int, sequence of int, numpy.random.Generator or None
        Draws the pictures.

    Returns
    -------
    dict of str to list of hblib.worlds.Facts

    Examples
    --------
    >>> {f.count for f in single_things(2, rng=0)["cat"]}
    {1}
    """
    n_each, rng = whole("n_each", n_each), generator(rng)
    table, weights = worlds.situations()
    found = {}
    for thing in worlds.SCENE_THINGS:
        here = [i for i, f in enumerate(table)
                if f.subject == thing and not f.relation and not f.statue]  # fmt: skip
        if here:
            chosen = rng.choice(here, n_each, p=weights[here] / weights[here].sum())
            found[thing] = [_alone(table[i], rng) for i in chosen]
    return found


def two_things(
    one: str, other: str, n_each: int, rng: Randomness
) -> list[worlds.Facts]:
    """Pictures of two things that a situation brings together, nothing else in them.

    Parameters
    ----------
    one, other : str
        A related pair of `pairs_of_things`.
    n_each : int
        How many pictures.
    rng : int, sequence of int, numpy.random.Generator or None
        Draws the pictures.

    Returns
    -------
    list of hblib.worlds.Facts

    Raises
    ------
    ValueError
        If no situation brings the two together.

    Examples
    --------
    >>> two_things("cat", "keyboard", 1, rng=0)[0].place
    'office'
    """
    n_each, rng = whole("n_each", n_each), generator(rng)
    table, _ = worlds.situations()
    here = [f for f in table if (f.subject, f.other) == (one, other) and not f.statue]
    if not here:
        raise ValueError(
            f"no situation brings {one} together with {other}: one and other must be related"
        )
    return [_alone(here[i], rng) for i in rng.choice(len(here), n_each)]


def pairs_of_things() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Pairs of things that both occur alone: those that no situation brings together, and others.

    Returns
    -------
    unrelated : list of (str, str)
        No situation has both.
    related : list of (str, str)
        A situation has the first as subject and the second beside it, under it or in its hand.

    Examples
    --------
    >>> unrelated, related = pairs_of_things()
    >>> ("cat", "airplane") in unrelated, ("cat", "keyboard") in related
    (True, True)
    """
    table, _ = worlds.situations()
    alone = {f.subject for f in table if not f.relation and not f.statue}
    related = sorted({(f.subject, f.other) for f in table if f.relation}
                     & set(itertools.product(alone, alone)))  # fmt: skip
    together = {frozenset(pair) for pair in related}
    things = [thing for thing in worlds.SCENE_THINGS if thing in alone]
    unrelated = [p for p in itertools.combinations(things, 2) if frozenset(p) not in together]
    return unrelated, related


def interpolate(start: ArrayLike, end: ArrayLike, n_steps: int) -> NDArray[np.float32]:
    """Codes along the straight line between two codes, both ends included.

    Parameters
    ----------
    start, end : array_like of shape (n_features,)
        Two codes.
    n_steps : int
        At least 1.

    Returns
    -------
    ndarray of float32, shape (n_steps + 1, n_features)

    Examples
    --------
    >>> interpolate([0, 0], [4, 2], 2).tolist()
    [[0.0, 0.0], [2.0, 1.0], [4.0, 2.0]]
    """
    start = as_array("start", start, ndim=1).astype(float)
    end = as_array("end", end, ndim=1).astype(float)
    if start.shape != end.shape:
        raise ValueError(
            f"start and end must be two codes of one length, got {start.shape} and {end.shape}"
        )
    n_steps = whole("n_steps", n_steps)
    share = np.linspace(0, 1, n_steps + 1)[:, None]
    return ((1 - share) * start + share * end).astype(np.float32)


def named_sides(captions: Iterable[str], one: str, other: str) -> list[str]:
    """Which of two things each caption names: "one", "other", "both" or "neither".

    Parameters
    ----------
    captions : iterable of str
        For instance along a line between two codes.
    one, other : str
        Two of `hblib.worlds.SCENE_THINGS`.

    Returns
    -------
    list of str

    Examples
    --------
    >>> named_sides(["a cat", "a cat near a dog", "a man"], "cat", "dog")
    ['one', 'both', 'neither']
    """
    for name, thing in (("one", one), ("other", other)):
        choice(name, thing, worlds.SCENE_THINGS)
    words = {(True, False): "one", (False, True): "other", (True, True): "both",
             (False, False): "neither"}  # fmt: skip
    return [words[one in says, other in says] for says in caption_statements(captions)]


def switches_abruptly(side: Sequence[str]) -> bool:
    """Whether a list of `named_sides` is "one" up to some step and "other" from the next step on.

    Parameters
    ----------
    side : list of str
        From `named_sides`, along a line.

    Returns
    -------
    bool

    Examples
    --------
    >>> switches_abruptly(["one", "other", "other"])
    True
    >>> switches_abruptly(["one", "both", "other"])
    False
    """
    first = side.index("other") if "other" in side else len(side)
    return 0 < first < len(side) and set(side[:first]) == {"one"} and set(side[first:]) == {"other"}


def states_count(
    captions: Iterable[str], things: Iterable[str], counts: Iterable[str]
) -> NDArray[np.bool_]:
    """Whether each caption gives the thing that belongs to it one of several counts.

    Parameters
    ----------
    captions : iterable of str
        What is judged.
    things : iterable of str
        One per caption.
    counts : iterable of str
        For instance "two" or "group".

    Returns
    -------
    ndarray of bool, shape (n_captions,)

    Examples
    --------
    >>> states_count(["a group of birds", "a group of men"], ["bird", "bird"], ["group"])
    array([ True, False])
    """
    counts = list(counts)
    return np.array([
        any(str(worlds.Statement("count", thing, count)) in says for count in counts)
        for says, thing in zip(caption_statements(captions), things, strict=True)
    ])  # fmt: skip


# --- helpers --------------------------------------------------------------------------------------


def _sparse_codes(codes: Any, form: type) -> Any:
    """Sparse codes whose weights are floating-point numbers."""
    codes = form(codes if sp.issparse(codes) else as_array("codes", codes, ndim=2))
    if codes.ndim != 2:
        raise ValueError(f"codes must have the shape (n_pictures, n_atoms), got {codes.shape}")
    if codes.data.size:
        codes.data = as_array("codes", codes.data)
    return codes


def _alone(facts: worlds.Facts, rng: np.random.Generator) -> worlds.Facts:
    """One picture of a situation: one of the subject, no extra, in colour."""
    found = worlds.complete_facts(facts, rng)
    return replace(found, count=1, extra=None, extra_colour=None, size=None, black_and_white=False)
