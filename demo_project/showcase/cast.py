"""Who plays in the demo. Their WeChat and their rows here come from the same list."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from demo_project.leave.models import Leave, Membership, School
from wechat_notify.conf import DEFAULT_ACCOUNT
from wechat_notify.models import MessageTemplate, Notification
from wechat_notify.rules.models import Rule
from wechat_notify.sandbox import records, samples
from wechat_notify.services import bind, notify, sync_templates

PASSWORD = "demo"
ADMIN = "admin"
HERE, ELSEWHERE = samples.ACCOUNT_NAME, "实验二小"

# The names that code uses for what the account has registered.
TEMPLATES = {
    "leave_requested": samples.LEAVE_TEMPLATE_ID,
    "leave_decided": samples.LEAVE_RESULT_TEMPLATE_ID,
    "order_paid": samples.ORDER_TEMPLATE_ID,
    "appointment_made": samples.APPOINTMENT_TEMPLATE_ID,
}


# The names that code uses for their fields.
FIELD_NAMES = {
    "leave_requested": {
        "applicant": "name1",
        "kind": "const2",
        "starts_at": "time3",
        "ends_at": "time4",
        "reason": "thing5",
    },
    "leave_decided": {
        "applicant": "name1",
        "result": "phrase2",
        "decided_by": "name3",
        "decided_at": "time4",
        "reason": "thing5",
    },
}


@dataclass(frozen=True, slots=True)
class Person:
    """One member of staff. Without an openid: has not bound WeChat."""

    username: str
    name: str
    school: str = HERE
    may_approve: bool = False
    openid: str = ""


APPLICANT = Person("li", "李小明", openid="oSandbox-li-xiaoming-000000003")
STAFF = (
    Person("wang", "王老师", may_approve=True, openid="oSandbox-wang-laoshi-000000001"),
    Person("chen", "陈主任", may_approve=True, openid="oSandbox-chen-zhuren-000000002"),
    Person("zhao", "赵校长", may_approve=True),
    APPLICANT,
    Person("sun", "孙主任", ELSEWHERE, may_approve=True, openid="oSandbox-sun-zhuren--000000006"),
)


# Has WeChat, and has not bound it: somebody to try the profile page with.
UNBOUND = records.User("oSandbox-zhao-xiaozhang-000007", "赵校长", subscribed=False)


def followers() -> list[records.User]:
    """The staff as the fake WeChat knows them."""
    bound = [records.User(person.openid, person.name) for person in STAFF if person.openid]
    return [*bound, UNBOUND]


def enter() -> None:
    """Create the admin, the schools and the staff with their bindings, unless they are there."""
    password = make_password(PASSWORD)
    root = {"is_staff": True, "is_superuser": True, "password": password, "first_name": "管理员"}
    User.objects.get_or_create(username=ADMIN, defaults=root)
    for person in STAFF:
        school, _ = School.objects.get_or_create(name=person.school)
        user, _ = User.objects.get_or_create(
            username=person.username, defaults={"first_name": person.name, "password": password}
        )
        Membership.objects.get_or_create(
            user=user, defaults={"school": school, "may_approve": person.may_approve}
        )
        if person.openid:
            bind(user, person.openid)


def register_templates() -> None:
    """Give the account's templates the names that code uses, and fetch the rest from WeChat."""
    for name, template_id in TEMPLATES.items():
        MessageTemplate.objects.get_or_create(
            account=DEFAULT_ACCOUNT,
            name=name,
            defaults={"template_id": template_id, "field_names": FIELD_NAMES.get(name, {})},
        )
    sync_templates()


def write_rule() -> None:
    """A rule as somebody would write it in the admin: who is on holiday, all colleagues know.

    The applicant is told by the ``changes=`` trigger in ``leave/triggers.py``, and the reminder
    stands beside it: what may change without a deploy is a rule, the rest is code.
    """
    rule = Rule(
        name=str(_("Tell the staff of an annual leave")),
        model="leave.leave",
        event=Rule.Event.CHANGED,
        field="status",
        value=Leave.Status.APPROVED,
        conditions={
            "match": "all",
            "tests": [{"field": "kind", "op": "is", "value": Leave.Kind.ANNUAL}],
        },
        recipients=[{"path": "school__membership__user"}],
        template=MessageTemplate.objects.get(account=DEFAULT_ACCOUNT, name="leave_decided"),
        texts={
            "applicant": "{{ object.applicant }}",
            "result": "已同意",
            "decided_by": "{{ object.decided_by }}",
            "decided_at": "{{ object.decided_at }}",
            "reason": "{{ object.reason }}",
        },
        link=False,  # colleagues may not open the request
        is_active=True,
        created_by=User.objects.get(username=ADMIN),
    )
    if not Rule.objects.filter(model=rule.model).exists():
        rule.full_clean()
        rule.save()


def hand_in_leave() -> Leave:
    """Save a request; what follows is the work of the post_save signal.

    Its reminder, a day before it begins, is due tomorrow, whatever time it is now.
    """
    applicant = User.objects.get(username=APPLICANT.username)
    day = timezone.localtime() + timedelta(days=2)
    return Leave.objects.create(
        applicant=applicant,
        school=applicant.membership.school,
        kind=Leave.Kind.PERSONAL,
        start=_at(day, 8, 0),
        end=_at(day + timedelta(days=1), 17, 30),
        reason="回老家参加婚礼",
    )


def remind_approvers(leave: Leave, *, seconds: float) -> Notification:
    """What they got when it was handed in, once more in so many seconds."""
    first = Notification.objects.get(key=f"leave-{leave.pk}")
    send_at = timezone.now() + timedelta(seconds=seconds)
    return notify(
        leave.approvers(), first.template, first.data, url=leave.get_absolute_url(), send_at=send_at
    )


def _at(day: datetime, hour: int, minute: int) -> datetime:
    return day.replace(hour=hour, minute=minute, second=0, microsecond=0)
