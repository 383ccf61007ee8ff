"""Rules for tests, about the books of ``tests.library``."""

from typing import Any

from tests.factories import make_template, make_user
from tests.library.models import Branch, Loan
from wechat_notify.models import MessageTemplate
from wechat_notify.rules.models import Rule

CONTENT = "书名：{{thing1.DATA}}\n状态：{{thing2.DATA}}"
TEXTS = {"book": "{{ object.title }}", "thing2": "{{ object.status }}"}


def make_book_template(name: str = "loan", **fields: Any) -> MessageTemplate:
    """A template with a named field, and one by its key."""
    return make_template(
        name,
        **{"title": "借阅通知", "content": CONTENT, "field_names": {"book": "thing1"}, **fields},
    )


def rule_of(**fields: Any) -> Rule:
    """A valid rule, not saved: tells the borrower when a loan becomes ready."""
    wanted = {
        "name": "ready",
        "model": "library.loan",
        "event": "changed",
        "field": "status",
        "value": "ready",
        "recipients": [{"path": "borrower"}],
        "texts": TEXTS,
        "is_active": True,
        **fields,
    }
    if "template" not in wanted:
        wanted["template"] = MessageTemplate.objects.filter(name="loan").first() or (
            make_book_template()
        )
    return Rule(**wanted)


def make_rule(**fields: Any) -> Rule:
    """A valid rule that is switched on."""
    rule = rule_of(**fields)
    rule.full_clean()
    rule.save()
    return rule


def make_loan(borrower: Any = None, **fields: Any) -> Loan:
    fields.setdefault("title", "西游记")
    return Loan.objects.create(borrower=borrower or make_user("reader"), **fields)


def make_branch(*librarians: Any, name: str = "总馆") -> Branch:
    branch = Branch.objects.create(name=name)
    branch.librarians.set(librarians)
    return branch
