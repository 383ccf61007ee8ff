"""Alerts: somebody is told when nothing is sent any more, and when that is over.

``looking`` compares what ``present`` finds with the alerts that are open: it opens and closes them.
``staff`` says who is told, ``mailing`` sends their e-mails, in the words of ``wording``. All of it
runs in a thread of its own (``telling``), so that no message waits for it.
"""
