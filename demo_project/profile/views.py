"""One's own page. All that WeChat needs of it is one line in its template."""

from django.contrib.auth.mixins import LoginRequiredMixin
from django.views.generic import TemplateView


class ProfileView(LoginRequiredMixin, TemplateView):
    template_name = "profile/profile.html"
