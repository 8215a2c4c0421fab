# One door to every habit of this project. Continuous integration (.ci/run) and hands use the
# same steps; `make` alone lists them.

VENV ?= .venv
PY = $(VENV)/bin/python
ARGS ?=
T ?= h1parse
S ?= 60
N ?= 1000000
DIFFERENTIAL ?= 100000
DIR ?=
CROWD ?= 10000
STORM ?= 4200

.DEFAULT_GOAL := help
.PHONY: faults storm soak crowd valgrind tsan refcounts analyze help dev test test-c test-uvloop test-debug test-pythons asan refleak fuzz lint stubs \
	symbols werror bench bulk growth instructions demo format clean ci test-llhttp test-httptools differential

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

dev: ## editable debug build in .venv: -O0 -g3, assertions and counters on
	scripts/bootstrap test
	rm -f $(VENV)/aiofast-sources.txt
	AIOFAST_DEBUG=1 $(PY) -m pip install -q --disable-pip-version-check --no-build-isolation \
		--no-deps --force-reinstall -e .

test: ## all tests on the installed package; ARGS="tests/unit -x" for some of them
	scripts/test $(ARGS)

test-c: ## the C core without Python, under ASan and UBSan; T=torture for one program
	$(MAKE) -s -C tests/c $(if $(filter command line,$(origin T)),T=$(T))

test-uvloop: ## the Python tests on uvloop
	.ci/run uvloop

test-debug: ## the Python tests in asyncio's debug mode and -X dev
	.ci/run debug

test-pythons: ## the Python tests on each other CPython 3.11 to 3.14 that is found
	.ci/run pythons

asan: ## the Python tests with the extension under ASan and UBSan
	.ci/run asan

refleak: ## the leak registry: every type made and dropped a thousand times
	.ci/run refleak

refcounts: ## the same where Python counts all references (python3-dbg)
	.ci/run refcounts

fuzz: ## a fuzzer: T=h1parse, h1events, header, decode, url or client for S=60 seconds
	$(MAKE) -s -C tests/fuzz TARGET=$(T) SECONDS=$(S)

test-llhttp: ## the parser's tests on llhttp 9, or on the C sources of another in DIR
	scripts/test-llhttp $(DIR)

test-httptools: ## httptools' and uvicorn's own tests, with aiofast.parser in its place
	scripts/test-httptools

differential: ## DIFFERENTIAL=100000 generated messages of each kind beside h11 and httptools
	scripts/bootstrap test
	$(PY) tests/differential.py --count $(DIFFERENTIAL)

faults: ## servers that fail in every way, and what must come of it; slow cases included
	$(PY) -m pytest -q -p no:cacheprovider tests/faults $(ARGS)

storm: ## 100,000 cancellations at random moments (STORM=4200 for each of 24 storms)
	AIOFAST_STORM=$(STORM) $(PY) -m pytest -q -s -p no:cacheprovider tests/faults/test_storms.py

soak: ## N=1000000 requests, one in ten failing: memory, descriptors, crossed answers
	$(PY) tests/faults/soak.py --requests $(N)

crowd: ## CROWD=10000 requests at once
	$(PY) tests/faults/soak.py --at-once $(CROWD)

valgrind: ## the C tests without sanitizers, under valgrind
	$(MAKE) -s -C tests/c SAN= SECONDS=900 BUILD=$(CURDIR)/build/c-tests-valgrind \
		RUN="valgrind -q --error-exitcode=9 --leak-check=full"

tsan: ## loops in threads and what works in libuv's, under the thread sanitizer
	$(MAKE) -s -C tests/c BUILD=$(CURDIR)/build/c-tests-tsan \
		SAN="-fsanitize=thread -fno-omit-frame-pointer" \
		T="threads aif_loop aif_resolve aif_pread aif_pwrite aif_sendfile aif_upload"

lint: ## clang-format, ruff, mypy, layers, sizes, banned calls, words
	.ci/run lint

stubs: ## the stub against the module
	scripts/test tests/lint/test_typing.py

analyze: ## the static analyzers of clang and gcc over the engine
	scripts/analyze

symbols: ## what the extension exports: PyInit__core alone
	scripts/test tests/lint/test_symbols.py

werror: ## gcc and clang builds in which every warning is an error
	.ci/run werror

bench: ## aiofast beside other clients; ARGS for benchmarks/run.py
	scripts/bootstrap bench
	$(PY) benchmarks/run.py $(ARGS)

bulk: ## 1 GiB to a file and from one: speed, CPU, memory; ARGS="--size 256"
	$(PY) benchmarks/bulk.py $(ARGS)

growth: ## what a request costs over connections, origins, fields, bytes; ARGS="--axis idle"
	scripts/bootstrap bench
	$(PY) benchmarks/growth.py --out benchmarks/results $(ARGS)

instructions: ## the hot paths' instructions against the baseline; ARGS=--accept stores a new one
	scripts/bootstrap ci
	$(PY) benchmarks/instructions.py $(ARGS)

demo: ## the demonstration
	scripts/demo

format: ## clang-format and ruff's import order, in place
	scripts/bootstrap test ci
	$(VENV)/bin/clang-format -i csrc/*/*.[ch] tests/c/*.[ch] tests/fuzz/*.c
	$(VENV)/bin/ruff check -q --select I --fix .

clean: ## removes what builds and tests made; the virtual environment stays
	rm -rf build dist *.egg-info aiofast/*.so
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

ci: ## everything that continuous integration runs
	.ci/run
