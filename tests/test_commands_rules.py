"""``wechat_rules``: the rules in words, and what one would have sent."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.factories import make_binding, make_user
from tests.rules import make_branch, make_loan, make_rule
from wechat_notify.models import Notification, SendLog
from wechat_notify.rules.models import Firing, Rule

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh_rules")]


def run(*arguments: Any) -> str:
    said = StringIO()
    call_command("wechat_rules", *arguments, stdout=said, no_color=True)
    return said.getvalue()


def test_without_any() -> None:
    assert run() == "There are no rules yet.\n"


def test_the_list() -> None:
    """Each with its state, its last time and its sentence; why it stopped."""
    on = make_rule(name="a")
    make_rule(name="b", event="created", dry_run=True)
    make_rule(name="c", is_active=False)
    stopped = make_rule(name="d")
    Rule.objects.filter(pk=stopped.pk).update(stopped_because="The group is gone.")
    make_loan(make_binding().user)
    lines = run().splitlines()
    assert lines[0] == f"{on.pk}  a  on  never yet"
    assert lines[1] == ("    When the Status of a loan becomes ready to be fetched, tell borrower")
    assert "  b  dry run  last 20" in lines[2]
    assert "  c  off  never yet" in lines[4]
    assert "  d  stopped  " in lines[6]
    assert lines[8:] == ["    The group is gone."]


def test_what_it_would_have_sent() -> None:
    """For the newest objects, to whom; nothing is written."""
    rule = make_rule(recipients=[{"path": "branch__librarians"}], is_active=False)
    ann = make_binding(make_user("ann", first_name="安", last_name="王")).user
    branch = make_branch(ann, make_user("bob"))
    make_loan(branch=branch, title="三国演义", status="ready")
    new = make_loan(make_user("other"), branch=branch, status="ready")
    unready = make_loan(make_user("third"), branch=branch, title="红楼梦")
    for name in (rule.name, rule.pk):
        lines = run(name, "--last", "2").splitlines()
        assert lines[0].startswith("ready  When the Status of a loan becomes")
        assert lines[1] == f"{unready.pk}  红楼梦  no · Status is “wanted”."
        assert lines[2] == f"{new.pk}  西游记  https://school.example/loans/{new.pk}/"
        assert lines[3] == "    王安  西游记  ready to be fetched"
        assert lines[4] == "    bob  This user has not bound WeChat."
        assert lines[5] == "It would tell of 1 of 2 objects, as they are now."
    assert [model.objects.count() for model in (Firing, Notification, SendLog)] == [0, 0, 0]


def test_many_people() -> None:
    """Not all of them are named."""
    everybody = [make_user(f"u{number}") for number in range(22)]
    make_rule(event="created", recipients=[{"path": "branch__librarians"}], is_active=False)
    make_loan(branch=make_branch(*everybody))
    assert "    2 more\n" in run("ready")


@pytest.mark.parametrize("name", ["nothing", "99999", "9" * 30, "²"])
def test_no_such_rule(name: str) -> None:
    with pytest.raises(CommandError, match=f"There is no rule “{name}”"):
        run(name)


@pytest.mark.parametrize("last", ["0", "-1", "x"])
def test_so_many(last: str) -> None:
    with pytest.raises(CommandError, match="not a whole number"):
        run("ready", f"--last={last}")


@pytest.mark.parametrize(
    ("columns", "says"),
    [({"field": "door_code"}, "Rules may not see a field"), ({"model": "auth.user"}, "auth.user")],
)
def test_a_rule_that_cannot_be_run(columns: dict[str, str], says: str) -> None:
    make_rule()
    Rule.objects.update(**columns)
    make_loan()
    with pytest.raises(CommandError, match=says):
        run("ready")
