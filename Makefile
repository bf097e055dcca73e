# Commands for developers; `make help` lists them. Debian packages, cargo-deny and cargo-fuzz are installed on the system, and
# everything else in .tools/ and in node_modules/ next to a package.json.

SAM_CLI := 1.170.0
CARGO_LAMBDA := 1.9.2
CARGO_DENY := 0.20.2
CARGO_FUZZ := 0.13.1
CARGO_CYCLONEDX := 0.5.9
CHECK_JSONSCHEMA := 0.39.0
SCHEMATHESIS := 4.32.5
ZIZMOR := 1.32.0
SCALAR := 1.76.0
NODE := 24.19.0

# The architecture for `make build`: arm64 or x86_64.
ARCHITECTURE := arm64

# The environment of `make deploy` and `make logs`: dev, staging or prod (samconfig.toml, deploy/).
ENV := dev

# The time of `make fuzz` per target in seconds, and that of `make soak` in minutes.
TIME := 60
MINUTES := 20

TOOLS := .tools/venv/bin

# Builds tools with few optimizations. Building them with their own release profiles takes longer than all their runs.
CARGO_INSTALL := CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
	cargo install -q --locked
export SAM_CLI_TELEMETRY := 0

# setup-nodejs installs Node.js here if the system's own is missing or too old.
export PATH := $(CURDIR)/.tools/bin:$(PATH)

# Runs the command after it in a new local cloud of the target's own, on free ports.
LOCAL = FRESH=1 DATA_DIR=.local/$@ API_PORT=0 SUPABASE_PORT=0 POSTGRES_PORT=0 cargo run -q --bin local --
SUITE = $(LOCAL) cargo test -q --workspace --test
CLIENT := clients/javascript

# All suites that need a local cloud. `make -j2 test` runs two at a time, and then those that measure time, which run alone.
BESIDE_OTHERS := browser black-box black-box-pooler black-box-tls black-box-limits contract client
SUITES := $(BESIDE_OTHERS) faults faults-pooler

.PHONY: help dev test unit build-tests $(SUITES) bench fuzz soak lint new-route build deploy logs invoke sam-test ship package sbom clean \
	setup setup-rust setup-postgres setup-curl setup-pgbouncer setup-nodejs setup-node setup-contract setup-bench setup-client setup-pages \
	setup-browser setup-schemathesis setup-deny setup-fuzz setup-sam setup-zizmor setup-cyclonedx

help: ## Lists these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s%s\n", $$1, $$2 }' Makefile

dev: setup-rust setup-postgres ## Starts the local cloud, its demo and API reference; Ctrl-C stops it
	@$(MAKE) -s setup-pages || echo "Node.js is missing, so the API starts without the demo and the API reference."
	REALTIME_INBOX=true PAGES=$$(test -e $(CLIENT)/dist/index.js && echo 1 || echo 0) cargo run --bin local

test: unit $(SUITES) ## Runs all tests, the suites in all configurations

# Builds everything that the suites run, so that they can start at the same time.
build-tests: setup-rust setup-postgres setup-curl setup-pgbouncer setup-node setup-client
	cargo build -q --workspace --bins
	cargo test -q --workspace --no-run
	scripts/check-glibc $(patsubst functions/%,target/debug/%,$(wildcard functions/*))

black-box: build-tests ## Tests the API over HTTP
	@echo; echo "Black-box suite"
	$(SUITE) api -- --skip tls::

black-box-pooler: build-tests
	@echo; echo "Black-box suite, Postgres behind a transaction-mode pooler"
	POOLER=1 $(SUITE) api -- --skip tls::

black-box-tls: build-tests
	@echo; echo "Black-box suite, Postgres over TLS, with named statements"
	DATABASE_TLS=1 DATABASE_NAMED_STATEMENTS=true $(SUITE) api

black-box-limits: build-tests
	@echo; echo "Black-box suite, with the limits of Lambda and API Gateway"
	AWS_LIMITS=1 $(SUITE) api -- --skip tls::

ifneq ($(filter test,$(MAKECMDGOALS)),)
faults: | $(BESIDE_OTHERS)
faults-pooler: | faults
endif

faults: build-tests ## Tests what happens when something fails
	@echo; echo "Fault suite"
	$(SUITE) faults -- --test-threads=1

faults-pooler: build-tests
	@echo; echo "Fault suite, Postgres behind a transaction-mode pooler"
	POOLER=1 $(SUITE) faults -- --test-threads=1

unit: setup-rust setup-curl ## Runs the unit tests
	cargo test -q --workspace --lib --bins

contract: build-tests setup-schemathesis ## Runs generated requests against docs/openapi.yaml
	@echo; echo "Contract: docs/openapi.yaml"
	$(LOCAL) .tools/schemathesis/bin/schemathesis --config-file tests/contract/schemathesis.toml run docs/openapi.yaml

browser: build-tests setup-pages setup-browser ## Tests the demo and the API reference in Chromium
	@echo; echo "Demo and API reference in Chromium"
	REALTIME_INBOX=true PAGES=1 $(LOCAL) node --test --test-concurrency=1 tests/browser/*.test.mjs

client: build-tests ## Builds and tests clients/javascript, alone and against the local cloud
	@echo; echo "JavaScript client"
	npm run -s test --prefix $(CLIENT)
	REALTIME_INBOX=true $(LOCAL) npm run -s test:cloud --prefix $(CLIENT)

# Postgres counts plans only in databases for which the benchmark turns that on.
bench: setup-rust setup-postgres setup-bench ## Measures the release binaries, and those in BASELINE=…; writes target/bench/report.json
	cargo build --release $(patsubst functions/%,-p %,$(wildcard functions/*))
	cargo build --release -p hello
	cargo build --release -p bench
	cargo build -q --workspace --bins
	POSTGRES_SETTINGS="shared_preload_libraries=pg_stat_statements pg_stat_statements.track=none \
		pg_stat_statements.track_planning=on compute_query_id=off" \
	PROFILE=release NO_BUILD=1 SCHEDULE_SECONDS=3600 DATA_DIR=.local/bench API_PORT=0 SUPABASE_PORT=0 POSTGRES_PORT=0 \
		target/debug/local target/release/bench

fuzz: setup-rust setup-fuzz ## Tests the parsers with generated input (TIME=60 seconds for each)
	cargo fuzz build -s none
	@set -e; for target in $$(cargo fuzz list); do \
		echo; echo "$$target, $(TIME) s"; mkdir -p fuzz/corpus/$$target; \
		cargo fuzz run -s none $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
			-dict=fuzz/words -max_total_time=$(TIME) -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 -verbosity=0; \
	done

soak: setup-rust setup-postgres ## Runs mixed traffic with faults, then checks the results (MINUTES=20)
	cargo build -q --workspace --bins
	MINUTES=$(MINUTES) NO_BUILD=1 DATA_DIR=.local/soak API_PORT=0 SUPABASE_PORT=0 POSTGRES_PORT=0 \
		cargo run -q --bin soak

lint: setup-rust setup-deny setup-sam setup-contract setup-client setup-zizmor ## Checks format, lints, dependencies, docs/openapi.yaml, the deployment and the pipeline
	cargo fmt --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo clippy -q --workspace --all-targets -- -D warnings
	scripts/check-new-route
	cargo deny --log-level error check bans licenses sources
	$(TOOLS)/sam validate --lint
	npm run -s lint --prefix tests/contract
	npm run -s lint --prefix $(CLIENT)
	$(TOOLS)/python scripts/check-template
	$(TOOLS)/python scripts/check-template --self-test
	.tools/zizmor/bin/check-jsonschema -q --builtin-schema vendor.github-workflows .github/workflows/*.yml
	.tools/zizmor/bin/check-jsonschema -q --builtin-schema vendor.dependabot .github/dependabot.yml
	.tools/zizmor/bin/zizmor --offline --quiet .github

new-route: setup-client ## Generates a route (NAME=archive-conversation ROUTE="POST /v1/conversations/{id}/archive")
	@scripts/new-route "$(NAME)" "$(ROUTE)"
	@cargo fmt
	@npm run -s types --prefix $(CLIENT)

build: setup-rust setup-sam ## Builds the functions for deployment (ARCHITECTURE=x86_64 for Intel)
	PATH="$(CURDIR)/$(TOOLS):$$PATH" sam build --parameter-overrides Architecture=$(ARCHITECTURE)
	scripts/check-glibc .aws-sam/build/*/bootstrap

deploy: build ship ## Builds and deploys (ENV=dev, staging or prod)

# Deploys the current build with the role ROLE for CloudFormation, or with your own. ROLL_OUT=AllAtOnce skips the canary of this
# deployment. With CI set, it asks for no confirmation, because the pipeline's environments have reviewers. The release is a hash
# of everything that is deployed, so a second deployment of the same build changes nothing.
ship: setup-sam
	$(TOOLS)/sam deploy --config-env $(ENV) $(if $(CI),--no-confirm-changeset) $(if $(ROLE),--role-arn $(ROLE)) \
		--parameter-overrides file://deploy/$(ENV).yaml Architecture=$(ARCHITECTURE) $(if $(ROLL_OUT),RollOut=$(ROLL_OUT)) \
		Release=$$(cat .aws-sam/build/template.yaml .aws-sam/build/*/bootstrap deploy/$(ENV).yaml | sha256sum | cut -c -40)

package: build ## Builds the functions and writes a zip of each into target/package
	@mkdir -p target/package
	@for folder in functions/*; do \
		name=$${folder#*/}; built=$$(echo "-$$name" | sed -E 's/-(.)/\U\1/g')Function; \
		python3 -m zipfile -c target/package/$$name-$(ARCHITECTURE).zip .aws-sam/build/$$built/bootstrap && echo $$name; \
	done

# There is one file per function. cargo-cyclonedx writes them next to the manifests.
sbom: setup-rust setup-cyclonedx ## Writes each function's bill of materials, as CycloneDX, into target/package
	@mkdir -p target/package
	cargo cyclonedx -q --format json --target aarch64-unknown-linux-gnu
	@for folder in functions/*; do mv $$folder/$${folder#*/}.cdx.json target/package/; done
	@find . -name '*.cdx.json' -not -path './target/*' -delete

logs: setup-sam ## Follows the functions' logs (ENV=…)
	$(TOOLS)/sam logs --config-env $(ENV) --tail

invoke: setup-sam ## Runs a built function in Lambda's own environment (F=send-message)
	$(TOOLS)/sam local invoke $$(echo "-$(F)" | sed -E 's/-(.)/\U\1/g')Function -e events/$(F).json \
		--parameter-overrides Architecture=$(ARCHITECTURE)

sam-test: setup-postgres ## Tests the built functions in Lambda's own environment; needs Docker
	$(MAKE) build ARCHITECTURE=$(subst aarch64,arm64,$(shell uname -m))
	HOST=0.0.0.0 DATA_DIR=.local/sam API_PORT=0 SUPABASE_PORT=0 POSTGRES_PORT=0 cargo run -q --bin local -- scripts/sam-test

clean: ## Removes everything that was built, installed and stored here
	cargo clean
	rm -rf .aws-sam .local /var/lib/tinychat/$(subst /,-,$(CURDIR:/%=%))-.local* .tools fuzz/artifacts fuzz/corpus fuzz/target
	rm -rf bench/node/node_modules demo/node_modules tests/*/node_modules $(CLIENT)/node_modules $(CLIENT)/dist

setup: setup-rust setup-postgres setup-curl setup-pgbouncer setup-node setup-contract setup-bench setup-client setup-pages setup-browser setup-schemathesis setup-deny setup-fuzz setup-sam setup-zizmor ## Installs missing tools, or prints their names
	@echo "Everything is installed."

setup-rust:
	@command -v cargo >/dev/null || { echo "Rust is missing: see https://rustup.rs" >&2; exit 1; }

# The server's programs are needed; psql alone isn't enough.
setup-postgres:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null \
		|| scripts/install-packages postgresql

# For scripts/smoke, a quickstart and the tests of the local Lambda.
setup-curl:
	@command -v curl >/dev/null || scripts/install-packages curl

setup-pgbouncer:
	@PATH="$$PATH:/usr/sbin" command -v pgbouncer >/dev/null || scripts/install-packages pgbouncer

setup-node: tests/node/node_modules/.package-lock.json

setup-bench: bench/node/node_modules/.package-lock.json

setup-contract: tests/contract/node_modules/.package-lock.json

setup-pages: demo/node_modules/.package-lock.json .tools/scalar-$(SCALAR) setup-client

# One file of the package, which has in it what npm would install beside it, 300 MB.
.tools/scalar-$(SCALAR): | setup-nodejs
	@echo "Installing Scalar into .tools/scalar ..."
	@mkdir -p .tools/scalar
	@npm pack -s --pack-destination .tools/scalar @scalar/api-reference@$(SCALAR) >/dev/null
	@tar -xzOf .tools/scalar/scalar-api-reference-$(SCALAR).tgz package/dist/browser/standalone.js >.tools/scalar/standalone.js
	@rm .tools/scalar/*.tgz
	@touch $@

setup-client: $(CLIENT)/dist/index.js

$(CLIENT)/dist/index.js: $(CLIENT)/node_modules/.package-lock.json $(wildcard $(CLIENT)/src/*.ts)
	npm run -s build --prefix $(CLIENT)

setup-browser: tests/browser/node_modules/.package-lock.json
	@command -v chromium >/dev/null || scripts/install-packages chromium

# Debian's Node.js is older. PyPI's wheel contains the official binaries of Node.js.
setup-nodejs:
	@node -e 'process.exitCode = +(parseInt(process.versions.node) < 20)' 2>/dev/null || scripts/install-node $(NODE)

# npm writes this file at the end of an installation.
%/node_modules/.package-lock.json: %/package-lock.json | setup-nodejs
	npm ci --prefix $* --no-audit --no-fund --ignore-scripts
	@touch $@

setup-schemathesis: .tools/schemathesis-$(SCHEMATHESIS)

.tools/schemathesis-$(SCHEMATHESIS):
	@python3 -c 'import ensurepip' 2>/dev/null || scripts/install-packages python3-venv
	@echo "Installing schemathesis into .tools/schemathesis ..."
	@python3 -m venv --clear .tools/schemathesis
	@.tools/schemathesis/bin/pip install -q schemathesis==$(SCHEMATHESIS)
	@touch $@

setup-deny:
	@cargo deny --version 2>/dev/null | grep -qx 'cargo-deny $(CARGO_DENY)' \
		|| $(CARGO_INSTALL) cargo-deny@$(CARGO_DENY)

setup-zizmor: .tools/zizmor-$(ZIZMOR)-check-jsonschema-$(CHECK_JSONSCHEMA)

.tools/zizmor-$(ZIZMOR)-check-jsonschema-$(CHECK_JSONSCHEMA):
	@python3 -c 'import ensurepip' 2>/dev/null || scripts/install-packages python3-venv
	@echo "Installing zizmor and check-jsonschema into .tools/zizmor ..."
	@python3 -m venv --clear .tools/zizmor
	@.tools/zizmor/bin/pip install -q zizmor==$(ZIZMOR) check-jsonschema==$(CHECK_JSONSCHEMA)
	@touch $@

# Only releases need it, so `make setup` doesn't install it.
setup-cyclonedx:
	@cargo cyclonedx --version 2>/dev/null | grep -q ' $(CARGO_CYCLONEDX)$$' \
		|| $(CARGO_INSTALL) cargo-cyclonedx@$(CARGO_CYCLONEDX)

# libFuzzer is written in C++ and compiled with each target.
setup-fuzz:
	@command -v c++ >/dev/null || scripts/install-packages g++
	@cargo fuzz --version 2>/dev/null | grep -qx 'cargo-fuzz $(CARGO_FUZZ)' \
		|| $(CARGO_INSTALL) cargo-fuzz@$(CARGO_FUZZ)

setup-sam: .tools/sam-$(SAM_CLI)-cargo-lambda-$(CARGO_LAMBDA)

.tools/sam-$(SAM_CLI)-cargo-lambda-$(CARGO_LAMBDA):
	@python3 -c 'import ensurepip' 2>/dev/null || scripts/install-packages python3-venv
	@echo "Installing SAM and cargo-lambda into .tools/venv ..."
	@python3 -m venv --clear .tools/venv
	@$(TOOLS)/pip install -q aws-sam-cli==$(SAM_CLI) cargo-lambda==$(CARGO_LAMBDA)
	@touch $@
