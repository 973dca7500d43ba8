# What a developer types; .ci/run types the same. Servers are built once into the user's cache
# (tests/servers/README.md), never into this folder.

CARGO ?= cargo
ETCD := tests/servers/get etcd
# What `make conformance` needs, and what `make conformance-all` needs besides.
SERVERS := age age-keygen etcd etcd-3.4 etcd-failpoints kine encryption-config-1.28 encryption-config-1.31 encryption-config-1.37 kms-reference \
	kube-apiserver-fast kube-apiserver-1.31-fast vault softhsm2-module softhsm2-util moto
MORE_SERVERS := etcd-3.5 etcd-3.7 kine-0.13 \
	kube-apiserver-1.28-fast kube-apiserver-1.29-fast kube-apiserver-1.30-fast kube-apiserver-1.34-fast kube-apiserver

.PHONY: all build demo test conformance conformance-all chaos kms-contract bench lint servers

all: lint test

build:
	$(CARGO) build --locked --release --bins

# The main job on real input, explained step by step.
demo: build
	@$(ETCD) >/dev/null
	$(CARGO) run --locked --release --quiet --example demo

# Everything that needs Rust and etcd.
test:
	@$(ETCD) >/dev/null
	$(CARGO) test --locked --workspace

# The real kube-apiserver and the other real servers: the suites that `make test` leaves out, but for those of
# more releases and stores.
LEFT_OUT := --skip more:: --skip every_store:: --skip _on_1_31
# 1.31 is the last whose gRPC client says what HTTP/2 forbids; its clocks are left to conformance-all.
ON_1_31 := every_key_and_back_on_1_31 both_ways_on_1_31
conformance: servers
	$(CARGO) test --locked --test conformance --test kms_contract -- --ignored --test-threads=1 --skip roots:: $(LEFT_OUT)
	$(CARGO) test --locked --test conformance -- --ignored --test-threads=1 $(ON_1_31)
	$(CARGO) test --locked --test conformance -- --ignored --test-threads=4 roots::

# All suites, on every server of tests/servers that one of them can use; those of kube-apiserver's clocks once more with
# the clocks as they are released.
conformance-all: SERVERS += $(MORE_SERVERS)
conformance-all: LEFT_OUT :=
conformance-all: conformance
	RINGFENCE_KUBE_APISERVER_FAST=$$(tests/servers/get kube-apiserver) \
	$(CARGO) test --locked --test conformance -- --ignored --test-threads=1 clocks:: --skip _on_1_31

# Everything dies while everybody writes; `make conformance` has four rounds of it.
#   make chaos [ROUNDS=200] [SEED=...]
ROUNDS := 200
chaos: SERVERS := etcd-failpoints kube-apiserver-fast
chaos: servers
	RINGFENCE_CHAOS_ROUNDS=$(ROUNDS) $(if $(SEED),RINGFENCE_SEED=$(SEED)) \
	$(CARGO) test --locked --test conformance -- --ignored --nocapture chaos::

# What a KMS v2 plugin must do, tried on any plugin: docs/kms-contract.md. Needs nothing but Rust.
#   make kms-contract SOCKET=/path/to.sock [ROTATE_CMD='...'] [RESTART_CMD='...']
kms-contract:
	@$(CARGO) run --locked --quiet --example kms-contract

# Ratios against the limits and the peers of the same run; see benches/. Every verdict is added to
# benches/history.tsv.
#   make bench [RINGFENCE_BENCH_OBJECTS=1000000]
bench: SERVERS := etcd kube-apiserver-fast kube-controller-manager kms-reference moto vault
bench: servers
	RINGFENCE_BENCH_HISTORY=$(CURDIR)/benches/history.tsv \
	RINGFENCE_BENCH_LABEL="$$(date -u +%F)	$$(git describe --always --dirty)" \
	$(CARGO) bench --locked --package ringfence --no-fail-fast --bench '*'

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS=-Dwarnings $(CARGO) doc --locked --workspace --no-deps

servers:
	@for server in $(SERVERS); do tests/servers/get $$server || exit; done
