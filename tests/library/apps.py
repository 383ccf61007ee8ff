from django.apps import AppConfig


class LibraryConfig(AppConfig):
    name = "tests.library"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import rules  # noqa: F401 - says what rules may see
