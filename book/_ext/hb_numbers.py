"""Number theorems from 1 in each chapter; Sphinx numbers them through the whole book."""

KINDS = ("theorem", "proposition", "lemma", "corollary", "definition", "example", "remark")


def restart(app, env):
    """Number anew what `sphinx.environment.collectors.toctree` has numbered."""
    for numbered in env.toc_fignumbers.values():
        for kind in KINDS:
            numbers = numbered.get(kind, {})
            for number, id in enumerate(sorted(numbers, key=numbers.get), start=1):
                numbers[id] = (number,)
    return []  # the collector itself names the pages to write again


def setup(app):
    app.connect("env-get-updated", restart, priority=900)  # after the collector
    return {"parallel_read_safe": True, "parallel_write_safe": True}
