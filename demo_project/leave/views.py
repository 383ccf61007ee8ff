"""Hand in a request, see one's requests, decide one. Nothing here knows of WeChat."""

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.mixins import LoginRequiredMixin, UserPassesTestMixin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST
from django.views.generic import CreateView, DetailView, ListView

from .forms import LeaveForm
from .models import Leave, LeaveQuerySet, Membership


def signed_in(request: HttpRequest) -> User:
    """The user of a view that lets nobody else in."""
    return cast(User, request.user)


class VisibleLeaves(LoginRequiredMixin):
    """Only what the user may see; anything else is not found."""

    request: HttpRequest

    def get_queryset(self) -> LeaveQuerySet:
        leaves = Leave.objects.visible_to(signed_in(self.request))
        return leaves.select_related("applicant", "school", "decided_by")


class LeaveList(VisibleLeaves, ListView):
    paginate_by = 50


class LeaveDetail(VisibleLeaves, DetailView):
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        may_decide = self.object.may_be_decided_by(signed_in(self.request))
        return super().get_context_data(may_decide=may_decide, **kwargs)


class LeaveCreate(LoginRequiredMixin, UserPassesTestMixin, CreateView):
    model = Leave
    form_class = LeaveForm

    def test_func(self) -> bool:
        """Only staff of a school take leave from it."""
        return Membership.objects.filter(user=signed_in(self.request)).exists()

    def form_valid(self, form: ModelForm) -> HttpResponse:
        user = signed_in(self.request)
        form.instance.applicant = user
        form.instance.school = user.membership.school
        messages.success(self.request, _("Handed in. Those who may approve it are told in WeChat."))
        return super().form_valid(form)


@login_required
@require_POST
def decide(request: HttpRequest, pk: int) -> HttpResponse:
    user = signed_in(request)
    leave = get_object_or_404(Leave.objects.visible_to(user).select_for_update(), pk=pk)
    if not leave.approvers().filter(pk=user.pk).exists():
        raise PermissionDenied
    if not leave.is_pending:  # by a colleague who was quicker, or by the first of two taps
        messages.warning(request, _("This request has been decided already."))
        return redirect(leave)
    leave.decide(user, approve=request.POST.get("decision") == "approve")
    name = leave.applicant.get_full_name()
    messages.success(request, _("Decided. %(name)s is told in WeChat.") % {"name": name})
    return redirect(leave)
