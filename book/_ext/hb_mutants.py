"""Whether the tests notice known mistakes in the library."""

import csv

import yaml
from hb_evidence import EvidenceDirective
from hb_html import filled


class Mutants(EvidenceDirective):
    """A table: how many mistakes each part of the library had, and how many were noticed."""

    def make(self, known):
        folder = known.root / "tests" / "mutants"
        with open(folder / "results.csv", encoding="utf-8", newline="") as file:
            stored = list(csv.DictReader(file))
        outcomes = {row["mutant"]: row["outcome"] for row in stored}
        rows, survivors = [], []
        for path in [*sorted(folder.glob("*.yml")), folder / "results.csv"]:
            self.env.note_dependency(str(path))
            if path.suffix != ".yml":
                continue
            listed = yaml.safe_load(path.read_text(encoding="utf-8"))
            noticed = [one for one in listed if outcomes.get(one["name"]) in ("caught", "hung")]
            rows.append((path.stem.replace("_", " ").capitalize(), len(listed), len(noticed)))
            survivors += [one for one in listed if one not in noticed]
        total = [sum(column) for column in list(zip(*rows, strict=True))[1:]]
        table = filled(
            "table.html",
            caption="Mistakes put into the library, and noticed by its tests",
            head=("Part of the library", "Mistakes", "Noticed"),
            rows=[*rows, ("All", *total)],
        )
        stamped = sum(bool(row["stamp"]) for row in stored)
        return [table, filled("survivors.html", stamped=stamped, survivors=survivors)]


def setup(app):
    app.add_directive("mutants", Mutants)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
