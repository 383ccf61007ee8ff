from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView

from . import cast


class DemoLoginView(LoginView):
    """Django's login, with a button for each of the demo's people while DEBUG is on."""

    redirect_authenticated_user = True

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        names = [person.username for person in cast.STAFF] if settings.DEBUG else []
        people = User.objects.filter(username__in=names).select_related("membership__school")
        return super().get_context_data(
            people=people.order_by("pk"), password=cast.PASSWORD, **kwargs
        )
