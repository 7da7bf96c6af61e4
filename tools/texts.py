"""Make the text files of hblib/worlds/_text from the test data of the locked gensim.

Run once, and again only to check: ``python tools/texts.py`` writes the files and prints their
SHA-256, ``--check`` compares with what is there. gensim is needed for this and for nothing else.
"""

import argparse
import bz2
import hashlib
import lzma
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "hblib" / "worlds" / "_text"
DUMP = "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
DUMP_SHA256 = "a53f4648dec40467ebdcbc7a1307eddb51fe6e28e9309f6ebde81ba0d04bea2d"


def articles():
    """Title and words of every article, read by the rules of gensim's ``WikiCorpus``.

    Markup removed, lower case, words of 2 to 15 letters, articles of at least 50 words.
    """
    from gensim.corpora import wikicorpus
    from gensim.test.utils import datapath

    dump = Path(datapath(DUMP))
    found = hashlib.sha256(dump.read_bytes()).hexdigest()
    if found != DUMP_SHA256:
        raise ValueError(f"{dump} has the SHA-256 {found}, not the registered {DUMP_SHA256}")
    # The class WikiCorpus would start a pool of processes for this; its parts do not.
    ignored = tuple(f"{namespace}:" for namespace in wikicorpus.IGNORED_NAMESPACES)
    shortest, longest = wikicorpus.TOKEN_MIN_LEN, wikicorpus.TOKEN_MAX_LEN
    with bz2.open(dump) as file:
        for title, raw, _ in wikicorpus.extract_pages(file, filter_namespaces=("0",)):
            words = wikicorpus.tokenize(wikicorpus.filter_wiki(raw), shortest, longest, True)
            if len(words) >= wikicorpus.ARTICLE_MIN_WORDS and not title.startswith(ignored):
                yield title, words


def contents():
    """File name -> content before compression."""
    from gensim.test.utils import datapath

    lines = (f"{title}\t{' '.join(words)}\n" for title, words in articles())
    return {
        "wikipedia.txt.xz": "".join(lines).encode(),
        "questions-words.txt.xz": Path(datapath("questions-words.txt")).read_bytes(),
    }


def main():
    """Write the files, or check them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    for name, content in contents().items():
        path = FOLDER / name
        if check:
            if lzma.decompress(path.read_bytes()) != content:
                raise SystemExit(f"{path} differs from what gensim's files give")
        else:
            path.write_bytes(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        print(f"{digest}  {name}, {path.stat().st_size:,} bytes, {len(content):,} unpacked")


if __name__ == "__main__":
    main()
