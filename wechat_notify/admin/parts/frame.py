"""The frame of the app's own pages inside the admin."""

from typing import Any

from django.http import HttpRequest
from django.template.response import TemplateResponse

from ...wechat.errors import Words
from ..base import BaseAdmin


def admin_page(
    model_admin: BaseAdmin,
    request: HttpRequest,
    template: str,
    *,
    title: Words,
    **context: Any,
) -> TemplateResponse:
    """``wechat_notify/admin/{template}``, below the list of this model."""
    request.current_app = model_admin.admin_site.name
    frame = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "opts": model_admin.opts,
        "list_url": model_admin.url("changelist"),
        "posted": request.method == "POST",
    }
    return TemplateResponse(request, f"wechat_notify/admin/{template}", {**frame, **context})
