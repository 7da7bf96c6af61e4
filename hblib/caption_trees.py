"""Distributions over captions as trees: each branch a word, as wide as it is probable.

`expand` asks the decoder for the probability of every beginning of a caption above a floor, which
is exact. `from_captions` counts the beginnings of captions drawn from any model, which is all that
a model known by its sentences allows, and what the source did. `show` draws trees on the page.
"""

import html
from collections import Counter
from dataclasses import dataclass

import numpy as np
from IPython.display import display

from hblib import outputs
from hblib.captioner import END, MAX_WORDS, WORDS
from hblib.outputs import text_to_html


@dataclass(frozen=True)
class Tree:
    """One beginning of captions, and all that follow it.

    Attributes
    ----------
    word : str
        Its last word; empty at the root.
    probability : float
        That a caption begins so; 1 at the root.
    ends : float
        Probability that the caption is this and nothing more.
    children : tuple of Tree
        By the next word, the likeliest first. What they and `ends` leave of `probability` belongs
        to words that were too improbable to be kept.
    """

    word: str
    probability: float
    ends: float
    children: tuple


def expand(captioner, code, floor=0.01, max_words=MAX_WORDS):
    """Tree of the decoder's own probabilities.

    Parameters
    ----------
    captioner : hblib.captioner.Captioner
    code : array, (n_latent,)
    floor : float
        Beginnings less probable than this are left out; with 0 none is.
    max_words : int
        A caption that has not ended after so many words is cut there.

    Returns
    -------
    Tree
    """
    if not 0 <= floor < 1:
        raise ValueError(f"floor must be a probability from 0 to below 1, got {floor!r}")
    if not isinstance(max_words, int | np.integer) or max_words < 1:
        raise ValueError(f"max_words must be a positive integer, got {max_words!r}")
    state = captioner.begin(np.asarray(code)[None])
    # Level by level: beginning -> (probability, probability of ending there).
    found, frontier, total = {}, [()], np.ones(1)
    for _ in range(max_words):
        words = [WORDS.index(beginning[-1]) if beginning else END for beginning in frontier]
        log_probability, state = captioner.step(state, words)
        joint = total[:, None] * np.exp(log_probability)
        for beginning, reached, ends in zip(frontier, total, joint[:, END]):
            found[beginning] = float(reached), float(ends)
        joint[:, END] = -1
        rows, words = np.nonzero(joint >= max(floor, 0))
        if len(rows) == 0:
            break
        frontier = [(*frontier[row], WORDS[word]) for row, word in zip(rows, words)]
        total, state = joint[rows, words], state[rows]
    else:
        found |= {beginning: (float(p), float(p)) for beginning, p in zip(frontier, total)}
    return _grow(found)


def from_captions(captions):
    """Tree of the shares among given captions, such as samples from a model.

    Parameters
    ----------
    captions : sequence of str

    Returns
    -------
    Tree

    Examples
    --------
    >>> tree = from_captions(["a cat", "a cat", "a dog", "a cat in the snow"])
    >>> print(text(tree))
    50 %  a cat
    25 %  a cat in the snow
    25 %  a dog
    """
    if isinstance(captions, str) or len(captions) == 0:
        raise ValueError(f"captions must be a sequence of at least one caption, got {captions!r}")
    reached, ended = Counter(), Counter()
    for caption in captions:
        words = tuple(caption.split())
        reached.update(words[:length] for length in range(len(words) + 1))
        ended[words] += 1
    n = len(captions)
    return _grow({words: (count / n, ended[words] / n) for words, count in reached.items()})


def _grow(found):
    following = {}
    for beginning in found:
        if beginning:
            following.setdefault(beginning[:-1], []).append(beginning)

    def node(beginning):
        children = sorted(following.get(beginning, ()), key=lambda b: (-found[b][0], b))
        word = beginning[-1] if beginning else ""
        return Tree(word, *found[beginning], tuple(map(node, children)))

    return node(())


def branches(tree):
    """Probability of every beginning in a tree.

    Parameters
    ----------
    tree : Tree

    Returns
    -------
    dict of tuple of str to float
        By words; the root is the empty tuple.
    """
    found = {}

    def visit(node, words):
        found[words] = node.probability
        for child in node.children:
            visit(child, (*words, child.word))

    visit(tree, ())
    return found


def sentences(tree):
    """Probability of every whole caption in a tree, the likeliest first.

    Parameters
    ----------
    tree : Tree

    Returns
    -------
    dict of str to float
        The values sum to 1 at most; what is missing lies below the floor.
    """
    found = {}

    def visit(node, words):
        if node.ends > 0:
            found[" ".join(words)] = node.ends
        for child in node.children:
            visit(child, (*words, child.word))

    visit(tree, ())
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def text(tree, least=0.01):
    """A tree in words: its captions with their probabilities, a line each.

    Parameters
    ----------
    tree : Tree
    least : float
        Less probable captions are summed up in a last line.

    Returns
    -------
    str
    """
    listed = {words: p for words, p in sentences(tree).items() if p >= least}
    lines = [f"{_percent(p)}  {words}" for words, p in listed.items()]
    if (rest := 1 - sum(listed.values())) >= 0.005:
        lines.append(f"{_percent(rest)}  other captions")
    return "\n".join(lines)


def _percent(probability):
    return f"{100 * probability:.0f} %" if probability >= 0.005 else "< 1 %"


# --- drawing -------------------------------------------------------------------------------------

_ROW, _LETTER, _GAP, _WIDEST = 27, 7.1, 24, 14  # CSS pixels


def svg(tree, title, width=680, least=0.02):
    """Draw a tree from left to right.

    A branch is as wide as it is probable and has its words on it; words that follow without a
    choice share one branch, as wide as its last word is probable. A dot is the end of a caption;
    a ring a beginning whose continuations are all too improbable to be drawn. Text takes the
    colour of the page, and hovering over a branch shows its whole beginning and probability.

    Parameters
    ----------
    tree : Tree
    title : str
        What the tree is about: the name of the drawing for screen readers.
    width : float
        In CSS pixels. Where the words do not fit, those in the middle of a branch are left out.
    least : float
        Branches and ends less probable are not drawn.

    Returns
    -------
    str
        An ``<svg>`` element, to be placed in a page.
    """
    folded = _fold(tree, (), least)
    letters = 40
    while _extent(folded, letters) > width and letters > 6:
        letters -= 1
    parts, row = [], 0

    def draw(branch, x):
        """Draw what starts at x, and give back the height of its line."""
        nonlocal row
        shown = _short(" ".join(branch["words"]), letters)
        end = x + (_LETTER * len(shown) + 8 if shown else 0)
        fork = end + _GAP
        joins = [(draw(child, fork), child["probability"]) for child in branch["children"]]
        stops = branch["ends"] >= least
        if stops or not joins:
            row += 1
            y = _ROW * row
            at = fork if joins else end
            probability = branch["ends"] if stops else branch["probability"]
            # A ring in place of a dot: the caption goes on, each way too improbable to draw.
            kind = f'class="{"end" if stops else "open"}"'
            radius = max(3.0, _stroke(probability) / 2)
            parts.append(
                f'<circle {kind} cx="{at:.1f}" cy="{y}" r="{radius:.1f}"/>'
                f'<text class="p" x="{at + radius + 6:.1f}" y="{y + 4}">'
                f"{'' if stops else '… '}{_percent(probability)}</text>"
            )
            if joins:
                joins.append((y, probability))
        if joins:
            y = (joins[0][0] + joins[-1][0]) / 2
        parts.extend(_bend(end, y, fork, to, _stroke(p)) for to, p in joins)
        if shown:
            stroke = _stroke(branch["probability"])
            name = f"{_percent(branch['probability'])}: {' '.join(branch['beginning'])}"
            parts.append(
                f"<g><title>{html.escape(name)}</title>"
                f'<path d="M{x:.1f} {y:.1f}H{end:.1f}" stroke-width="{stroke:.1f}"/>'
                f'<text x="{x + 4:.1f}" y="{y - stroke / 2 - 3:.1f}">{html.escape(shown)}</text>'
                "</g>"
            )
        return y

    draw(folded, 6)
    height = _ROW * row + 16
    return (
        f'<svg class="hb-tree" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{html.escape(title)}" style="max-width:100%;height:auto">'
        "<style>.hb-tree path{stroke:#4a8fd0;fill:none;stroke-opacity:.75}"
        ".hb-tree circle{fill:#4a8fd0}.hb-tree .open{fill:none;stroke:#4a8fd0}"
        ".hb-tree text{fill:currentColor;font:12px DejaVu Sans,Verdana,sans-serif}"
        ".hb-tree .p{opacity:.75}.hb-tree g:hover path{stroke:#d55e00;"
        f"stroke-opacity:1}}</style>{''.join(parts)}</svg>"
    )


def show(trees, caption, least=0.02):
    """Display trees under one caption, each with its captions as text.

    Parameters
    ----------
    trees : dict of str to Tree
        By title.
    caption : str
        What the trees show and what to see in them; may hold ``$math$``.
    least : float
        Branches less probable are not drawn.

    Examples
    --------
    >>> show({"A cat": from_captions(["a cat", "a cat sitting"])}, "Two captions, equally often.")
    Two captions, equally often.
    A cat
    50 %  a cat
    50 %  a cat sitting
    """
    if not caption.strip():
        raise ValueError("caption must not be empty")
    if not trees:
        raise ValueError("trees must hold at least one tree, got none")
    blocks, lines = [], [caption]
    for title, tree in trees.items():
        said = text(tree, least)
        items = "".join(f"<li>{html.escape(line)}</li>" for line in said.splitlines())
        blocks.append(
            f"<p><strong>{text_to_html(title)}</strong></p>{svg(tree, title, least=least)}"
            f"<details><summary>As text</summary><ul>{items}</ul></details>"
        )
        lines += [title, said]
    page = (
        f'<figure class="hb-figure">{"".join(blocks)}'
        f"<figcaption>{text_to_html(caption)}</figcaption></figure>"
    )
    stored = {"trees": list(trees)}
    display(
        outputs.Output(
            {"text/html": page, "text/plain": "\n".join(lines), outputs.mime("trees"): stored}
        )
    )


def _fold(node, beginning, least):
    """Join words that follow each other without a choice into one branch."""
    words = [node.word] if node.word else []
    beginning = (*beginning, *words)
    kept = [child for child in node.children if child.probability >= least]
    while len(kept) == 1 and node.ends < least:
        node = kept[0]
        words.append(node.word)
        beginning = (*beginning, node.word)
        kept = [child for child in node.children if child.probability >= least]
    return {
        "words": words,
        "beginning": beginning,
        "probability": node.probability,
        "ends": node.ends,
        "children": [_fold(child, beginning, least) for child in kept],
    }


def _extent(branch, letters):
    """Width of a drawing in which a branch shows at most so many letters."""
    shown = _short(" ".join(branch["words"]), letters)
    own = 6 + _LETTER * len(shown) + 8 + _GAP
    return own + max((_extent(child, letters) for child in branch["children"]), default=40)


def _short(words, letters):
    if len(words) <= letters:
        return words
    half = (letters - 1) // 2
    return f"{words[: letters - 1 - half].rstrip()}…{words[-half:].lstrip()}"


def _stroke(probability):
    # Whole per cents, so that rounding on another processor draws the same picture.
    return max(1.0, _WIDEST * round(probability, 2))


def _bend(x, y, to_x, to_y, width):
    middle = (x + to_x) / 2
    return (
        f'<path d="M{x:.1f} {y:.1f}C{middle:.1f} {y:.1f} {middle:.1f} {to_y:.1f} {to_x:.1f} '
        f'{to_y:.1f}" stroke-width="{width:.1f}"/>'
    )
