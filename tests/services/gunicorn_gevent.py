"""gunicorn's settings where gevent's workers get a preloaded application: patch before Django."""

from gevent import monkey

monkey.patch_all()
