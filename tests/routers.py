"""Sites with more than one database: routers that lead the app's models to ``elsewhere``."""

from typing import Any

APP = "wechat_notify"


class ReadsElsewhere:
    """Reads from a replica. A test that allows only ``default`` fails where one is asked."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "elsewhere" if model._meta.app_label == APP else None

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "default" if model._meta.app_label == APP else None

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool:
        return True


class ReadsUsersElsewhere(ReadsElsewhere):
    """Reads the users, too, from that replica."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "elsewhere" if model._meta.app_label in (APP, "auth") else None


class LivesElsewhere(ReadsElsewhere):
    """Keeps the app's rows in another database altogether."""

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return self.db_for_read(model, **hints)
