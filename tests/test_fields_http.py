"""What the lint lets through, the fake WeChat accepts over HTTP; what it refuses comes back 47003.

One message holds a field of every documented type, so that many values cost few requests.
"""

from collections.abc import Iterator
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_fields import ACCEPTED, ONE_STEP_PAST
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.types import Outcome, SendResult, TemplateMessage
from wechat_notify.wechat.client import WeChatClient
from wechat_notify.wechat.fields import check, parse
from wechat_notify.wechat.transport import Transport
from wechat_notify.wechat.values import normalise

TYPES = sorted(ACCEPTED)
CONTENT = "\n".join(f"{type_}：{{{{{type_}{n}.DATA}}}}" for n, type_ in enumerate(TYPES, start=1))
FIELDS = parse(CONTENT)
TEMPLATE = {"template_id": "T", "title": "一切", "content": CONTENT}
FEW = settings(max_examples=25)

EVERYTHING = st.fixed_dictionaries({field.name: ACCEPTED[field.type] for field in FIELDS})


@pytest.fixture(scope="module")
def client() -> Iterator[WeChatClient]:
    """The app's own client, sending to a fake WeChat that has the one template."""
    from django.core.cache import caches

    with Sandbox(templates=[TEMPLATE], any_openid=True) as wechat:
        made = WeChatClient(
            Transport(wechat.url, timeout=(20, 20), pool_size=1),
            app_id=wechat.app_id,
            app_secret=wechat.app_secret,
            cache=caches["default"],
        )
        yield made
        made.close()


def send(client: WeChatClient, wire: dict[str, Any]) -> SendResult:
    return client.send_template(TemplateMessage("oTest00001", "T", wire))


@FEW
@given(data=EVERYTHING)
def test_what_the_lint_lets_through_is_accepted(client: WeChatClient, data: dict[str, str]) -> None:
    """Values of every type, made from the documented rules, survive the wire and are taken."""
    wire, problems = normalise(FIELDS, data)
    assert problems == []
    result = send(client, wire)
    assert (result.outcome, result.errcode) == (Outcome.ACCEPTED, 0), result.errmsg


@pytest.mark.parametrize("type_", sorted(ONE_STEP_PAST))
@settings(max_examples=5)
@given(data=st.data())
def test_what_the_lint_refuses_comes_back_as_47003(
    client: WeChatClient, type_: str, data: st.DataObject
) -> None:
    """One step past a rule, WeChat would have named the field that the lint has named."""
    values = data.draw(EVERYTHING)
    field = next(field for field in FIELDS if field.type == type_)
    values[field.name] = data.draw(ONE_STEP_PAST[type_])
    wire, problems = normalise(FIELDS, values)
    assert [problem.field for problem in problems] == [field.name]
    result = send(client, wire)
    assert (result.outcome, result.errcode) == (Outcome.REFUSED, 47003)
    assert f"data.{field.name}.value" in result.errmsg


@FEW
@given(
    moment=st.datetimes(datetime(1000, 1, 1), timezones=st.just(timezone.utc)),  # noqa: DTZ001
    amount=st.decimals(min_value=0, max_value=Decimal(99_999_999), places=2),
    number=st.integers(min_value=0, max_value=10**31),
)
def test_python_values_are_accepted_once_formatted(
    client: WeChatClient, moment: datetime, amount: Decimal, number: int
) -> None:
    """Moments, money and counts need no formatting by the caller to be taken."""
    python = {
        **dict.fromkeys(("time", "date", "character_string"), moment),
        "amount": amount,
        "number": number,
    }
    plain = {
        "car_number": "粤A8Z888",
        "letter": "abc",
        "name": "李小明",
        "phone_number": "0766-66888866",
        "phrase": "已同意",
        "symbol": "!",
    }
    data = {field.name: python.get(field.type, plain.get(field.type, "事假")) for field in FIELDS}
    wire, problems = normalise(FIELDS, data)
    assert problems == []
    assert send(client, wire).errcode == 0


def test_every_field_of_the_template_has_a_rule() -> None:
    """The test template holds each documented type, and a missing one would be noticed."""
    assert [field.type for field in FIELDS] == TYPES
    assert all(field.documented for field in FIELDS)
    assert all(check(field, "\x00") for field in FIELDS)
