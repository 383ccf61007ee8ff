"""Rows for tests, each as plain as it can be."""

from typing import Any

from django.contrib.auth import get_user_model

from wechat_notify.models import MessageTemplate, OpenIDBinding
from wechat_notify.sandbox import samples

ORDER_CONTENT = "订单编号：{{character_string1.DATA}}\n商品名称：{{thing2.DATA}}"
ORDER = {"character_string1": "2026112301", "thing2": "围巾"}


def make_user(name: str = "alice", **fields: Any) -> Any:
    return get_user_model().objects.create(username=name, **fields)


def openid(number: int) -> str:
    """A distinct openid of the usual length."""
    return f"oTest{number:023d}"


def make_binding(user: Any = None, number: int = 1, **fields: Any) -> OpenIDBinding:
    fields.setdefault("openid", openid(number))
    return OpenIDBinding.objects.create(user=user or make_user(f"user{number}"), **fields)


def make_bindings(count: int, *, first: int = 1) -> list[OpenIDBinding]:
    """As many users with one binding each, written in two statements."""
    model = get_user_model()
    users = model.objects.bulk_create(
        [model(username=f"user{number}") for number in range(first, first + count)]
    )
    return OpenIDBinding.objects.bulk_create(
        [
            OpenIDBinding(user=user, openid=openid(number))
            for number, user in enumerate(users, start=first)
        ]
    )


def make_template(name: str = "order_paid", **fields: Any) -> MessageTemplate:
    fields.setdefault("template_id", f"{name:_<43}")
    fields.setdefault("title", "订单支付成功通知")
    fields.setdefault("content", ORDER_CONTENT)
    return MessageTemplate.objects.create(name=name, **fields)


def sandbox_template(template: MessageTemplate) -> dict[str, str]:
    """The same template as the fake WeChat's list has it."""
    return {
        "template_id": template.template_id,
        "title": template.title,
        "content": template.content,
    }


APP_ID = samples.APP_ID
APP_SECRET = samples.APP_SECRET
