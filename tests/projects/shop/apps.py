"""The shop's own app: it tells buyers of their orders."""

from django.apps import AppConfig


class ShopConfig(AppConfig):
    """Connects the trigger once oscar's models are there."""

    name = "tests.projects.shop"
    label = "own_shop"

    def ready(self) -> None:
        from tests.projects.shop import orders  # noqa: F401
