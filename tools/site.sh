#!/bin/sh
# Build the site into _build/html from the notebooks as they are; warnings are errors (`make html`).
#
# Always from nothing: Sphinx forgets a page's warnings once it has read the page, never deletes a
# page that left the table of contents, and cannot know every input of a generated page.  Building
# everything takes seconds, and then neither a stale page nor a forgotten warning is possible.
set -u
cd "$(dirname "$0")/.." || exit 1
log=_build/site.log

mkdir -p _build
rm -rf _build/html _build/.doctrees
echo "Building the site ..."
began=$(date +%s)
if .venv/bin/jupyter-book build . -W --keep-going -q >"$log" 2>&1 </dev/null &&
    [ -f _build/html/index.html ]
then
    echo "The book: $(pwd -P)/_build/html/index.html ($(($(date +%s) - began)) s)"
    exit 0
fi
rm -rf _build/.doctrees
grep -E 'WARNING|ERROR|SEVERE|Error' "$log" || tail -n 20 "$log"
echo "The site was not built: the lines above say why; full log in $log." >&2
exit 1
