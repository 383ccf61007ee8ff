# Everything here needs Python 3.10 or newer, make and a package index, and nothing else.
# Another interpreter: make test PYTHON=python3.13
# Another Django, in virtual environments of its own: make test DJANGO=5.2 VENVS=.venvs/django5.2

PYTHON ?= python3
VENVS ?= .venvs
DJANGO ?=
PYTEST_ARGS ?=

# Virtual environments remember by a file which Python they were made with, so that a second run
# is instant and another PYTHON makes a new one.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
STAMP := .ready-$(VERSION)$(if $(DJANGO),-$(DJANGO))
ready = $(VENVS)/$(1)/$(STAMP)
DEMO_DATABASE := .demo/db.sqlite3

.DEFAULT_GOAL := help
.PHONY: help demo test check services bench screenshots messages clean python

help: ## Show this list
	@echo "make TARGET, where TARGET is one of"
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(call ready,demo) ## The site, a fake WeChat and a first message (ONCE=1: then stop)
	@mkdir -p $(dir $(DEMO_DATABASE))
	@rm -f $(DEMO_DATABASE)*
	@DATABASE_URL=sqlite:///$(DEMO_DATABASE) $(VENVS)/demo/bin/python manage.py demo $(if $(ONCE),--once)

test: $(call ready,test) ## The whole test suite; no service, no network
	@$(VENVS)/test/bin/python -m pytest -n auto --dist loadfile $(PYTEST_ARGS)

check: $(call ready,checks) ## Lint, types, import directions, migrations, Django's checks
	@VENV=$(VENVS)/checks .ci/check

services: $(call ready,services) ## Tests against the servers in DATABASE_URL, CACHE_URL, CELERY_BROKER_URL
	@$(VENVS)/services/bin/python -m pytest -m services $(PYTEST_ARGS)

bench: $(call ready,bench) ## The numbers of docs/benchmarks.md
	@$(VENVS)/bench/bin/python -m benchmarks

screenshots: $(call ready,checks) ## The pictures in docs/images (needs Chromium and a Chinese font)
	@SCREENSHOTS=docs/images $(VENVS)/checks/bin/python -m pytest -q tests/browser/test_screenshots.py

messages: $(call ready,demo) ## Collect and compile translations (needs GNU gettext)
	@$(VENVS)/demo/bin/python manage.py makemessages --locale zh_Hans --no-location --no-wrap \
		--no-obsolete --ignore '.venv*' --ignore tests --ignore benchmarks
	@$(VENVS)/demo/bin/python manage.py compilemessages --ignore '.venv*'

clean: ## Remove virtual environments, the demo's database and what tools leave behind
	@rm -rf $(VENVS) .demo build dist htmlcov .coverage .coverage.* .pytest_cache .mypy_cache \
		.ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

python:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). Name another: make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "$(PYTHON) is Python $(VERSION); 3.10 or newer is needed. Name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }

$(VENVS)/%/$(STAMP): pyproject.toml | python
	@echo "· Python $(VERSION): making $(VENVS)/$*"
	@$(PYTHON) -m venv --clear $(VENVS)/$* || { echo "On Debian and Ubuntu, venv is a package of its own: apt install python3-venv" >&2; exit 1; }
	@echo "· installing (once; a minute at most)"
	@$(VENVS)/$*/bin/python -m pip install --quiet --disable-pip-version-check -e '.[$*]' \
		$(if $(DJANGO),'Django~=$(DJANGO).0')
	@touch $@
