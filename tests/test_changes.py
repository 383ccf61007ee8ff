"""``changes=``: who is told of which step, whatever is loaded, saved and rolled back between."""

import copy
import pickle
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, models, transaction
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.db.models.signals import post_save, pre_save
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.factories import make_binding, make_template
from tests.school.models import Gift, Order, UrgentOrder, Voucher
from wechat_notify.models import Notification
from wechat_notify.triggers import muted, notify_changed, notify_on

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("own_triggers")]

PAID = {"status": "paid"}
STEP = {"status": ("pending", "paid")}
ANY = ["status"]


@pytest.fixture(autouse=True)
def nothing_is_sent(configure: Callable[..., None]) -> None:
    """Rows are written, and no worker takes them."""
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher")


@pytest.fixture
def buyer() -> Any:
    return make_binding().user


class Told:
    """How often each trigger's function notified, as the database has it."""

    def __init__(self, buyer: Any) -> None:
        self.buyer = buyer

    def on(self, name: str, sender: Any = Order, **options: Any) -> Callable[..., Any]:
        """A trigger with a template of its own, which has this name."""
        make_template(name, content="{{thing1.DATA}}")

        @notify_on(post_save, sender=sender, template=name, **options)
        def tell(instance: Any, **kwargs: Any) -> dict[str, Any]:
            return {"users": self.buyer, "data": {"thing1": "围巾"}}

        return tell

    def __call__(self) -> dict[str, int]:
        names = Notification.objects.values_list("template__name", flat=True)
        return dict(Counter(names))


@pytest.fixture
def told(buyer: Any) -> Told:
    return Told(buyer)


@pytest.fixture
def order(buyer: Any) -> Order:
    return Order.objects.create(buyer=buyer)


# -- one step after the other -----------------------------------------------------------------


def test_a_step_is_told_once(told: Told, order: Order) -> None:
    """When the field becomes the value, and not when it still has it."""
    for name, changes in {"paid": PAID, "step": STEP, "any": ANY}.items():
        told.on(name, changes=changes)
    order.save()
    assert told() == {}
    order.status = "paid"
    order.save()
    order.save()
    assert told() == {"paid": 1, "step": 1, "any": 1}
    order.status = "refunded"
    order.save()
    assert told() == {"paid": 1, "step": 1, "any": 2}
    order.status = "paid"
    order.save()
    assert told() == {"paid": 2, "step": 1, "any": 3}


def test_a_new_row(told: Told) -> None:
    """It becomes what it is created with; there was no step, and nothing has changed."""
    for name, changes in {"paid": PAID, "step": STEP, "any": ANY}.items():
        told.on(name, changes=changes)
    Order.objects.create(buyer=told.buyer, status="paid")
    Order.objects.create(buyer=told.buyer)
    assert told() == {"paid": 1}


def test_several_fields(told: Told, order: Order) -> None:
    """All must have their value, and one of them newly."""
    told.on("both", changes={"status": "paid", "total": 5})
    order.status = "paid"
    order.save()
    assert told() == {}
    order.total = Decimal(5)
    order.save()
    order.note = "again"
    order.save()
    assert told() == {"both": 1}


def test_values_are_compared_as_the_field_has_them(told: Told, order: Order) -> None:
    """A text for a decimal, a member of an enumeration, an object for its key."""
    other = make_binding(number=2).user
    told.on("total", changes=["total"])
    told.on("status", changes={"status": Order.Status.PAID})
    told.on("buyer", changes={"buyer": other})
    order.total = "0.00"
    order.save()
    assert told() == {}
    order.status, order.buyer_id = "paid", str(other.pk)
    order.save()
    assert told() == {"status": 1, "buyer": 1}


def test_an_expression(told: Told, order: Order) -> None:
    """What the database has computed is looked up."""
    told.on("paid", changes=PAID)
    order.status = Concat(Value("pa"), Value("id"), output_field=models.CharField())
    order.save()
    order.refresh_from_db()
    order.total = F("total") + 1
    order.save()
    assert told() == {"paid": 1}


def test_a_value_that_is_changed_in_place(told: Told, order: Order) -> None:
    """A list or dict cannot be remembered by reference."""
    told.on("extra", changes=["extra"])
    loaded = Order.objects.get()
    loaded.extra["gift"] = True
    loaded.save()
    loaded.save()
    assert told() == {"extra": 1}


def test_update_fields(told: Told, order: Order) -> None:
    """A step is made when it is written, not when it is set."""
    told.on("paid", changes=PAID)
    order.status = "paid"
    order.save(update_fields=["note"])
    assert told() == {}
    order.save(update_fields=["status"])
    order.save(update_fields=["status"])
    assert told() == {"paid": 1}


@pytest.mark.parametrize("load", [Order.objects.defer("status"), Order.objects.only("note")])
def test_deferred_fields(
    told: Told, order: Order, load: Any, django_assert_num_queries: Any
) -> None:
    """A field that was not loaded is looked up if it is written, and only then."""
    told.on("step", changes=STEP)
    loaded = load.get()
    loaded.note = "nothing"
    with django_assert_num_queries(1):
        loaded.save()
    loaded.status = "paid"
    loaded.save()
    loaded = load.get()
    assert loaded.status == "paid"
    loaded.save()
    assert told() == {"step": 1}


def test_refresh_from_db(told: Told, order: Order) -> None:
    """What another process has told is not told again by who has read it."""
    told.on("paid", changes=PAID)
    for fields in (None, ["status"], iter(["status"])):
        Order.objects.update(status="paid")
        order.refresh_from_db(fields=fields)
        order.save()
        assert told() == {}
        Order.objects.update(status="pending")
        order.refresh_from_db()
    order.status = "paid"
    order.save()
    assert told() == {"paid": 1}


def test_an_object_that_was_not_loaded(
    told: Told, order: Order, django_assert_num_queries: Any
) -> None:
    """One query finds what the row was."""
    told.on("step", changes=STEP)
    for _ in range(2):
        Order(pk=order.pk, buyer=told.buyer, status="paid").save()
    assert told() == {"step": 1}
    loaded = Order.objects.get()
    with django_assert_num_queries(1):
        loaded.save()
    with django_assert_num_queries(2):
        Order(pk=order.pk, buyer=told.buyer, status="paid").save()


def test_a_key_that_the_site_chooses(told: Told) -> None:
    """A new row with its own key is new; another object with that key is not."""
    told.on("paid", Voucher, changes=PAID)
    Voucher.objects.create(code="A", status="paid")
    Voucher(code="A", status="paid").save()
    assert told() == {"paid": 1}


def test_a_copy_is_another_row(told: Told, order: Order) -> None:
    """A loaded object that is saved under no key, or under another, is compared with that row."""
    told.on("paid", changes=PAID)
    order.status = "paid"
    order.save()
    order.pk, order._state.adding = None, True
    order.save()
    assert told() == {"paid": 2}
    third = Order.objects.create(buyer=told.buyer)
    order.pk = third.pk
    order.save()
    assert told() == {"paid": 3}


def pickled(order: Order) -> Any:
    return pickle.loads(pickle.dumps(order))  # noqa: S301 - our own


@pytest.mark.parametrize("through", [copy.copy, copy.deepcopy, pickled])
def test_copies_in_memory(told: Told, order: Order, through: Any) -> None:
    """They know as much as the original, or look it up."""
    told.on("paid", changes=PAID)
    with transaction.atomic():
        order.status = "paid"
        order.save()
        twin = through(order)
        twin.save()
    twin.save()
    assert told() == {"paid": 1}


def test_raw_saves(told: Told, order: Order) -> None:
    """What a fixture writes is told to nobody, and known afterwards."""
    told.on("paid", changes=PAID)
    order.status = "paid"
    order.save_base(raw=True)
    order.save()
    assert told() == {}


def test_a_receiver_that_saves_again(told: Told, order: Order) -> None:
    """Neither a trigger's function nor the site's own receiver hides the step from the others."""

    def save_again(instance: Order, **kwargs: Any) -> None:
        if instance.note != "again":
            instance.note = "again"
            instance.save()

    told.on("first", changes=PAID)
    post_save.connect(save_again, sender=Order)
    told.on("last", changes=PAID, when=lambda order: save_again(order) or True)
    order.status = "paid"
    order.save()
    assert told() == {"first": 1, "last": 1}


def test_a_receiver_that_changes_it_before(told: Told, order: Order) -> None:
    """What is written counts."""

    def pay(instance: Order, **kwargs: Any) -> None:
        instance.status = "paid"

    told.on("paid", changes=PAID)
    pre_save.connect(pay, sender=Order)
    Order.objects.get().save()
    assert told() == {"paid": 1}


# -- other classes for the same row -----------------------------------------------------------


def test_proxies_and_children(told: Told, order: Order) -> None:
    """A step of the row is one whatever class it is saved by."""
    told.on("paid", changes=PAID)
    urgent = UrgentOrder.objects.get()
    urgent.status = "paid"
    urgent.save()
    assert told() == {"paid": 1}
    Gift.objects.create(buyer=told.buyer, greeting="新年好")
    gift = Gift.objects.get()
    gift.status = "paid"
    gift.save()
    gift.save()
    assert told() == {"paid": 2}


def test_a_child_for_a_row_that_was_there(told: Told, order: Order) -> None:
    """The order is no new one: what it was is not told again, and a step that it makes is."""
    for name, changes in {"paid": PAID, "step": STEP, "any": ANY}.items():
        told.on(name, changes=changes)
    told.on("gift", Gift, changes=PAID)
    order.status = "paid"
    order.save()
    assert told() == {"paid": 1, "step": 1, "any": 1}
    gift = Gift(order_ptr=order, buyer=told.buyer, status="paid", greeting="新年好")
    gift.save()
    gift.save()
    assert told() == {"paid": 1, "step": 1, "any": 1, "gift": 1}
    other = Order.objects.create(buyer=told.buyer)
    Gift(order_ptr_id=other.pk, buyer=told.buyer, status="paid").save()
    assert told() == {"paid": 2, "step": 2, "any": 2, "gift": 2}


def test_what_a_child_costs(told: Told, order: Order) -> None:
    """One more query where its order was there, and none for any other child."""
    told.on("step", changes=STEP)

    def looks(save: Callable[[], object]) -> int:
        with CaptureQueriesContext(connection) as queries:
            save()
        return sum(query["sql"].startswith("SELECT") for query in queries)

    made = Gift(buyer=told.buyer)
    assert looks(made.save) == 0
    assert looks(made.save) == 0
    assert looks(Gift.objects.get(pk=made.pk).save) == 0
    again = Gift(order_ptr_id=made.pk, buyer=told.buyer)
    assert looks(again.save) == 1  # for the gift's own row
    assert looks(Gift(order_ptr=order, buyer=told.buyer).save) == 2
    assert looks(Gift(order_ptr_id=10**6, buyer=told.buyer).save) == 2


def test_a_child_alone(told: Told) -> None:
    """A trigger of the child knows its own and its parent's fields, and no other order."""
    told.on("gift", Gift, changes={"status": "paid", "greeting": "新年好"})
    Order.objects.create(buyer=told.buyer, status="paid")
    gift = Gift.objects.create(buyer=told.buyer, status="paid")
    gift = Gift.objects.get(pk=gift.pk)
    gift.greeting = "新年好"
    gift.save()
    assert told() == {"gift": 1}


def test_a_class_that_is_defined_later(told: Told, order: Order) -> None:
    """The proxy may stand in a module that is imported after the trigger."""
    told.on("paid", changes=PAID)

    class LateOrder(Order):
        class Meta:
            app_label = "school"
            proxy = True

    late = LateOrder.objects.get()
    late.status = "paid"
    late.save()
    assert told() == {"paid": 1}


def test_a_sender_by_name(told: Told, order: Order) -> None:
    """As Django's own model signals take it."""
    told.on("paid", "school.Order", changes=PAID)
    order.status = "paid"
    order.save()
    assert told() == {"paid": 1}


@pytest.mark.parametrize(
    ("signal", "sender", "changes"),
    [
        (pre_save, Order, PAID),
        ([post_save, pre_save], Order, PAID),
        (post_save, None, PAID),
        (post_save, Order, "status"),
        (post_save, Order, {}),
        (post_save, Order, ["tags"]),
        (post_save, Order, ["colour"]),
    ],
)
def test_what_cannot_be_watched(signal: Any, sender: Any, changes: Any) -> None:
    """It is said when the module is imported."""
    with pytest.raises(TypeError, match="changes"):
        notify_on(signal, sender=sender, template="x", changes=changes)(lambda **kwargs: None)


# -- transactions -----------------------------------------------------------------------------


@pytest.mark.parametrize("nested", [False, True])
def test_rolled_back_and_saved_again(told: Told, order: Order, nested: bool) -> None:
    """It was not told, so it is told now: once."""
    told.on("step", changes=STEP)
    with ExitStack() as outer:
        if nested:
            outer.enter_context(transaction.atomic())
        order.status = "paid"
        with transaction.atomic():
            order.save()
            transaction.set_rollback(True)
        assert told() == {}
        order.save()
        order.save()
        assert told() == {"step": 1}
    order.save()
    assert told() == {"step": 1}


def test_loaded_before_a_rollback(told: Told, order: Order) -> None:
    """What was read in a transaction that is undone may never have been true."""
    told.on("step", changes=STEP)
    with transaction.atomic():
        order.status = "paid"
        order.save()
        loaded = Order.objects.get()
        transaction.set_rollback(True)
    loaded.save()
    assert told() == {"step": 1}


def test_one_hook_for_many_rows(told: Told) -> None:
    """A transaction that writes many rows does not gather a hook for each."""
    told.on("paid", changes=PAID, when=lambda order: False)
    with transaction.atomic():
        orders = [Order.objects.create(buyer=told.buyer) for _ in range(20)]
        for order in orders:
            order.status = "paid"
            order.save()
        assert len(transaction.get_connection().run_on_commit) == 1
        with transaction.atomic():
            orders[0].status = "pending"
            orders[0].save()
            assert len(transaction.get_connection().run_on_commit) == 2


def test_a_hook_of_the_site_that_fails(told: Told, order: Order) -> None:
    """Hooks after it are not called, though the transaction was committed."""

    def fail() -> None:
        raise LookupError

    told.on("paid", changes=PAID)
    order.status = "paid"

    def pay() -> None:
        with transaction.atomic():
            transaction.on_commit(fail)
            order.save()

    with pytest.raises(LookupError):
        pay()
    order.save()
    assert told() == {"paid": 1}


def test_a_transaction_by_hand(told: Told, order: Order) -> None:
    """Without autocommit Django takes no hooks: saving works, and each save looks it up."""
    told.on("paid", changes=PAID, when=lambda order: False)
    transaction.set_autocommit(False)
    try:
        order.status = "paid"
        order.save()
        order.save()
        transaction.rollback()
    finally:
        transaction.set_autocommit(True)
    order.refresh_from_db()
    assert order.status == "pending"


# -- the whole truth table --------------------------------------------------------------------

STATUS = st.sampled_from(["pending", "paid", "refunded"])
WHO = st.sampled_from([0, 1])
OPERATIONS = st.one_of(
    st.tuples(st.just("load"), WHO),
    st.tuples(st.just("defer"), WHO),
    st.tuples(st.just("refresh"), WHO),
    st.tuples(st.just("set"), WHO, STATUS),
    st.tuples(st.just("save"), WHO),
    st.tuples(st.just("save"), WHO),
    st.tuples(st.just("save_status"), WHO),
    st.tuples(st.just("save_note"), WHO),
    st.tuples(st.just("elsewhere"), STATUS),
    st.tuples(st.just("begin")),
    st.tuples(st.just("begin")),
    st.tuples(st.just("commit")),
    st.tuples(st.just("rollback")),
)


class Expected:
    """One object, as the rule has it. ``seen``: what its row was when it was last read or written.

    ``seen`` None: it does not know, and the row itself says so. ``tied``: the number of the write
    that its knowledge may depend on.
    """

    def __init__(self, status: str | None, tied: int) -> None:
        self.status = self.seen = status
        self.tied = tied


class World:
    """The rule beside the real thing: what the row is, and who has been told of what."""

    def __init__(self, buyer: Any) -> None:
        self.row = Order.objects.create(buyer=buyer)
        self.status, self.told, self.writes = "pending", Counter[str](), 0
        self.stack: list[tuple[str, Counter[str], int]] = []
        self.blocks: list[transaction.Atomic] = []
        self.real: list[Order] = []
        self.expected: list[Expected] = []
        for _ in range(2):
            self.real.append(Order.objects.get(pk=self.row.pk))
            self.expected.append(Expected("pending", 0))

    def load(self, who: int) -> None:
        self.real[who] = Order.objects.get(pk=self.row.pk)
        self.expected[who] = Expected(self.status, self.writes)

    def defer(self, who: int) -> None:
        self.real[who] = Order.objects.defer("status").get(pk=self.row.pk)
        self.expected[who] = Expected(None, self.writes)

    def refresh(self, who: int) -> None:
        self.real[who].refresh_from_db()
        if self.expected[who].status is not None:
            self.load_expected(who)

    def load_expected(self, who: int) -> None:
        self.expected[who] = Expected(self.status, self.writes)

    def set(self, who: int, status: str) -> None:
        self.real[who].status = self.expected[who].status = status

    def save(self, who: int) -> None:
        self.real[who].save()
        self._saved(self.expected[who])

    def save_status(self, who: int) -> None:
        if self.expected[who].status is not None:
            self.real[who].save(update_fields=["status"])
            self._saved(self.expected[who])

    def save_note(self, who: int) -> None:
        self.real[who].save(update_fields=["note"])

    def _saved(self, one: Expected) -> None:
        if one.status is None:
            return  # deferred, so not written
        was = self.status if one.seen is None else one.seen
        if one.seen is None:
            one.tied = self.writes
        if one.status != was:
            self.told["any"] += 1
            self.told["paid"] += one.status == "paid"
            self.told["step"] += (was, one.status) == ("pending", "paid")
            self.writes += 1
            one.tied = self.writes
        self.status, one.seen = one.status, one.status

    def elsewhere(self, status: str) -> None:
        """Another process writes the row, and tells of it itself."""
        if not self.blocks:
            Order.objects.filter(pk=self.row.pk).update(status=status)
            self.status = status

    def begin(self) -> None:
        block = transaction.atomic()
        block.__enter__()
        self.blocks.append(block)
        self.stack.append((self.status, self.told.copy(), self.writes))

    def commit(self) -> None:
        if self.blocks:
            self.stack.pop()
            self.blocks.pop().__exit__(None, None, None)

    def rollback(self) -> None:
        if self.blocks:
            self.status, self.told, writes = self.stack.pop()
            for one in self.expected:
                if one.tied > writes:
                    one.seen, one.tied = None, 0
            transaction.set_rollback(True)
            self.blocks.pop().__exit__(None, None, None)

    def end(self) -> None:
        while self.blocks:
            self.commit()


@pytest.fixture
def three_triggers(told: Told) -> Iterator[Told]:
    for name, changes in {"paid": PAID, "step": STEP, "any": ANY}.items():
        told.on(name, changes=changes)
    return told


@settings(max_examples=120)
@given(operations=st.lists(OPERATIONS, max_size=14))
def test_whatever_happens(three_triggers: Told, operations: list[Any]) -> None:
    """Of each step that an object has seen, and that stays, its triggers tell exactly once."""
    before = Counter(three_triggers())
    world = World(three_triggers.buyer)
    try:
        for name, *arguments in operations:
            getattr(world, name)(*arguments)
            assert Counter(three_triggers()) - before == +world.told
    finally:
        world.end()
    assert Counter(three_triggers()) - before == +world.told
    assert Order.objects.get(pk=world.row.pk).status == world.status


# -- what sends no signals --------------------------------------------------------------------


def test_notify_changed_after_an_update(three_triggers: Told, order: Order) -> None:
    """The triggers that a save would have fired, for each row."""
    Order.objects.create(buyer=three_triggers.buyer)
    Order.objects.update(status="paid")
    assert three_triggers() == {}
    assert notify_changed(Order.objects.all(), "status") == 4
    assert three_triggers() == {"paid": 2, "any": 2}
    assert notify_changed(Order.objects.all(), was={"status": "pending"}) == 6
    assert three_triggers() == {"paid": 4, "any": 4, "step": 2}
    assert notify_changed(Order.objects.all(), "note") == 0
    assert notify_changed(Order.objects.order_by("pk")[:1], was={"status": "paid"}) == 0


def test_notify_changed_after_bulk_create(three_triggers: Told) -> None:
    """New rows, and the triggers of the signal without changes= too."""
    three_triggers.on("saved")
    orders = [Order(buyer=three_triggers.buyer, status=status) for status in ("paid", "pending")]
    made = Order.objects.bulk_create(orders)
    assert notify_changed(made, created=True) == 3
    assert three_triggers() == {"paid": 1, "saved": 2}
    loaded = list(Order.objects.all())
    loaded[0].save()
    assert three_triggers() == {"paid": 1, "saved": 3}


def test_notify_changed_wants_to_know_what(order: Order) -> None:
    """Nothing is fired for no field at all."""
    with pytest.raises(TypeError, match="fields"):
        notify_changed(Order.objects.all())


def test_a_module_that_is_imported_twice(told: Told, order: Order) -> None:
    """With a dispatch_uid, it tells once: by save() and by notify_changed()."""
    make_template("paid", content="{{thing1.DATA}}")
    for _ in range(2):

        @notify_on(post_save, sender=Order, template="paid", changes=PAID, dispatch_uid="tell_once")
        def tell(instance: Order, **kwargs: Any) -> dict[str, Any]:
            return {"users": told.buyer, "data": {"thing1": "围巾"}}

    order.status = "paid"
    order.save()
    assert told() == {"paid": 1}
    assert notify_changed([order], "status") == 1


def test_a_trigger_that_saves_the_row_again(told: Told, order: Order) -> None:
    """Each of the step's triggers tells once, and a step that one of them makes is told too."""
    make_template("first", content="{{thing1.DATA}}")

    @notify_on(post_save, sender=Order, template="first", changes=PAID)
    def archive(instance: Order, **kwargs: Any) -> dict[str, Any]:
        instance.note = "archived"
        instance.save()
        return {"users": told.buyer, "data": {"thing1": "围巾"}}

    told.on("paid", changes=PAID)
    told.on("noted", changes={"note": "archived"})
    order.status = "paid"
    order.save()
    order.save()
    assert told() == {"first": 1, "paid": 1, "noted": 1}


def test_a_muted_step_is_over(told: Told, order: Order) -> None:
    """What was muted is not told at the next save."""
    told.on("paid", changes=PAID)
    order.status = "paid"
    with muted():
        order.save()
    order.save()
    assert told() == {}
