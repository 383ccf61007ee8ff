"""``python -m benchmarks.triggers``: what triggers cost that do not fire.

10,000 saves and 100,000 loads of a model with three triggers, over those of a model without any. In
the database of DATABASE_URL, by default SQLite in memory, which costs least and shows most. Both
models take turns of a few milliseconds and the best of each is taken: the machine has others to
serve.
"""

import importlib
import os

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.triggers.settings"
django.setup()
# It needs the models, which are not there before.
importlib.import_module("benchmarks.triggers.costs").measure()
