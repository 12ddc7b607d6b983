# Every command of the project. `make` alone lists them. Needs a Python 3.13 somewhere (or SIGNALBOX_PYTHON) and a
# POSIX shell; everything else is fetched, by hash, into .venv on first use.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0
export PYTHONPATH := $(CURDIR)/layers/signalbox

STAGE ?= dev
ARGS ?=
# The first that runs: a pyenv shim may be there and fail.
BOOTSTRAP_PYTHON = $(shell for python in .venv/bin/python python3 python3.13 python; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null && { echo "$$python"; break; }; done)
# In an environment of its own: its pins and ministack's exclude each other.
SAM = uvx --quiet --python .venv/bin/python --from aws-sam-cli==1.170.0 sam
CHECKOV = uvx --quiet --python .venv/bin/python --from checkov==3.3.30 checkov
CFN_LINT_SERVERLESS = uvx --quiet --python .venv/bin/python --from cfn-lint==1.58.0 --with cfn-lint-serverless==0.3.6 cfn-lint
ZIZMOR = uvx --quiet --python .venv/bin/python --from zizmor==1.16.0 zizmor
TYPED = layers/signalbox/signalbox functions local operations tests examples/instance-watcher examples/document-consumer $(if $(wildcard bench/*.py),bench)
COMPILE = uv pip compile --quiet --universal --python-version 3.13 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header
# The Lambda runtime brings the first six; the rest is aiohttp's (see layers/dependencies/stand_ins).
IN_RUNTIME = boto3 botocore s3transfer python-dateutil six urllib3
NEVER_USED = aiohttp aiohappyeyeballs aiosignal attrs frozenlist multidict propcache yarl idna

.PHONY: help
help: ## List the commands
	@echo "Signalbox: make COMMAND"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo "Options of a command of the embedded AWS go into ARGS: make demo ARGS=--help"

.PHONY: setup
setup: ## Make .venv, or bring it up to date (the other commands do it themselves)
	@test -n "$(BOOTSTRAP_PYTHON)" || { echo "No Python (3.8 or later) on PATH to begin with. Install Python 3.13." >&2; exit 1; }
	@$(BOOTSTRAP_PYTHON) local/bootstrap.py

.PHONY: demo
demo: setup ## Everything from nothing: a Spot interruption handled on the embedded AWS, and checked
	@python -m local demo $(ARGS)

.PHONY: test
test: setup ## Run every test (ARGS="-k window -x" to choose)
	@python -m pytest $(ARGS)

.PHONY: check
check: setup ## Lint, format, types, import rules, template, modules of a cold start
	ruff check .
	ruff format --check .
	mypy $(TYPED)
	lint-imports
	cfn-lint template.yaml
	python -m bench.budget
	$(MAKE) audit

.PHONY: audit
audit: setup ## Hold templates and workflows to security rules (checkov, serverless-rules, zizmor); part of make check
	$(CFN_LINT_SERVERLESS) --config-file .cfnlintrc.serverless.yaml
	$(CHECKOV) --config-file .checkov.yaml
	$(ZIZMOR) --offline --quiet .github/workflows

.PHONY: bench
bench: setup ## Storms, planning and cold starts, against the plain way (ARGS=start, ARGS=--help)
	@if [ -e bench/__main__.py ]; then python -m bench $(ARGS); else echo "No benchmarks yet."; fi

.PHONY: cost
cost: setup ## What each event costs, from counted usage (ARGS=--count counts anew)
	@python -m bench.cost $(ARGS)

.PHONY: dashboards
dashboards: setup ## Draw the stack's dashboards, from a run of some three minutes
	@python -m local dashboards $(ARGS)

.PHONY: up
up: setup ## Start the embedded AWS with the stack, a demo fleet and demo teams, and leave it running
	@python -m local up $(ARGS)

.PHONY: down
down: setup ## Stop what `make up` left running
	@python -m local down $(ARGS)

.PHONY: send
send: setup ## Deliver an event file as AWS would: make send EVENT=events/spot/interruption_warning.json
	@test -n "$(EVENT)" || { echo "Which event? make send EVENT=events/spot/interruption_warning.json" >&2; exit 2; }
	@python -m local send "$(EVENT)" $(ARGS)

.PHONY: status
status: setup ## What happened, from the ledger: episodes, actions, windows, documents, releases, queues
	@python -m local status $(ARGS)

.PHONY: trace
trace: setup ## Where the time went: make trace OF=i-0abc… (or a window's number)
	@test -n "$(OF)" || { echo "Whose trace? make trace OF=<instance id or window>; make status lists them" >&2; exit 2; }
	@python -m local trace "$(OF)" $(ARGS)

.PHONY: lock
lock: setup ## Resolve the requirements anew (ARGS=--upgrade for the newest)
	$(COMPILE) $(ARGS) requirements/bootstrap.in --output-file requirements/bootstrap.txt
	$(COMPILE) $(ARGS) requirements/dev.in --output-file requirements/dev.txt
	$(COMPILE) layers/dependencies/requirements.in --constraint requirements/dev.txt \
		$(addprefix --no-emit-package ,$(IN_RUNTIME) $(NEVER_USED)) --output-file layers/dependencies/requirements.txt
	$(COMPILE) layers/kubernetes/requirements.in --constraint requirements/dev.txt \
		$(addprefix --no-emit-package ,$(IN_RUNTIME) msgspec typing-extensions httpx2-jsfetch) \
		--output-file layers/kubernetes/requirements.txt
	$(COMPILE) layers/documents/requirements.in --constraint requirements/dev.txt \
		--no-emit-package typing-extensions --output-file layers/documents/requirements.txt
	$(COMPILE) layers/opensearch/requirements.in --constraint requirements/dev.txt \
		$(addprefix --no-emit-package ,$(IN_RUNTIME) typing-extensions grpcio protobuf opensearch-protobufs) \
		--output-file layers/opensearch/requirements.txt
	$(COMPILE) layers/packages/requirements.in --constraint requirements/dev.txt --output-file layers/packages/requirements.txt

.PHONY: build
build: setup ## sam build, for AWS (SIGNALBOX_ARCHITECTURE=arm64 or x86_64)
	@# A cache for each: the SAM CLI does not see that the architecture changed.
	$(SAM) build --cache-dir .aws-sam/cache-$(or $(SIGNALBOX_ARCHITECTURE),arm64)

.PHONY: deploy
deploy: ## sam build and deploy to the AWS account of your credentials: make deploy STAGE=dev|staging|prod
	@case "$(STAGE)" in dev|staging|prod) ;; *) echo "STAGE is dev, staging or prod, not \"$(STAGE)\"." >&2; exit 2;; esac
	@if [ "$(STAGE)" = prod ] && [ -n "$$(git status --porcelain 2>/dev/null)" ]; then \
		echo "Not all of this is committed: nobody will be able to deploy the same again." >&2; fi
	@$(MAKE) build
	@python -m operations announce --stack signalbox-$(STAGE) || echo "Going on: alarms may page meanwhile." >&2
	$(SAM) deploy --config-env $(STAGE) $(ARGS)

# For a pipeline: what `make build` made, elsewhere perhaps, as it is.
.PHONY: deploy-built
deploy-built: setup
	$(SAM) deploy --config-env $(STAGE) $(ARGS)

# The stack of a stage, or the one of `make up`. One word: else a command that lacks an argument takes the name for it.
STACK = $(if $(filter local,$(STAGE)),--local,--stack=signalbox-$(STAGE))

.PHONY: announce
announce: setup ## Say that a deployment is under way: alarms page nobody for 15 minutes (STAGE=…)
	@python -m operations announce $(STACK)

.PHONY: probe
probe: setup ## Ask every function of a stack whether it could work (STAGE=dev|staging|prod|local)
	@python -m operations probe $(STACK)

# For a pipeline: STACK="--stack signalbox-pr-7".
.PHONY: remove-preview
remove-preview: setup
	@python -m operations remove $(STACK)

.PHONY: replay
replay: setup ## Show a dead-letter queue, and replay it with ARGS=--execute (STAGE=dev|staging|prod|local)
	@python -m operations replay $(STACK) $(ARGS)

.PHONY: upload
upload: setup ## Upload documents: make upload FILE="a.pdf b.docx" (STAGE=dev|staging|prod|local)
	@test -n "$(FILE)" || { echo "Which files? make upload FILE=report.pdf" >&2; exit 2; }
	@python -m operations upload $(STACK) $(ARGS) $(FILE)

.PHONY: search
search: setup ## Search the documents: make search Q="some words" (ARGS=--help; STAGE=dev|staging|prod|local)
	@python -m operations search $(STACK) $(ARGS) "$(Q)"

.PHONY: routes
routes: setup ## Which objects are indexed: ARGS="check FILE", show, "put FILE --yes" (STAGE=dev|staging|prod|local)
	@python -m operations routes $(ARGS) $(if $(filter check,$(ARGS)),,$(STACK))

.PHONY: notifications
notifications: setup ## EventBridge for existing buckets: ARGS="show BUCKET", enable, disable (STAGE=…)
	@python -m operations notifications $(STACK) $(ARGS)

.PHONY: backfill
backfill: setup ## Take in what a bucket holds: ARGS="s3://BUCKET/PREFIX --yes" (STAGE=…)
	@python -m operations backfill $(STACK) $(ARGS)

.PHONY: releases
releases: setup ## Releases of packages: list them; ARGS="show KEY", "retry KEY --yes", --help (STAGE=dev|staging|prod|local)
	@python -m operations releases $(or $(ARGS),list) $(if $(filter check default --help,$(ARGS)),,$(STACK))

.PHONY: job
job: setup ## Run a job and follow it: make job NAME=rebuild-index (without NAME: list them; STAGE=…)
	@python -m operations job $(STACK) $(ARGS) $(NAME)

.PHONY: clean
clean: ## Stop what this checkout left running; remove .local and .aws-sam
	@if [ -d .local ] && [ -x .venv/bin/python ]; then python -m local down --all; fi
	@rm -rf .local .aws-sam

.PHONY: distclean
distclean: clean ## The same, and remove .venv and the caches
	@rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
