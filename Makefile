# relais: the few commands.  The build itself is meson's (meson.build), in build/.
MAKEFLAGS += --no-print-directory
.PHONY: help run demo build test check ci bench fuzz

help:
	@echo "make run     installs what is missing, builds, runs a relay on 127.0.0.1:2525 in ./run"
	@echo "make demo    two nodes under load, one killed with its disk: counts what is lost (nothing)"
	@echo "make test    everything that shows that it works; the last line counts passed and failed"
	@echo "make check   before each commit: format, headers, floors, manuals, documents, unit tests"
	@echo "make ci      check, sanitizers, fuzzers, the long crash sets, static analysis (an hour)"
	@echo "make bench   side by side with Postfix; writes bench/results.md"
	@echo "make fuzz    each fuzzer for SECONDS=60"
	@echo "make build   relaisd and relais in build/"

build:
	@tools/install-packages build
	@tools/build build

run: build
	@tools/run-local

demo: build
	@tools/demo $(ARGS)

test:
	@tools/install-packages build test
	@tools/build build -Dtests=true
	@tools/run-tests test

check:
	@tools/install-packages build test
	@tools/build build -Dtests=true
	@tools/run-tests check

ci:
	@tools/install-packages build test ci
	@tools/build build -Dtests=true
	@tools/run-tests ci

bench:
	@tools/install-packages build test bench
	@tools/build build
	@bench/compare $(ARGS)

SECONDS = 60
fuzz:
	@tools/install-packages build test
	@tools/run-fuzzers --seconds $(SECONDS)
