"""Check requirements.lock: exact pins, nothing imported beside it, no known vulnerability.

`make audit` runs it. The first two questions are answered offline. The third is put to PyPI, whose
JSON pages list the vulnerabilities of each release (those that pip-audit reads too). Exit status:
0 nothing found, 1 something found, 2 PyPI could not be asked.
"""

import ast
import importlib.metadata
import json
import re
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = "https://pypi.org/pypi/{}/{}/json"
FOLDERS = ("hblib", "book/_ext", "course", "tools", "tests", "benchmarks")
# Packages beside the lock, and where they come from.
BESIDE = {
    "otter": "course/requirements.txt",
    "spams": "benchmarks/requirements.txt",
    "cca_zoo": "benchmarks/requirements.txt",
    "ckatorch": "benchmarks/requirements.txt",
    "torchvision": "the reader, whom a sentence asks for it",
    "transformers": "the reader, whom a sentence asks for it",
}


def pins(text):
    """Name to release of every line of a lock; a line that is no exact pin is a ValueError."""
    found = {}
    for number, line in enumerate(text.splitlines(), start=1):
        requirement = re.split(r"\s+#|^#", line)[0].partition(";")[0].strip()
        if not requirement:
            continue
        match = re.fullmatch(r"([a-z0-9][a-z0-9._-]*)==([0-9][0-9a-z.!]*)", requirement)
        if match is None:
            raise ValueError(f"line {number} is not an exact pin such as numpy==2.0.0: {line!r}")
        found.setdefault(match[1], set()).add(match[2])
    return found


def strangers(root, locked):
    """Packages that the book's programs import and the lock does not hold, with the first place."""
    names = {re.sub(r"[-_.]+", "-", name).lower() for name in locked}
    owners = importlib.metadata.packages_distributions()
    files = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*.py"))]
    own = {path.stem for path in files} | {path.name for path in root.iterdir() if path.is_dir()}
    found = {}
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported = [node.module]
            else:
                continue
            for module in {name.partition(".")[0] for name in imported}:
                if module in sys.stdlib_module_names or module in own or module in BESIDE:
                    continue
                packages = {re.sub(r"[-_.]+", "-", p).lower() for p in owners.get(module, [module])}
                if not packages & names:
                    found.setdefault(module, path.relative_to(root).as_posix())
    return found


def vulnerabilities(name, release):
    """What PyPI knows against one release, in sentences."""
    with urllib.request.urlopen(PAGE.format(name, release), timeout=30) as answer:
        page = json.load(answer)
    found = [
        f"{name} {release}: {entry['id']}, mended in {', '.join(entry['fixed_in']) or 'no release'}"
        for entry in page["vulnerabilities"]
        if not entry.get("withdrawn")
    ]
    if page["info"].get("yanked"):
        found.append(
            f"{name} {release}: withdrawn by its authors ({page['info']['yanked_reason']})"
        )
    return found


def main():
    """Print what was found and return the exit status."""
    try:
        locked = pins((ROOT / "requirements.lock").read_text(encoding="utf-8"))
        beside = {}
        for folder in ("benchmarks", "course"):
            beside |= pins((ROOT / folder / "requirements.txt").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        print(f"the pins cannot be read: {error}", file=sys.stderr)
        return 1
    found = [
        f"{place} imports {module}, which is not in requirements.lock"
        for module, place in strangers(ROOT, locked).items()
    ]
    print(f"{len(locked | beside)} packages, each pinned to an exact release")
    releases = [
        (name, release) for name, some in (locked | beside).items() for release in sorted(some)
    ]
    asked = True
    try:
        vulnerabilities(*releases[0])  # one question first: offline, the others need not wait
        with ThreadPoolExecutor(8) as pool:
            for sentences in pool.map(lambda pin: vulnerabilities(*pin), releases):
                found += sentences
    except (OSError, ValueError, KeyError) as error:
        asked = False
        print(
            f"the known vulnerabilities could not be looked up: {PAGE.format(*releases[0])} "
            f"did not answer ({error})",
            file=sys.stderr,
        )
    for sentence in found:
        print(sentence)
    if asked and not found:
        print("no known vulnerability, nothing withdrawn, nothing imported beside the lock")
    return 1 if found else 0 if asked else 2


if __name__ == "__main__":
    sys.exit(main())
