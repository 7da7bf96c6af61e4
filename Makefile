# The Hidden Basis.  `make` alone lists what can be made; everything but that list sets up .venv
# first (tools/setup.sh, which returns at once when there is nothing to do).

BIN := .venv/bin
COURSE := .venv/course/bin
PORT ?= 8000

# One run must not depend on the caller's shell: no other environment's packages, no personal
# start-up files. Threads and numerical kernels are set where a chapter starts (hblib/processor.py).
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP VIRTUAL_ENV CONDA_PREFIX JUPYTER_PATH MPLBACKEND
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHON HB_LOCK
export PYTHONNOUSERSITE := 1
export PYTHONUTF8 := 1
export JUPYTER_PREFER_ENV_PATH := 1
export JUPYTER_PLATFORM_DIRS := 1
export JUPYTER_CONFIG_DIR := $(CURDIR)/.venv/var/jupyter
export IPYTHONDIR := $(CURDIR)/.venv/var/ipython
export MPLCONFIGDIR := $(CURDIR)/.venv/var/matplotlib

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup book html pdf course grade test test-oldest reproduce mutants memory live stale chapter sweep publish chapter-named bench lock audit lint clean distclean

help: ## this list
	@echo "The Hidden Basis: make TARGET"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' Makefile

setup: ## make or repair the environment in .venv (every other target does this first)
	@sh tools/setup.sh

book: setup ## bring the book up to date: re-execute the stale chapters, build _build/html/index.html
	$(BIN)/hb execute
	@$(MAKE) --no-print-directory html

html: setup ## build the site from the notebooks as they are, executing nothing
	@sh tools/site.sh

course: setup ## student and instructor books, graded sheets and slides, in _build/course
	@sh tools/course_setup.sh
	@$(COURSE)/python -m course

grade: chapter-named setup ## grade a folder of students' sheets: make grade CH=02_rotation SHEETS=submitted
	@sh tools/course_setup.sh
	@$(COURSE)/python -m course grade $(CH) "$(or $(SHEETS),submitted)"

pdf: html ## print the whole book, as it is, into one PDF (needs Chromium)
	@$(BIN)/python tools/pdf.py

test: setup ## all tests: library, set-up, site, and every chapter rerun and compared
	@sh tools/test.sh

test-oldest: setup ## the library's tests and all verdicts with the oldest releases allowed
	@sh tools/oldest.sh

reproduce: setup ## all verdicts with two threads, and with other numerical kernels
	@HB_THREADS=2 $(BIN)/python tools/reproduce.py two-threads \
		--about "two threads for the linear algebra"
	@HB_KERNELS=native $(BIN)/python tools/reproduce.py native-kernels \
		--about "the fastest kernels that the processor has"
	@HB_KERNELS=sse4 $(BIN)/python tools/reproduce.py sse4-kernels \
		--about "the kernels of a processor of 2010, without AVX2 and fused multiply-add"

mutants: setup ## put known mistakes into the library and see whether its tests notice them
	@$(BIN)/python tools/mutants.py

live: setup ## serve the book at http://localhost:8000 (PORT=...) and rebuild it at every change
	@$(BIN)/python tools/live.py $(PORT)

stale: setup ## list the chapters whose outputs are out of date, and why
	@$(BIN)/hb stale

chapter: chapter-named setup ## run one chapter with other parameters: make chapter CH=02_rotation P="seed=3 k=8"
	@$(BIN)/hb run $(CH) $(P)

sweep: chapter-named setup ## run a chapter over a grid of parameters: make sweep CH=02_rotation [GRID=my.yml]
	@$(BIN)/hb sweep $(CH) $(if $(GRID),--grid "$(GRID)")

publish: chapter-named setup ## make the last sweep of a chapter the book's own table: make publish CH=02_rotation
	@$(BIN)/hb publish $(CH)

# Asked first, since the set-up may take minutes.
chapter-named:
	@test -n "$(CH)" || { echo 'Name a chapter: make $(firstword $(MAKECMDGOALS)) CH=02_rotation' >&2; exit 2; }

memory: setup ## measure the peak memory of every chapter, for the status page: make memory [CH=...]
	@$(BIN)/python tools/memory.py $(CH)

bench: setup ## time the library against its peers, which it installs
	@$(BIN)/pip install -q --no-deps --disable-pip-version-check -r benchmarks/requirements.txt
	@$(BIN)/python -m benchmarks

lock: setup ## compile requirements.lock and course/requirements.lock anew
	@sh tools/lock.sh

audit: setup ## check the packages: imports against pyproject.toml, known vulnerabilities (asks PyPI)
	@sh tools/audit.sh

lint: setup ## check the code's style
	@$(BIN)/ruff check .

clean: ## remove what was built (_build)
	rm -rf _build

distclean: clean ## remove the environment as well (.venv)
	rm -rf .venv
