"""Compose and send: choose a template, fill it in, choose recipients, look at it, send it."""
