from django.apps import AppConfig


class BookingConfig(AppConfig):
    name = "tests.services.booking"

    def ready(self) -> None:
        from . import triggers  # noqa: F401 - connects its functions
