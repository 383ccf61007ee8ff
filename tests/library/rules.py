"""What rules may see of this app."""

from wechat_notify.rules import allow

from .models import Loan

allow(
    Loan,
    fields=[
        "title",
        "number",
        "copies",
        "fee",
        "status",
        "is_lost",
        "note",
        "due_on",
        "due_at",
        "created_at",
        "borrower",
        "borrower__email",
        "branch",
        "branch__name",
    ],
    recipients={"borrower": "borrower", "branch__librarians": "librarians", "watchers": None},
    link="get_absolute_url",
)
allow("library.Branch", fields={"name": "name of the branch"}, recipients=["librarians"])
