# Everything here needs Python 3.10 or newer, make and a package index, and nothing else.
# Another interpreter: make test PYTHON=python3.13
# Another Django, in virtual environments of its own: make test DJANGO=5.2 VENVS=.venvs/django5.2
# Everything is installed in the versions of requirements.lock, but for another Django: then all
# else is the newest that goes with it.

PYTHON ?= python3
VENVS ?= .venvs
DJANGO ?=
PYTEST_ARGS ?=
# Two processes for each core, as tests wait for one another half of the time: for a lease, a
# time limit, a child. The tests of a file stay together, as they share what is slow to start.
PARALLEL = -n $(shell $(PYTHON) -c 'import os; print(2 * (os.cpu_count() or 1))') --dist loadfile \
	--no-loadscope-reorder

# Tests start some two hundred processes, each of which would compile the whole package anew where
# the shell forbids to keep what was compiled. Python takes an empty variable as none.
export PYTHONDONTWRITEBYTECODE =

# Virtual environments remember by a file which Python they were made with, so that a second run
# is instant and another PYTHON makes a new one.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
STAMP := .ready-$(VERSION)$(if $(DJANGO),-$(DJANGO))
ready = $(VENVS)/$(1)/$(STAMP)
pip = $(VENVS)/$*/bin/python -m pip install --quiet --disable-pip-version-check
# The package's own extras that come with a dependency group of pyproject.toml.
EXTRAS := callbacks,celery,qr,tasks
$(call ready,demo): EXTRAS := callbacks,qr
GROUPS := demo test browser services bench checks lock

.DEFAULT_GOAL := help
.PHONY: help demo test check services chaos bench screenshots messages hooks lock clean python

help: ## Show this list
	@echo "make TARGET, where TARGET is one of"
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(call ready,demo) ## The site, a fake WeChat and a first message (ONCE=1: then stop)
	@mkdir -p .demo; own=$$(mktemp -d .demo/XXXXXX); trap : INT; trap 'rm -rf $$own' EXIT; \
		DATABASE_URL=sqlite:///$$own/db.sqlite3 $(VENVS)/demo/bin/python manage.py demo $(if $(ONCE),--once)

test: $(call ready,test) ## The whole test suite; no service, no network
	@$(VENVS)/test/bin/python -m pytest $(PARALLEL) $(PYTEST_ARGS)

check: $(call ready,checks) ## Lint, types, import directions, migrations, Django's checks
	@VENV=$(VENVS)/checks .ci/check

services: $(call ready,services) ## Tests against the servers in DATABASE_URL, CACHE_URL, CELERY_BROKER_URL
	@$(VENVS)/services/bin/python -m pytest $(PARALLEL) -m services $(PYTEST_ARGS)

chaos: $(call ready,services) ## The tests of bad days in full size, against the same servers
	@CHAOS=1 $(VENVS)/services/bin/python -m pytest -m 'services or slow' --timeout 900 \
		tests/services tests/test_callback_storm.py tests/test_callback_view.py tests/test_crash.py \
		$(PYTEST_ARGS)

bench: $(call ready,bench) ## The numbers of docs/benchmarks.md
	@$(VENVS)/bench/bin/python -m benchmarks

screenshots: $(call ready,checks) ## The pictures in docs/images (needs Chromium and a Chinese font)
	@SCREENSHOTS=docs/images $(VENVS)/checks/bin/python -m pytest -q tests/browser/test_screenshots.py

messages: $(call ready,demo) ## Collect and compile translations (needs GNU gettext)
	@$(VENVS)/demo/bin/python manage.py makemessages --locale zh_Hans --no-location --no-wrap \
		--no-obsolete --ignore '.venv*' --ignore tests --ignore benchmarks
	@$(VENVS)/demo/bin/python manage.py compilemessages --ignore '.venv*'

hooks: $(call ready,checks) ## From now on, git runs ruff at each commit and make check at each push
	@$(VENVS)/checks/bin/pre-commit install

lock: $(call ready,lock) ## Write requirements.lock anew, with the newest versions of everything
	@$(VENVS)/lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.10 \
		--generate-hashes --custom-compile-command 'make lock' --output-file requirements.lock \
		--all-extras $(GROUPS:%=--group %) pyproject.toml

clean: ## Remove virtual environments, the demo's database and what tools leave behind
	@rm -rf $(VENVS) .demo build dist htmlcov .coverage .coverage.* .pytest_cache .mypy_cache \
		.ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

python:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). Name another: make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "$(PYTHON) is Python $(VERSION); 3.10 or newer is needed. Name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }

$(VENVS)/%/$(STAMP): pyproject.toml requirements.lock | python
	@echo "· Python $(VERSION): making $(VENVS)/$*"
	@$(PYTHON) -m venv --clear $(VENVS)/$* || { echo "On Debian and Ubuntu, venv is a package of its own: apt install python3-venv" >&2; exit 1; }
	@echo "· installing (once; a minute at most)"
	@$(pip) 'pip>=25.1'
	@$(pip) --no-deps --editable .
	@$(pip) --group $* 'django-wechat-notify[$(EXTRAS)]' \
		$(if $(DJANGO),'Django~=$(DJANGO).0',--constraint requirements.lock)
	@touch $@
