"""Quizzes and predictions in the page: ``{quiz} name`` and ``{predict} name``.

Their text stands in the sources of the course, ``exercises/NN_name.md``. Without a script a quiz
is a list of answers, each with its feedback folded away, and a prediction a question above the
figure; ``hb-quiz.js`` adds the buttons.
"""

import sys
from functools import lru_cache
from pathlib import Path

from hb_html import tag
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the book's folder, for `course`

from course import source


@lru_cache(maxsize=1)
def _questions(root):
    """Name -> (kind, question, path of its source), of the whole book."""
    found = {}
    for path in source.sources(root):
        sheet = source.read(path)
        for kind, questions in (("quiz", sheet.quizzes), ("predict", sheet.predictions)):
            for question in questions:
                found[kind, question.name] = question, path
    return found


class _Question(SphinxDirective):
    required_arguments = 1

    def run(self):
        name, known = self.arguments[0], _questions(self.env.srcdir)
        if (self.name, name) not in known:
            there = ", ".join(sorted(n for kind, n in known if kind == self.name))
            raise self.error(f"there is no {self.name} {name!r}; there are: {there}")
        question, path = known[self.name, name]
        self.env.note_dependency(str(path))
        return [self.make(question)]

    def text(self, text):
        """Nodes of one paragraph of Markdown."""
        parsed = self.parse_text_to_nodes(text)
        return parsed[0].children if len(parsed) == 1 else parsed

    def box(self, question, word, *children, **attributes):
        """A labelled group: what it is, the question, and what follows."""
        id = f"{self.name}-{question.name}"
        asked = tag(
            "div", *self.parse_text_to_nodes(question.text), class_="hb-asked", id=f"{id}-q"
        )
        return tag(
            "div",
            tag("p", word, class_="hb-quiz-word"),
            asked,
            *children,
            class_=f"hb-quiz hb-{self.name}",
            id=id,
            role="group",
            aria_labelledby=f"{id}-q",
            **attributes,
        )

    def answer(self, question, number, kind, *more):
        """One answer with its button (hidden until the script makes it work)."""
        id = f"{self.name}-{question.name}-{number}"
        button = tag("input", type=kind, id=id, name_=f"{self.name}-{question.name}", hidden="")
        label = tag("label", *self.text(question.answers[number].text), for_=id)
        right = "" if question.answers[number].right else None
        return tag("li", button, label, *more, data_right=right)


class Quiz(_Question):
    """A question with answers, of which one or several are right, and feedback on each."""

    def make(self, question):
        several = sum(answer.right for answer in question.answers) > 1
        items = [
            self.answer(
                question,
                number,
                "checkbox" if several else "radio",
                tag(
                    "details",
                    tag("summary", "Is it?"),
                    tag("div", *self.text(answer.feedback), class_="hb-said"),
                ),
            )
            for number, answer in enumerate(question.answers)
        ]
        word = "Quiz: choose all that are right" if several else "Quiz"
        return self.box(question, word, tag("ul", *items))


class Predict(_Question):
    """A question about the next figure, which stays covered until the reader has answered."""

    def make(self, question):
        items = [self.answer(question, n, "radio") for n in range(len(question.answers))]
        after = [tag("div", *self.text(question.afterword), class_="hb-said")]
        return self.box(
            question, "Predict, then reveal", tag("ul", *items), *after * bool(question.afterword)
        )


def setup(app):
    app.connect("builder-inited", lambda app: _questions.cache_clear())
    app.add_directive("quiz", Quiz)
    app.add_directive("predict", Predict)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
