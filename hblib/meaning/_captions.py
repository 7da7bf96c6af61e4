"""What captions say, and what becomes of them when the code behind them is changed.

Measures that are read off sentences by `hblib.scenes.facts_of`, so that nobody has to judge:

- `agreement` of captions by what they say, and `quality` of captions beside the facts;
- `lift`: do the pictures that use an atom show what the atom, decoded by itself, says?
- `twins`, pictures that differ in one thing only, and `names`: is the thing among a code's atoms?
- `sides` and `switches_abruptly`: what captions along a line between two codes name;
- `states`: does a caption give a modifier to a certain thing?
- `single_things` and `pairs_of_kinds`: pictures and pairs for lines and modifiers.

An atom *by itself* is the atom times the typical length of a code: a decoder has no reason to make
sense of codes that are much shorter or longer.
"""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import sparse as sp

from hblib.worlds import _scenes as scenes

# --- what captions say ----------------------------------------------------------------------------


def said(captions):
    """Statements of each caption, as `hblib.scenes.facts_of` reads them: list of frozensets."""
    return [scenes.facts_of(caption) for caption in captions]


def agreement(captions, others):
    """Jaccard index of what two captions say: statements of both by statements of either.

    Parameters
    ----------
    captions, others : list of str
        In pairs.

    Returns
    -------
    numpy.ndarray, (n_captions,)
        From 0 (nothing in common) to 1; 1 also if neither says anything.

    Examples
    --------
    >>> agreement(["a cat on a street", "two cats"], ["a cat in a kitchen", "two cats"])
    array([0.5, 1. ])
    """
    if len(captions) != len(others):
        raise ValueError(
            f"captions and others must come in pairs, got {len(captions)} and {len(others)}"
        )
    pairs = zip(said(captions), said(others), strict=True)
    return np.array([len(a & b) / len(a | b) if a | b else 1.0 for a, b in pairs])


def quality(captions, facts):
    """How good captions are, judged by the facts of the pictures.

    Parameters
    ----------
    captions : list of str
    facts : list of hblib.scenes.Facts

    Returns
    -------
    pandas.Series
        ``statements true``: share of what the captions say; ``salient said``: share of what they
        should say at least (`hblib.scenes.salient`) that they do say; ``nothing false`` and
        ``all salient said``: share of captions; ``exact``: share of captions that are both;
        ``distinct``: number of different captions by number of captions.

    Examples
    --------
    >>> facts = [scenes.Facts("cat", "kitchen")] * 2
    >>> quality(["a cat in a kitchen", "two dogs in a kitchen"], facts)["exact"]
    np.float64(0.5)
    """
    says = said(captions)
    true = [len(s & scenes.statements(f)) for s, f in zip(says, facts, strict=True)]
    salient = [scenes.salient(f) for f in facts]
    hits = [len(s & should) for s, should in zip(says, salient, strict=True)]
    clean = np.array(true) == [len(s) for s in says]
    whole = np.array(hits) == [len(should) for should in salient]
    return pd.Series({
        "statements true": sum(true) / max(sum(map(len, says)), 1),
        "salient said": sum(hits) / sum(map(len, salient)),
        "nothing false": clean.mean(),
        "all salient said": whole.mean(),
        "exact": (clean & whole).mean(),
        "distinct": len(set(captions)) / len(captions),
    })  # fmt: skip


def content(statements):
    """Things and relations among statements: what nouns and pairs of verb and noun say.

    Examples
    --------
    >>> sorted(content(scenes.facts_of("two men in red riding horses in a field")))
    ['horse', 'man', 'man riding horse']
    """
    return {s for s in statements if s in scenes.KINDS or _is_relation(s)}


# --- atoms and pictures ---------------------------------------------------------------------------


def lift(codes, says, facts, n_top=10):
    """How far the pictures that use an atom show what it says: base rate is 0, certainty 1.

    Parameters
    ----------
    codes : sparse array, (n_pictures, n_atoms)
        Weights, signs turned so that most of an atom's are positive.
    says : list of sets of str
        Statements of each atom by itself; things and relations count (`content`).
    facts : list of hblib.scenes.Facts
        Of the pictures.
    n_top : int
        Pictures with the largest weights that are looked at.

    Returns
    -------
    numpy.ndarray, (n_atoms,)
        Mean over the statements of ``(p - b) / (1 - b)``, where p is the share of the top pictures
        of which the statement is true and b that of all. 0 for an atom that says nothing, NaN for
        one that fewer than `n_top` pictures use.
    """
    if n_top < 1:
        raise ValueError(f"n_top must be at least 1, got {n_top}")
    codes = sp.csc_array(codes)
    shown = [content(scenes.statements(f)) for f in facts]
    base = {s: sum(s in one for one in shown) / len(shown) for s in set().union(*shown)}
    result = np.full(codes.shape[1], np.nan)
    for atom, statements in enumerate(says):
        column = slice(codes.indptr[atom], codes.indptr[atom + 1])
        if column.stop - column.start < n_top:
            continue
        top = codes.indices[column][np.argsort(-codes.data[column], kind="stable")[:n_top]]
        lifts = [
            (np.mean([s in shown[i] for i in top]) - base[s]) / (1 - base[s]) if s in base else 0.0
            for s in sorted(content(statements))
        ]
        result[atom] = np.mean(lifts) if lifts else 0.0
    return result


def twins(facts, rng):
    """Pictures with an extra thing, and the same pictures without it.

    Parameters
    ----------
    facts : list of hblib.scenes.Facts
        Those without an extra thing are left out.
    rng : numpy.random.Generator or int

    Returns
    -------
    kept : list of hblib.scenes.Facts
    images, without : numpy.ndarray of uint8, shape (len(kept), 64, 64, 3)
        Equal in every pixel that the extra thing does not cover.
    """
    kept = [f for f in facts if f.extra]
    if not kept:
        raise ValueError("facts must hold at least one picture with an extra thing")
    seed = int(np.random.default_rng(rng).integers(2**63))
    bare = [replace(f, extra=None, extra_colour=None) for f in kept]
    return kept, scenes.render(kept, seed), scenes.render(bare, seed)


def names(codes, says, things):
    """Whether one of the atoms of each code names a certain thing.

    Parameters
    ----------
    codes : sparse array, (n_pictures, n_atoms)
    says : list of sets of str
        Statements of each atom by itself.
    things : list of str
        The thing to look for in each picture.

    Returns
    -------
    numpy.ndarray of bool, (n_pictures,)

    Examples
    --------
    >>> codes = sp.csr_array([[2.0, 0.0, -1.0], [0.0, 3.0, 0.0]])
    >>> names(codes, [{"man"}, {"dog"}, {"cat"}], ["cat", "cat"])
    array([ True, False])
    """
    codes = sp.csr_array(codes)
    return np.array([
        any(thing in says[atom] for atom in codes.indices[codes.indptr[i] : codes.indptr[i + 1]])
        for i, thing in enumerate(things)
    ])  # fmt: skip


# --- lines and modifiers --------------------------------------------------------------------------


def single_things(n_each, rng):
    """Pictures of one single thing: facts by kind, for kinds that occur alone.

    Parameters
    ----------
    n_each : int
        Pictures of each kind.
    rng : numpy.random.Generator or int

    Returns
    -------
    dict of str to list of hblib.scenes.Facts

    Examples
    --------
    >>> {f.count for f in single_things(2, rng=0)["cat"]}
    {1}
    """
    rng = np.random.default_rng(rng)
    table, weights = scenes.situations()
    found = {}
    for kind in scenes.KINDS:
        here = [i for i, f in enumerate(table)
                if f.subject == kind and not f.relation and not f.statue]  # fmt: skip
        if here:
            chosen = rng.choice(here, n_each, p=weights[here] / weights[here].sum())
            found[kind] = [_alone(table[i], rng) for i in chosen]
    return found


def pairs_of_kinds():
    """Pairs of kinds that both occur alone: those that no situation brings together, and others.

    Returns
    -------
    unrelated : list of (str, str)
    related : list of (str, str)
        A situation has the first as subject and the second beside it, under it or in its hand.

    Examples
    --------
    >>> unrelated, related = pairs_of_kinds()
    >>> ("cat", "airplane") in unrelated, ("cat", "keyboard") in related
    (True, True)
    """
    table, _ = scenes.situations()
    alone = {f.subject for f in table if not f.relation and not f.statue}
    related = sorted({(f.subject, f.other) for f in table if f.relation}
                     & set(itertools.product(alone, alone)))  # fmt: skip
    together = {frozenset(pair) for pair in related}
    kinds = [kind for kind in scenes.KINDS if kind in alone]
    unrelated = [p for p in itertools.combinations(kinds, 2) if frozenset(p) not in together]
    return unrelated, related


def together(one, other, n_each, rng):
    """Pictures of two things that a situation brings together, nothing else in them."""
    rng = np.random.default_rng(rng)
    table, _ = scenes.situations()
    here = [f for f in table if (f.subject, f.other) == (one, other) and not f.statue]
    if not here:
        raise ValueError(f"no situation brings {one} together with {other}")
    return [_alone(here[i], rng) for i in rng.choice(len(here), n_each)]


def line(start, end, n_steps):
    """Codes along the straight line between two codes, both ends included: (n_steps + 1, n)."""
    start, end = np.asarray(start, dtype=float), np.asarray(end, dtype=float)
    if start.ndim != 1 or start.shape != end.shape or not np.isfinite([start, end]).all():
        raise ValueError(
            "start and end must be two codes of finite numbers and one length, got the shapes "
            f"{start.shape} and {end.shape}"
        )
    if not isinstance(n_steps, int | np.integer) or n_steps < 1:
        raise ValueError(f"n_steps must be an integer of at least 1, got {n_steps!r}")
    share = np.linspace(0, 1, n_steps + 1)[:, None]
    return ((1 - share) * start + share * end).astype(np.float32)


def sides(captions, one, other):
    """Which of two things each caption names: "one", "other", "both" or "neither".

    Examples
    --------
    >>> sides(["a cat", "a cat near a dog", "a man"], "cat", "dog")
    ['one', 'both', 'neither']
    """
    for name, thing in (("one", one), ("other", other)):
        if thing not in scenes.KINDS:
            raise ValueError(f"{name} must be one of {', '.join(scenes.KINDS)}, got {thing!r}")
    words = {(True, False): "one", (False, True): "other", (True, True): "both",
             (False, False): "neither"}  # fmt: skip
    return [words[one in says, other in says] for says in said(captions)]


def switches_abruptly(side):
    """Whether a list of `sides` is "one" up to some step and "other" from the next step on.

    Examples
    --------
    >>> switches_abruptly(["one", "other", "other"])
    True
    >>> switches_abruptly(["one", "both", "other"])
    False
    """
    first = side.index("other") if "other" in side else len(side)
    return 0 < first < len(side) and set(side[:first]) == {"one"} and set(side[first:]) == {"other"}


def states(captions, things, modifiers):
    """Whether each caption states one of the counts `modifiers` of the thing given for it.

    Examples
    --------
    >>> states(["a group of birds", "a group of men"], ["bird", "bird"], ["group"])
    array([ True, False])
    """
    return np.array([
        any(f"count of {thing}: {modifier}" in says for modifier in modifiers)
        for says, thing in zip(said(captions), things, strict=True)
    ])  # fmt: skip


def goes_with(codes, true, n_best):
    """Atoms whose weights are most correlated with a truth value, best first.

    Parameters
    ----------
    codes : sparse array, (n_pictures, n_atoms)
    true : array of bool, (n_pictures,)
    n_best : int

    Returns
    -------
    numpy.ndarray of int, (n_best,)
    """
    codes = sp.csr_array(codes)
    if not isinstance(n_best, int | np.integer) or n_best < 1:
        raise ValueError(f"n_best must be an integer of at least 1, got {n_best!r}")
    if np.shape(true) != codes.shape[:1] or not np.isin(true, (0, 1)).all():
        raise ValueError(f"true must hold True or False for each of {codes.shape[0]} pictures")
    target = np.asarray(true, dtype=float) - np.mean(true)
    mean = np.asarray(codes.mean(axis=0)).ravel()
    variance = np.asarray(codes.power(2).mean(axis=0)).ravel() - mean**2
    covariance = codes.T @ target / len(target)
    scale = np.sqrt(np.maximum(variance, 0))
    correlation = np.divide(covariance, scale, out=np.zeros_like(scale, dtype=float),
                            where=scale > 1e-9)  # fmt: skip
    return np.argsort(-correlation, kind="stable")[:n_best]


# --- helpers --------------------------------------------------------------------------------------


def _is_relation(statement):
    return ":" not in statement and not statement.startswith("statue of") and " " in statement


def _alone(facts, rng):
    """One picture of a situation: one of the subject, no extra, in colour."""
    found = scenes.complete(facts, rng)
    return replace(found, count=1, extra=None, extra_colour=None, size=None, black_and_white=False)
