"""Making bindings of the openids that another package has collected."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from django.contrib.auth import get_user_model

from ..backends.base import BaseBackend
from ..backends.registry import get_backend
from ..exceptions import BindingConflict, ConfigurationError
from ..models import OpenIDBinding
from ..types import Follower
from ..wechat.masking import mask_openid
from ..wechat.openids import is_openid
from .bind import bind
from .follow_state import BATCH, ask
from .sources import Found

# After so many openids that WeChat does not know, and none that it knows, the import stops.
HOPELESS = 100


@dataclass
class ImportReport:
    """What an import has done. ``counts``: new, known, conflict, foreign, unusable.

    ``conflicts`` names those that belong to somebody else: (openid, masked; the user who has it;
    the user who was to get it).
    """

    counts: Counter[str] = field(default_factory=Counter)
    conflicts: list[tuple[str, Any, Any]] = field(default_factory=list)

    @property
    def handled(self) -> int:
        return sum(self.counts.values())


def import_bindings(
    rows: Iterable[Found],
    account: str,
    *,
    check: bool = True,
    dry_run: bool = False,
    progress: Callable[[ImportReport], None] | None = None,
) -> ImportReport:
    """Bind each openid to its user, unless it belongs to somebody else already.

    ``check`` asks WeChat about each openid, a hundred at a time: whether the account knows it,
    and whether the person follows. Openids of a website login (snsapi_login), for one, belong to
    an app id of their own and mean nothing to the account. ``dry_run`` writes nothing.

    Raises ``ConfigurationError`` where the first hundred are all of another app id, and
    ``WeChatError`` or ``TransportError`` where WeChat cannot be asked; what was bound before
    stays bound, and a second run changes nothing about it.
    """
    report = ImportReport()
    backend = get_backend(account) if check else None
    for batch in _batches(rows):
        _import_batch(batch, account, backend, report, dry_run=dry_run)
        if progress is not None:
            progress(report)
    return report


def _batches(rows: Iterable[Found]) -> Iterator[list[Found]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def _import_batch(
    batch: list[Found],
    account: str,
    backend: BaseBackend | None,
    report: ImportReport,
    *,
    dry_run: bool,
) -> None:
    users = get_user_model()._base_manager.in_bulk({row.user_id for row in batch})
    usable = [row for row in batch if is_openid(row.openid) and row.user_id in users]
    report.counts["unusable"] += len(batch) - len(usable)
    new = _not_bound_yet(usable, account, report)
    followers = _followers(list(new), backend, report)
    for openid, follower in followers.items():
        if dry_run:
            report.counts["new"] += 1
        else:
            _bind(users[new[openid].user_id], new[openid], account, follower, report)


def _not_bound_yet(rows: list[Found], account: str, report: ImportReport) -> dict[str, Found]:
    """The rows whose openid is not bound yet, by openid. A repeated one goes to its first user."""
    openids = [row.openid for row in rows]
    bindings = OpenIDBinding.objects.filter(account=account, openid__in=openids)
    owners = dict(bindings.values_list("openid", "user_id"))
    new: dict[str, Found] = {}
    for row in rows:
        if row.openid not in owners:
            new[row.openid] = row
            owners[row.openid] = row.user_id
        elif owners[row.openid] == row.user_id:
            report.counts["known"] += 1
        else:
            _conflict(report, row, owners[row.openid])
    return new


def _followers(
    openids: list[str], backend: BaseBackend | None, report: ImportReport
) -> dict[str, Follower]:
    """By openid, what WeChat says; without asking, everybody follows."""
    if backend is None:
        return {openid: Follower(openid, subscribed=True) for openid in openids}
    known, unknown = ask(backend, openids)
    report.counts["foreign"] += len(unknown)
    _stop_if_hopeless(report, known, backend)
    return {follower.openid: follower for follower in known}


def _stop_if_hopeless(report: ImportReport, known: list[Follower], backend: BaseBackend) -> None:
    """Stop when all that was asked was in vain; ``known``: this batch's, not counted yet."""
    good = report.counts["new"] + report.counts["known"] + len(known)
    foreign = report.counts["foreign"]
    if foreign >= HOPELESS and not good:
        raise ConfigurationError(
            f"WeChat knows none of the first {foreign} openids as people of account "
            f'"{backend.account.alias}": they belong to another app id, such as that of a website '
            f"login. Nothing was bound."
        )


def _bind(user: Any, row: Found, account: str, follower: Follower, report: ImportReport) -> None:
    try:
        bind(
            user,
            row.openid,
            account=account,
            unionid=row.unionid or follower.unionid,
            source=OpenIDBinding.Source.IMPORT,
            subscribed=follower.subscribed,
        )
    except BindingConflict:
        owned = OpenIDBinding.objects.filter(account=account, openid=row.openid).first()
        if owned is None:  # its owner has unbound it since
            _bind(user, row, account, follower, report)
        else:
            _conflict(report, row, owned.user_id)
    else:
        report.counts["new"] += 1


def _conflict(report: ImportReport, row: Found, owner: Any) -> None:
    report.counts["conflict"] += 1
    report.conflicts.append((mask_openid(row.openid), owner, row.user_id))
