"""What rules that are written in the admin may see of a leave request, and whom they may tell."""

from django.utils.translation import gettext_lazy as _

from wechat_notify.rules import allow

from .models import Leave

allow(
    Leave,
    fields=[
        "applicant",
        "school",
        "kind",
        "start",
        "end",
        "reason",
        "status",
        "decided_by",
        "decided_at",
        "created_at",
    ],
    recipients={
        "applicant": _("applicant"),
        "school__membership__user": _("staff of the school"),
    },
    link="get_absolute_url",
)
