# Every command a contributor needs. `make` alone prints them.
#
# No compiler or linker flag is set here, so that `make` and a plain `cargo` share one build.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help dev test e2e lint fuzz bench profile instructions

help: ## this text
	@awk -F ' ## ' '/^[a-z-]+:.* ## / { split($$1, name, ":"); printf "make %-12s %s\n", name[1], $$2 }' Makefile

dev: ## build and run the product on this machine: MQTT on port 1883, an embedded Kafka, live rates
	@cargo build --release --bin isthmus
	@exec "$${CARGO_TARGET_DIR:-target}/release/isthmus" dev examples/quickstart.yaml

test: ## run every test, on real Kafka, Kubernetes and clients; sets up what it needs (Linux, Java 17, Maven, Go, Python)
	@scripts/test.sh

e2e: ## the whole product on a real node: kubelet, containers, Services, names (Linux, root; sets up the rest)
	@scripts/e2e.sh

lint: ## check format, lints, documentation, shell scripts, licenses and sources of dependencies
	@scripts/lint.sh

fuzz: ## fuzz the rule engine, 20 minutes for each target (FUZZ_SECONDS=60 make fuzz for a quick look); needs nightly Rust
	@scripts/fuzz.sh

bench: ## measure every shape of load against the floor, report in target/bench/report.md; SHAPE=S1 and ROUNDS=3 say which and how often
	@scripts/bench.sh run $(if $(SHAPE),--shape $(SHAPE)) --rounds $(or $(ROUNDS),3)

profile: ## say in which functions a shape of load spends its instructions: SHAPE=S1, table in target/bench
	@scripts/bench.sh profile --shape $(or $(SHAPE),S1)

instructions: ## count the instructions of decoding, rule and encoding, and compare with the committed figures
	@scripts/instructions.sh
