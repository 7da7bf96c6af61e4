"""Reading ``exercises/NN_name.md``, the one source of a chapter's exercises, quizzes and slides.

A source is Markdown with fences at its top level: code cells in backticks, told apart by their tag,
and prose in colons, told apart by its name. Whatever stands outside a fence, everybody may read.

Why not jupytext: it reads the cells of code but neither the fences in colons (hints, mistakes,
quizzes, slides) nor a cell inside one, which it splits off. Why not otter's markers: they know
questions, solutions and tests only, which `notebooks.master` writes for it. And the book itself
reads the quizzes here, in an environment without either.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
CODE_TAGS = {"setup", "solution", "check", "figure", "test", "hidden-test"}
PROSE = {"about", "hint", "mistake", "solution", "teaching", "quiz", "predict", "slide"}
WHOLE_CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```\s*$", re.M | re.S)  # in a mistake
FOR_INSTRUCTORS = {"hidden-test", "mistake", "worked", "teaching"}

_OPENING = re.compile(r"^(`{3,}|:{3,})\{([\w-]+)\}\s*(.*)$")
_OPTION = re.compile(r"^:([\w-]+):\s*(.*)$")
_ROLE = re.compile(r"\{[a-z:]+\}`")
_ANSWER = re.compile(r"^- (?:\[( |x)\] )?(.*)$")


@dataclass
class Block:
    """One fence, or the Markdown between two.

    `kind` is "text", the tag of a code cell, or the name of a prose fence; the prose fence
    "solution" has the kind "worked".
    """

    kind: str
    body: str
    title: str = ""
    options: dict = field(default_factory=dict)

    @property
    def is_code(self):
        """Whether this is a cell of code."""
        return self.kind in CODE_TAGS


@dataclass
class Exercise:
    """A heading, what its ``about`` fence says, and the blocks that follow."""

    title: str
    about: dict
    blocks: list

    @property
    def name(self):
        """The name under which the exercise is checked."""
        return self.about["name"]

    def of(self, *kinds):
        """Its blocks of some kinds, in order."""
        return [block for block in self.blocks if block.kind in kinds]

    @property
    def tests(self):
        """Visible and hidden tests, in order."""
        return self.of("test", "hidden-test")

    @property
    def points(self):
        """Points that the tests give together."""
        return sum(int(test.options["points"]) for test in self.tests)

    def with_mistake(self, mistake):
        """The sources of the solution cells, with a mistake in place of what is right."""
        cells = [block.body for block in self.of("solution")]
        if "replace" not in mistake.options:
            whole = WHOLE_CELL.search(mistake.body)
            if whole is None:
                raise ValueError(f"{self.name}: mistake {mistake.title!r} has neither :replace: "
                                 "nor a code cell")  # fmt: skip
            return [whole[1].rstrip(), *cells[1:]]
        old, new = mistake.options["replace"], mistake.options.get("by", "")
        found = sum(cell.count(old) for cell in cells)
        if found != 1:
            raise ValueError(f"{self.name}: {old!r} occurs {found} times in the solution, not once")
        return [cell.replace(old, new) for cell in cells]


@dataclass
class Answer:
    """One answer of a quiz or a prediction."""

    text: str
    right: bool
    feedback: str


@dataclass
class Question:
    """A quiz or a prediction."""

    name: str
    text: str
    answers: list
    figure: str = ""
    afterword: str = ""


@dataclass
class Sheet:
    """All that a source holds."""

    path: Path
    chapter: str
    title: str
    minutes: int
    intro: list
    exercises: list
    quizzes: list
    predictions: list
    slides: list


def blocks(text):
    """Split Markdown into its top-level fences and the text between them.

    Raises
    ------
    ValueError
        If a fence is not closed, or of no known kind.
    """
    found, plain = [], []
    lines = iter(text.splitlines())

    def flush():
        if "\n".join(plain).strip():
            found.append(Block("text", "\n".join(plain).strip()))
        plain.clear()

    for line in lines:
        opening = _OPENING.match(line)
        if not opening:
            plain.append(line)
            continue
        flush()
        fence, name, title = opening.groups()
        body = []
        for inner in lines:
            if inner.startswith(fence) and not inner.strip(fence[0]).strip():
                break
            body.append(inner)
        else:
            raise ValueError(f"the fence {line!r} is not closed")
        found.append(_block(name, title.strip(), body))
    flush()
    return found


def _block(name, title, body):
    options = {}
    while body and (option := _OPTION.match(body[0])):
        options[option[1]] = option[2].strip()
        body.pop(0)
    text = "\n".join(body).strip("\n")
    if name == "code-cell":
        tags = {tag.strip() for tag in options.get("tags", "").strip("[]").split(",")} & CODE_TAGS
        if len(tags) != 1:
            raise ValueError(f"a code cell needs one tag of {sorted(CODE_TAGS)}, got {options}")
        return Block(tags.pop(), text, "", options)
    if name not in PROSE:
        raise ValueError(f"there is no fence {name!r}; there are {sorted(PROSE)}")
    return Block("worked" if name == "solution" else name, text, title, options)


def _question(block):
    """A quiz or a prediction from its fence."""
    text, answers, after = [], [], []
    for line in block.body.splitlines():
        if answer := _ANSWER.match(line):
            answers.append(Answer(answer[2], answer[1] == "x", ""))
        elif answers and line.startswith(">"):
            after.append(line.lstrip("> "))
        elif answers and (more := re.match(r"^\s+>\s?(.*)$", line)):
            answers[-1].feedback = f"{answers[-1].feedback} {more[1]}".strip()
        elif answers and line.strip():
            answers[-1].text += f" {line.strip()}"
        else:
            text.append(line)
    figure = block.options.get("figure", "")
    return Question(block.title, "\n".join(text).strip(), answers, figure, " ".join(after))


def parse(text, path=Path()):
    """Read a source from its text.

    Raises
    ------
    ValueError
        If its form is wrong; one sentence says where.
    """
    match = re.match(r"^---\n(.*?)\n---\n(.*)$", text, re.S)
    if match is None:
        raise ValueError("the source must begin with its front matter between two lines '---'")
    try:
        front = yaml.safe_load(match[1])
    except RecursionError:
        raise ValueError("the front matter is nested too deeply") from None
    if not isinstance(front, dict):
        raise ValueError("the front matter must be a mapping with chapter, title and minutes")
    if role := _ROLE.search(text):
        raise ValueError(f"{role[0]} means nothing in a notebook, which a sheet is, too")
    sections = re.split(r"^(?=## )", match[2], flags=re.M)
    collected = {"quiz": [], "predict": [], "slide": []}

    def without_collected(section):
        kept = []
        for block in blocks(section):
            collected.get(block.kind, kept).append(block)
        return kept

    intro = without_collected(sections[0])
    exercises = []
    for section in sections[1:]:
        heading, _, rest = section.partition("\n")
        kept = without_collected(rest)
        about = next((block for block in kept if block.kind == "about"), None)
        if about is None:
            if kept:
                raise ValueError(f"{heading!r} has no about fence")
            continue  # a heading over quizzes or slides
        kept.remove(about)
        exercises.append(Exercise(heading[3:].strip(), yaml.safe_load(about.body), kept))
    return Sheet(
        path,
        **{key: front[key] for key in ("chapter", "title", "minutes")},
        intro=intro,
        exercises=exercises,
        quizzes=[_question(block) for block in collected["quiz"]],
        predictions=[_question(block) for block in collected["predict"]],
        slides=collected["slide"],
    )


def read(path):
    """Read a source from its file."""
    try:
        return parse(path.read_text(encoding="utf-8"), path)
    except (ValueError, KeyError, yaml.YAMLError) as error:
        raise ValueError(f"{path.name}: {error}") from error


def sources(root=ROOT):
    """Paths of all sources, in the order of the chapters."""
    return sorted((Path(root) / "exercises").glob("[0-9]*.md"))
