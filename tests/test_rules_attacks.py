"""What a rule must never reach, by any spelling: refused when it is written and when it is run."""

from collections.abc import Iterable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from tests.factories import make_binding
from tests.library.models import Loan
from tests.rules import make_branch, make_loan, make_rule, rule_of
from wechat_notify.models import Notification, TriggerFailure
from wechat_notify.rules.active_rules import forget
from wechat_notify.rules.models import Firing, Rule
from wechat_notify.rules.ready import make_ready
from wechat_notify.rules.stopped_rules import check_rules

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh_rules")]

SECRET_PATHS = [
    "password",
    "borrower__password",
    "borrower.password",
    "borrower__pk",
    "borrower__id",
    "borrower_id",
    "borrower__groups",
    "borrower__groups__name",
    "borrower__user_permissions",
    "borrower__loans__title",
    "branch__alarm_password",
    "branch__librarians",
    "branch__librarians__password",
    "door_code",
    "door__code",
    "extra",
    "extra__key",
    "scan",
    "scan__path",
    "title__regex",
    "title__startswith",
    "status__in",
    "watchers",
    "_state",
    "_state__db",
    "_meta",
    "_meta__app_config",
    "__class__",
    "__class____mro__",
    "__init____globals__",
    "objects",
    "objects__all",
    "pk",
    "delete",
    "save",
    "give_back",
    "get_absolute_url",
    "get_status_display",
    "refresh_from_db",
    "user_set",
    "logentry",
    "",
    " title",
    "Title",
    "title\0",
    None,
    7,
    ["title"],
    {"title": 1},
]

NAMES = [
    "object",
    "object.password",
    "object.borrower.password",
    "object.borrower_id",
    "object.borrower.pk",
    "object.borrower.loans",
    "object.borrower.groups.all",
    "object.borrower.get_full_name",
    "object.borrower.delete",
    "object.borrower.check_password",
    "object.branch.alarm_password",
    "object.branch.librarians.all",
    "object.branch__name",
    "object.door_code",
    "object.extra",
    "object.extra.key",
    "object.scan.path",
    "object.title.upper",
    "object.title.format",
    "object.title.0",
    "object.objects.all",
    "object.delete",
    "object.give_back",
    "object.get_absolute_url",
    "object._state.db",
    "object.__class__",
    "object.__class__.__mro__",
    "user",
    "user.password",
    "user._state",
    "user.delete",
    "user.groups",
    "user.is_superuser",
    "user.session_set",
    "loan.title",
    "request.user",
    "settings.SECRET_KEY",
    "rule.name",
    "self",
    "forloop",
    "block.super",
    "object.title|default:object.door_code",
    "object.title|default:user.password",
    "object.title|center:100000000",
    "object.title|ljust:100000000",
    "object.title|safe",
    "object.title|add:object.door_code",
    "object.title|dictsort:0",
    "object.title|pprint",
    "object.title|unknown",
    "object|attr:door_code",
]

TEXTS = [
    *(f"{{{{ {name} }}}}" for name in NAMES),
    "{% debug %}",
    "{% load static %}",
    "{% include '/etc/passwd' %}",
    "{% for x in object.title %}{{ x }}{% endfor %}",
    "{% for a in 'xxxxxxxxxx' %}{% for b in 'xxxxxxxxxx' %}x{% endfor %}{% endfor %}",
    "{% with a=object.borrower %}{{ a.password }}{% endwith %}",
    "{% if object.door_code %}x{% endif %}",
    "{{ object.title",
    "{{ object.title }}{{",
    '{{ object.note|default:"{{ object.door_code }}" }}',
    "{{}}",
    "x" * 501,
    "{{ object.title }}" * 500,
    "a\0b",
    "",
    "  ",
    None,
    7,
    True,
    ["{{ object.title }}"],
    {"value": "{{ object.door_code }}"},
]

HARMLESS = [  # the text, and what the message says
    ("{0.__class__}", "{0.__class__}"),
    ("%(password)s %s %x", "%(password)s %s %x"),
    ("${door_code}", "${door_code}"),
    ("{object.door_code}", "{object.door_code}"),
    ("<script>x</script>", "<script>x</script>"),
    ("object.title }}", "object.title }}"),
    ("{{ object.title }}", "{{ user.password }}"),  # the title: a text is filled in once
    ("{{ object.title|truncatechars:99999999 }}", "{{ user.password }}"),
]

CONDITIONS: list[Any] = [
    *(
        {"match": "all", "tests": [{"field": path, "op": "is", "value": "x"}]}
        for path in SECRET_PATHS
    ),
    *(
        {"match": "all", "tests": [{"field": "title", "op": op, "value": "x"}]}
        for op in ["regex", "__class__", "more", "exact", "is ", "", None, 7, ["is"], {"is": 1}]
    ),
    *(
        {"match": "all", "tests": [{"field": "title", "op": "is", "value": value}]}
        for value in ["", "  ", None, "x" * 501, "a\0b", ["x"], {"x": 1}, {"$ne": ""}]
    ),
    *(
        {"match": "all", "tests": [{"field": "copies", "op": "more", "value": value}]}
        for value in [
            "x",
            "nan",
            "inf",
            "-inf",
            "1" * 31,
            "1; drop table",
            "0x10",
            None,
            [],
            {},
            "1e999999999",
        ]
    ),
    {"match": "all", "tests": [{"field": "title", "op": "is", "value": "x", "then": "y"}]},
    {"match": "all", "tests": [["title", "is", "x"]]},
    {"match": "all", "tests": ["title"]},
    {"match": "all", "tests": [None]},
    {"match": "all", "tests": {"field": "title"}},
    {"match": "all", "tests": [{"field": "title", "op": "empty"}] * 21},
    {"match": "none", "tests": []},
    {"match": ["all"], "tests": []},
    {"match": "all"},
    {"tests": []},
    {"match": "all", "tests": [], "or": []},
    [],
    [[]],
    "x",
    7,
    True,
]

RECIPIENTS: list[Any] = [
    *([{"path": path}] for path in SECRET_PATHS if path not in ("branch__librarians", "watchers")),
    [{"path": "borrower__loans__borrower"}],
    [{"path": "branch__librarians__branches__librarians"}],
    *([{"group": pk}] for pk in [0, -1, 99999, 2**70, "1", "1 or 1=1", None, True, [1], {"a": 1}]),
    *([{"saved": pk}] for pk in [0, -1, 99999, 2**70, "1", None, True, [1], {"a": 1}]),
    [{"user": 1}],
    [{"path": "borrower", "group": 1}],
    [{}],
    ["borrower"],
    [None],
    [["path", "borrower"]],
    [],
    [{"path": "borrower"}] * 21,
    {"path": "borrower"},
    "borrower",
    7,
    None,
]


def refused(rule: Rule, field: str) -> None:
    """When it is written, in words at the field; when it is run, the rule stops."""
    with pytest.raises(ValidationError) as error:
        make_ready(rule)
    assert set(error.value.message_dict) == {field}
    assert all(text and len(text) < 1_000 for text in error.value.messages)


def none_is_run(field: str, junk: Iterable[Any]) -> None:
    """Somebody writes rows by SQL: nothing is sent, no save breaks, and the rule says why."""
    reader = make_binding().user
    branch = make_branch(reader)
    rule = make_rule(field="status", value="")
    good = getattr(rule, field)
    for number, value in enumerate(junk):
        Rule.objects.filter(pk=rule.pk).update(**{field: good, "stopped_because": ""})
        Rule.objects.filter(pk=rule.pk).update(**{field: value})
        forget()
        loan = make_loan(reader, branch=branch)
        loan.status = "ready"
        loan.save()
        assert Loan.objects.count() == number + 1
        assert not Firing.objects.exists(), value
        assert Rule.objects.get().stopped_because, value
    assert Notification.objects.count() == TriggerFailure.objects.count() == 0


class TestPaths:
    """Fields: to watch, and to compare."""

    @pytest.mark.parametrize("path", SECRET_PATHS)
    @pytest.mark.parametrize("event", ["changed", "before", "after"])
    def test_fields(self, path: Any, event: str) -> None:
        refused(rule_of(event=event, field=path, value=""), "field")

    @pytest.mark.parametrize("conditions", CONDITIONS)
    def test_conditions(self, conditions: Any) -> None:
        refused(rule_of(conditions=conditions), "conditions")

    @pytest.mark.parametrize("recipients", RECIPIENTS)
    def test_recipients(self, recipients: Any) -> None:
        refused(rule_of(recipients=recipients), "recipients")

    @pytest.mark.parametrize(
        "model", ["auth.user", "library.Loan", "Library.loan", "", "library", "sessions.session"]
    )
    def test_models(self, model: str) -> None:
        refused(rule_of(model=model), "model")

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("event", "deleted"),
            ("value", "unknown"),
            ("value", "ready\0"),
            ("value", "x" * 501),
            ("priority", 0),
            ("most_a_day", 0),
        ],
    )
    def test_the_rest(self, field: str, value: Any) -> None:
        refused(rule_of(**{field: value}), field)


class TestTexts:
    @pytest.mark.parametrize("text", TEXTS)
    def test_refused(self, text: Any) -> None:
        refused(rule_of(texts={"book": text, "thing2": "x"}), "texts")

    @pytest.mark.parametrize(
        "texts",
        [None, [], "x", 7, {"thing9": "x"}, {"book": "x"}, {f"k{n}": "x" for n in range(51)}],
    )
    def test_fields_of_the_template(self, texts: Any) -> None:
        refused(rule_of(texts=texts), "texts")

    @pytest.mark.parametrize(("text", "says"), HARMLESS)
    def test_harmless(self, text: str, says: str) -> None:
        """Other templating languages are plain text, and what was filled in is not read again."""
        make_rule(texts={"book": text, "thing2": "x"}, event="created")
        make_loan(make_binding().user, title="{{ user.password }}")
        data = str(list(Notification.objects.get().logs.values("data", "errmsg")))
        data += str(Notification.objects.get().data)
        assert "1234" not in data
        assert "pbkdf2" not in data
        assert says[:15] in data


def can_be_stored(value: Any) -> bool:
    """PostgreSQL takes no NUL, and a column that is not NULL no None."""
    return value is not None and "\\x00" not in repr(value)


@pytest.mark.django_db(transaction=True)
class TestWrittenBySQL:
    def test_fields(self) -> None:
        paths = [path for path in SECRET_PATHS if isinstance(path, str)]
        none_is_run("field", filter(can_be_stored, paths))

    def test_conditions(self) -> None:
        none_is_run("conditions", filter(can_be_stored, CONDITIONS))

    def test_recipients(self) -> None:
        none_is_run("recipients", filter(can_be_stored, RECIPIENTS))

    def test_texts(self) -> None:
        junk = [{"book": text, "thing2": "x"} for text in [*TEXTS, "x" * 5_000_000]]
        none_is_run("texts", filter(can_be_stored, junk))

    def test_what_python_cannot_read(self) -> None:
        """Very long numbers, very deep lists: the rule stops alone, and the others go on."""
        reader = make_binding().user
        junk = ["9" * 5_000, "[" * 5_000 + "]" * 5_000]
        # SQLite and MariaDB refuse what is so deep.
        for text in junk if connection.vendor == "postgresql" else junk[:1]:
            bad, good = make_rule(name="bad"), make_rule(name="good")
            table = connection.ops.quote_name(Rule._meta.db_table)
            with connection.cursor() as cursor:
                sql = f"UPDATE {table} SET texts = %s WHERE id = %s"  # noqa: S608 - no input
                cursor.execute(sql, [text, bad.pk])
            forget()
            make_loan(reader, status="ready")
            assert Firing.objects.get().rule == good
            (found,) = check_rules(databases=["default"])
            assert "“bad”" in found.msg
            Firing.objects.all().delete()
            good.delete()
            Rule.objects.filter(pk=bad.pk)._raw_delete("default")

    def test_deep(self) -> None:
        deep: Any = "title"
        for _ in range(10):  # MariaDB takes 32
            deep = {"match": "all", "tests": [deep]}
        none_is_run("conditions", [deep])
