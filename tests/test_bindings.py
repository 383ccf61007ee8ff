"""What becomes of a binding is written down, told after the commit, and never done silently."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from tests import factories
from wechat_notify.exceptions import BindingConflict, InvalidData
from wechat_notify.models import BindingChange, OpenIDBinding
from wechat_notify.services import bind, unbind
from wechat_notify.signals import binding_changed

OPENID = factories.openid(7)
Source = OpenIDBinding.Source


@pytest.fixture
def told():
    """What listeners of binding_changed hear: (change, user, pk)."""
    heard = []

    def listen(sender, binding, change, **kwargs):
        heard.append((change, str(binding.user), binding.pk))

    binding_changed.connect(listen)
    yield heard
    binding_changed.disconnect(listen)


@pytest.fixture
def alice(db):
    return factories.make_user("alice")


@pytest.fixture
def bob(db):
    return factories.make_user("bob")


@pytest.fixture
def people(alice, bob):
    return alice, bob


def changes():
    rows = BindingChange.objects.order_by("pk")
    return [(row.change, str(row.user), row.source) for row in rows]


def test_binding_is_written_down_and_told(alice, told, django_capture_on_commit_callbacks):
    """One row, one signal, and none of either when it is done again."""
    with django_capture_on_commit_callbacks(execute=True):
        binding = bind(alice, OPENID)
        bind(alice, OPENID)
    assert changes() == [("bound", "alice", "code")]
    assert told == [("bound", "alice", binding.pk)]


def test_unbinding_is_written_down_and_told(alice, told, django_capture_on_commit_callbacks):
    """The row says which one it was, and listeners still see its key."""
    binding = bind(alice, OPENID, source=Source.QR)
    with django_capture_on_commit_callbacks(execute=True):
        assert unbind(alice) == 1
    assert changes()[1:] == [("unbound", "alice", "qr")]
    assert told == [("unbound", "alice", binding.pk)]


def test_only_the_named_openid_is_forgotten(alice, bob):
    """Another openid of the user, and another user's, stay."""
    bind(alice, OPENID)
    bind(alice, factories.openid(8))
    bind(bob, factories.openid(9))
    assert unbind(alice, OPENID) == 1
    assert unbind(alice, factories.openid(9)) == 0
    assert OpenIDBinding.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_nothing_is_told_of_what_did_not_happen(told):
    """A transaction that rolls back leaves no row and sends no signal."""
    user = factories.make_user()
    with transaction.atomic():
        bind(user, OPENID)
        transaction.set_rollback(True)
    assert (changes(), told) == ([], [])
    bind(user, OPENID)
    assert [change for change, *_ in told] == ["bound"]


def test_a_listener_that_fails_stops_nothing(alice, django_capture_on_commit_callbacks):
    """Binding is done whatever others make of it."""

    def fail(sender, **kwargs):
        raise RuntimeError

    binding_changed.connect(fail)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            bind(alice, OPENID)
    finally:
        binding_changed.disconnect(fail)
    assert OpenIDBinding.objects.exists()


def test_what_is_known_of_following_is_taken_for_a_new_binding(alice):
    """And not for an old one: news of that comes by its own way."""
    known_at = timezone.now() - timedelta(hours=1)
    first = bind(alice, OPENID, subscribed=False, known_at=known_at)
    assert (first.subscribed, first.follow_changed_at) == (False, known_at)
    again = bind(alice, OPENID, subscribed=True, known_at=timezone.now())
    assert (again.subscribed, again.follow_changed_at) == (False, known_at)


def test_what_cannot_be_a_unionid_is_an_error(alice):
    """Said at once, and nothing is written: the column would not take it."""
    with pytest.raises(InvalidData, match="is not a unionid"):
        bind(alice, OPENID, unionid="u" * 65)
    assert not OpenIDBinding.objects.exists()


def test_a_unionid_is_added(alice):
    """One that becomes known later is kept; an empty one takes nothing away."""
    bind(alice, OPENID)
    assert bind(alice, OPENID, unionid="uUNION").unionid == "uUNION"
    assert bind(alice, OPENID).unionid == "uUNION"
    assert OpenIDBinding.objects.get().unionid == "uUNION"


def test_what_is_no_openid_is_refused(alice):
    """InvalidData, whose text does not repeat what was given."""
    with pytest.raises(InvalidData) as refused:
        bind(alice, "no openid")
    assert "no openid" not in str(refused.value).replace("is not an openid", "")


@pytest.mark.parametrize("source", Source.values)
def test_another_users_openid_is_refused_by_default(alice, bob, told, source):
    """Whoever asks, and however: it stays, the attempt is written down, nobody is told a change."""
    factories.make_binding(alice, openid=OPENID)
    with pytest.raises(BindingConflict) as refused:
        bind(bob, OPENID, source=source)
    assert OPENID not in str(refused.value)
    assert OpenIDBinding.objects.get().user == alice
    assert changes() == [("refused", "bob", source)]
    assert told == []


@pytest.mark.parametrize("source", [Source.OAUTH, Source.QR])
def test_a_site_may_let_the_person_move_their_openid(
    people, told, configure, django_capture_on_commit_callbacks, source
):
    """With "move" the openid goes to whom its person binds it, and both changes are told."""
    alice, bob = people
    configure(BINDING_CONFLICT="move")
    binding = factories.make_binding(alice, openid=OPENID)
    with django_capture_on_commit_callbacks(execute=True):
        assert bind(bob, OPENID, source=source) == binding
    binding.refresh_from_db()
    assert (binding.user, binding.source) == (bob, source)
    assert changes() == [("unbound", "alice", source), ("bound", "bob", source)]
    assert told == [("unbound", "alice", binding.pk), ("bound", "bob", binding.pk)]


@pytest.mark.parametrize("source", [Source.CODE, Source.MANUAL, Source.IMPORT])
def test_nobody_but_the_person_moves_an_openid(alice, bob, configure, source):
    """Code, the admin and imports are refused even where moving is allowed."""
    configure(BINDING_CONFLICT="move")
    factories.make_binding(alice, openid=OPENID)
    with pytest.raises(BindingConflict):
        bind(bob, OPENID, source=source)
