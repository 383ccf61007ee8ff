"""A walk through every page of the admin, in both languages and both themes.

Each page must work: an answer, nothing blocked, nothing cut off or squeezed in a window of 1280
pixels or on a phone, and no English left on a Chinese page. And each gets its picture taken, into a
directory of the test's own or, as ``make screenshots`` does, into the one that SCREENSHOTS names.
"""

import gettext
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import caches
from django.utils import timezone

import wechat_notify
from tests.browser import library, school
from tests.browser.conftest import DATABASE, PHONE, follow, held, settle
from tests.browser.measures import misfits
from tests.browser.school import BOOKSHOP, SCHOOL
from tests.library.models import Loan
from wechat_notify.alerts import comparing
from wechat_notify.models import (
    Alert,
    MessageTemplate,
    Notification,
    OpenIDBinding,
    RecipientFilter,
    SendLog,
)
from wechat_notify.receipts import settling as receipts
from wechat_notify.rules.models import Firing
from wechat_notify.sandbox import samples
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.sending import engine
from wechat_notify.sending.breaker import Breaker
from wechat_notify.services import notify

SCHOOL_NAME, BOOKSHOP_NAME = samples.ACCOUNT_NAME, "阳光书店"
LANGUAGES = {"zh-Hans": "zh-CN", "en": "en-US"}
WIDTH, HEIGHT, NARROW = 1280, 800, 390
COLOURS = 128
HAND = {**PHONE, "viewport": {"width": 390, "height": 620}, "timezone_id": "Asia/Shanghai"}
TOO_LONG = "三年级下学期期中考试情况交流暨家庭教育经验分享会"
PACKAGE = Path(wechat_notify.__file__).parent
CATALOGUE = Path("locale/zh_Hans/LC_MESSAGES/django.mo")
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[-#0 +]*[\d.]*[sdrf%]|\{\w*\}")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("django_db_reset_sequences")]


@pytest.fixture(autouse=True)
def browsers_language(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The admin speaks the language of the browser."""
    # Before the database is asked to count from one: see ``site`` beside this file.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    before = settings.MIDDLEWARE
    after_session = before.index("django.contrib.sessions.middleware.SessionMiddleware") + 1
    settings.MIDDLEWARE = [
        *before[:after_session],
        "django.middleware.locale.LocaleMiddleware",
        *before[after_session:],
    ]


@pytest.fixture
def bookshop() -> Iterator[Sandbox]:
    """The fake WeChat of the school's second account."""
    with Sandbox(
        app_id="wxb00c5409a1f7e263",
        app_secret="b00c54b00c54b00c54b00c54b00c5400",
        account_name=BOOKSHOP_NAME,
        templates=school.LISTED[BOOKSHOP],
        users=[],
    ) as running:
        yield running


@pytest.fixture
def site(
    browsers_language: None,
    site: str,
    settings: Any,
    wechat: Sandbox,
    bookshop: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """The same site with Django's admin and the school's two accounts, one Wednesday morning."""
    school.set_clock(monkeypatch, wechat, bookshop)
    settings.ROOT_URLCONF = "tests.urls"
    first = {**settings.WECHAT_NOTIFY["ACCOUNTS"]["default"], "NAME": SCHOOL_NAME}
    second = {"NAME": BOOKSHOP_NAME, "APP_ID": bookshop.app_id, "APP_SECRET": bookshop.app_secret}
    settings.WECHAT_NOTIFY = {
        **settings.WECHAT_NOTIFY,
        "ACCOUNTS": {SCHOOL: first, BOOKSHOP: {**first, **second, "API_BASE": bookshop.url}},
        "DISPATCHER": "wechat_notify.dispatchers.worker.WorkerDispatcher",
        "MAX_ATTEMPTS": 1,
    }
    wechat.account.callback_url = f"{site}/wechat/{SCHOOL}/callback/"
    return site


@pytest.fixture
def templates(site: str, wechat: Sandbox) -> dict[str, MessageTemplate]:
    """The rows of the school's templates; with them its people, and what they got this month."""
    people = school.enrol()
    school.tell_wechat(wechat, people)
    school.save_recipients(people)
    found = school.register_templates()
    school.fill_month(found, people)
    school.use_quota(wechat)
    return found


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where pictures go."""
    return Path(os.environ.get("SCREENSHOTS") or tmp_path)


def english_texts() -> list[str]:
    """Pieces of the app's English that a Chinese page shows only where a translation is missing.

    Single words are left out: a username or WeChat's own words may have them.
    """
    chinese: dict[Any, str] = {}
    for room in (PACKAGE, PACKAGE / "rules"):
        with (room / CATALOGUE).open("rb") as compiled:
            chinese |= gettext.GNUTranslations(compiled)._catalog  # type: ignore[attr-defined]
    texts = [key[0] if isinstance(key, tuple) else key for key in chinese if key]
    pieces = [piece.strip() for text in texts for piece in PLACEHOLDER.split(text)]
    return [piece for piece in pieces if len(piece) > 8 and " " in piece]


@dataclass
class Tour:
    """One walk: a page in one language and one theme, and what is looked at on the way."""

    page: Any
    site: str
    language: str
    scheme: str
    directory: Path
    directory_of_phone: Path | None
    english: list[str]
    misfits: list[str] = field(default_factory=list)
    app: str = "wechat_notify"

    def address(self, path: str) -> str:
        return f"{self.site}/admin/{self.app}/{path}"

    def go(self, path: str) -> None:
        """Open a page."""
        response = self.page.goto(self.address(path))
        assert response.status == 200, path

    def press(self, name: str) -> None:
        """Press a button of a form, which leads to another page."""
        follow(self.page.locator(f"[name={name}]").last)

    def visit(self, path: str, name: str, *, wait_for: str = "#content", **options: Any) -> None:
        """Open a page, and take its picture once something is there. ``options``: of ``take``."""
        self.go(path)
        self.page.locator(wait_for).first.wait_for()
        self.take(name, **options)

    def look(self, name: str) -> None:
        """Measure the page as it is; nothing is English where it should be Chinese."""
        settle(self.page)
        self.measure(name)
        text = self.page.locator("#container").inner_text()
        if self.language == "zh-Hans":
            assert [piece for piece in self.english if piece in text] == [], name

    def take(self, name: str, *, most: int = 1000, in_docs: bool = True) -> None:
        """Look at the page as it is, and take its picture, ``most`` pixels high. ``in_docs``: the
        docs show it, too."""
        self.look(name)
        if in_docs or self.directory_of_phone:
            # A page is never lower than its window.
            self.picture(WIDTH, most, self.directory / f"{name}.{self.language}.{self.scheme}.png")
        self.page.set_viewport_size({"width": NARROW, "height": HEIGHT})
        self.measure(name)
        if self.directory_of_phone:
            where = self.directory_of_phone / f"{name}.{self.language}.{self.scheme}.png"
            self.picture(NARROW, 3 * most, where)
        self.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})

    def measure(self, name: str) -> None:
        """Note what nobody could read in the window as it is."""
        wide = self.page.evaluate("window.innerWidth")
        self.misfits += [f"{name} at {wide}: {part}" for part in misfits(self.page)]
        menu = self.page.locator("#toggle-nav-sidebar")
        if menu.count() and menu.is_visible():
            # Unfolded, or folded, for as long as it is measured.
            menu.click()
            self.misfits += [f"{name}, the other menu: {part}" for part in misfits(self.page)]
            menu.click()

    def picture(self, width: int, most: int, path: Path) -> None:
        """What a window so wide, and so high as the page needs, shows."""
        self.page.set_viewport_size({"width": width, "height": 300})
        high = self.page.evaluate("document.documentElement.scrollHeight")
        self.page.set_viewport_size({"width": width, "height": min(high, most)})
        self.page.evaluate("window.scrollTo(0, 0)")
        save(self.page, path)


def save(page: Any, path: Path) -> None:
    """The picture of what is in the window; small where it is kept."""
    taken: bytes = page.screenshot(caret="initial")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(with_palette(taken) if os.environ.get("SCREENSHOTS") else taken)


def with_palette(taken: bytes) -> bytes:
    """A third of the size, and nobody sees the difference; but it takes its time."""
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    small = image.open(BytesIO(taken)).convert("RGB").quantize(COLOURS, dither=image.Dither.NONE)
    written = BytesIO()
    small.save(written, "PNG", optimize=True)
    return written.getvalue()


def deliver(wechat: Sandbox, **options: int) -> None:
    """What a worker does, while nobody else is in the database; with the receipts that come."""
    with DATABASE:
        engine.deliver(**options)
    assert wechat.wait_for_callbacks(60)
    with DATABASE:
        receipts.settle()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_walk_through_the_admin(
    site: str,
    wechat: Sandbox,
    bookshop: Sandbox,
    templates: dict[str, MessageTemplate],
    open_browser: Callable[..., Any],
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    language: str,
    scheme: str,
) -> None:
    """Every page of the admin, with a school's work on it."""
    looks = {
        "viewport": {"width": WIDTH, "height": HEIGHT},
        "locale": LANGUAGES[language],
        "timezone_id": "Asia/Shanghai",
        "color_scheme": scheme,
    }
    page = open_browser(looks, school.DIRECTOR)
    # The docs show the pages in a wide window only.
    phone = None if os.environ.get("SCREENSHOTS") else directory / "phone"
    tour = Tour(page, site, language, scheme, directory / "admin", phone, english_texts())
    overview(tour, bookshop)
    notification = compose(tour, templates["parents_meeting"])
    watch(tour, wechat, notification)
    find_out(tour, notification)
    invite(tour, notification)
    send_once_more(tour, notification)
    ask_for_approval(tour, templates["parents_meeting"], settings)
    look_at_templates(tour, templates["leave_decided"])
    look_at_people(tour)
    sync(tour)
    be_alarmed(tour)
    if language == "zh-Hans":
        library.speak_chinese(monkeypatch)
    write_rules(tour)
    assert not tour.misfits, "\n".join(tour.misfits)


def overview(tour: Tour, bookshop: Sandbox) -> None:
    """The app's index and the dashboard, while WeChat does not let the bookshop's server in."""
    tour.visit("", "index")
    # Django's list of everything takes a quarter of the window; whoever needs room folds it.
    tour.go("sendlog/")
    tour.page.locator("#toggle-nav-sidebar").click()
    address = "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist"
    bookshop.fail(40164, address, path="/cgi-bin/stable_token", times=None)
    Breaker(BOOKSHOP).trip(40164, address, endpoint="token")
    tour.visit("sendlog/dashboard/", "dashboard", wait_for=".wechat-quotas", most=1800)
    bookshop.clear_faults()
    caches["default"].clear()  # where the app remembers for a minute that it was refused


def compose(tour: Tour, template: MessageTemplate) -> Notification:
    """From the list of notifications to a message that is on its way."""
    page = tour.page
    tour.visit("notification/", "notifications", most=760)
    tour.visit("notification/compose/", "choose")
    follow(page.locator(f"button[name=template][value='{template.pk}']"))
    for name, value in school.DATA[template.name].items():
        page.locator(f"[name=value_{name}]").fill(value)
    page.locator("[name=value_thing1]").fill(TOO_LONG)
    page.locator("#id_value_thing1_said:not(:empty)").wait_for()
    page.locator("[data-wechat-card]").get_by_text("三年级全体家长").wait_for()
    tour.take("refused", most=880)
    page.locator("[name=value_thing1]").fill("期中家长会")
    page.locator("#id_value_thing1_said:empty").wait_for(state="attached")
    page.get_by_label(f"{school.THIRD_GRADE} (128)").check()
    people = page.locator("#wechat-user-search")
    people.press_sequentially("陈敏")
    # Others go with the answer to the whole name.
    page.wait_for_function("() => document.querySelectorAll('[role=option]').length === 1")
    people.press("ArrowDown")
    people.press("Enter")
    page.locator("#wechat-chosen").get_by_text("陈敏").wait_for()
    tour.take("fill-in", most=1560)
    tour.press("_review")
    page.locator(".wechat-today").wait_for()
    tour.take("review")
    tour.press("_send")
    page.locator("[role=progressbar]").wait_for()
    with DATABASE:
        return Notification.objects.latest("pk")


def watch(tour: Tour, wechat: Sandbox, notification: Notification) -> None:
    """The bar half-way and at its end, and what can be sent again."""
    path = f"notification/{notification.pk}/"
    deliver(wechat, limit=84)
    tour.visit(f"{path}change/", "running", most=680)
    tour.visit(f"{path}resend/", "resend")
    deliver(wechat)
    tour.visit(f"{path}change/", "done", most=680)


def find_out(tour: Tour, notification: Notification) -> None:
    """Why somebody did not get it: the log, the message, and what WeChat recorded."""
    tour.visit("sendlog/", "send-log", most=860)
    with DATABASE:
        log = SendLog.objects.filter(notification=notification, errcode=43004).latest("pk")
    tour.visit(f"sendlog/{log.pk}/change/", "message", most=1120)
    tour.go(f"sendlog/{log.pk}/explain/")
    follow(tour.page.locator("#content-main [type=submit]"))
    tour.page.locator("pre.wechat-data").first.wait_for()
    tour.take("explain")


def invite(tour: Tour, notification: Notification) -> None:
    """Who was not reached, and what invites them: a question, cards, and a poster."""
    page, path = tour.page, f"notification/{notification.pk}/not-reached/"
    tour.visit(path, "not-reached", most=760)
    follow(page.locator("a[href*='openidbinding/invite/'][href*='notification=']").first)
    tour.take("invite", in_docs=False)
    follow(page.locator("#content-main [type=submit]"))
    page.locator(".wechat-invited__link").first.wait_for()
    tour.take("invitations", in_docs=False)
    tour.visit(f"openidbinding/poster/?account={SCHOOL}", "poster", in_docs=False)


def send_once_more(tour: Tour, notification: Notification) -> None:
    """The form filled in from what was sent, a draft of it, and another time for what waits."""
    page = tour.page
    tour.go(f"notification/{notification.pk}/change/")
    follow(page.locator("a[href*='outcome=missed'], a[href*='outcome=failed']").first)
    tour.take("once-more", most=1560, in_docs=False)
    tour.press("_save_draft")
    tour.visit("draft/", "drafts", in_docs=False)
    with DATABASE:
        tomorrow = timezone.now() + timedelta(days=1)
        people = OpenIDBinding.objects.filter(account=SCHOOL)[:3]
        planned = notify(people, notification.template, notification.data, send_at=tomorrow)
    tour.visit(f"notification/{planned.pk}/reschedule/", "reschedule", in_docs=False)


def ask_for_approval(tour: Tour, template: MessageTemplate, settings: Any) -> None:
    """What somebody else wants to send to many people, and what their own review says."""
    settings.WECHAT_NOTIFY = {**settings.WECHAT_NOTIFY, "APPROVAL_ABOVE": 100}
    with DATABASE:
        head = get_user_model().objects.get(username=school.HEAD)
        people = OpenIDBinding.objects.filter(account=SCHOOL)[:150]
        data, source = school.DATA[template.name], Notification.Source.ADMIN
        held = notify(people, template, data, created_by=head, _source=source)
    tour.visit("notification/to-approve/", "to-approve", in_docs=False)
    tour.visit(f"notification/{held.pk}/approve/", "approve", most=1300)
    tour.visit(f"notification/{held.pk}/refuse/", "refuse", in_docs=False)
    tour.visit(f"notification/{held.pk}/change/", "held", in_docs=False)


def be_alarmed(tour: Tour) -> None:
    """An account that WeChat has frozen: on the admin's first page, in the list, on its own."""
    with DATABASE:
        Breaker(SCHOOL).trip(50007, "account frozen rid: 6741c2f1-5b0a-11ef")
        comparing.look()
        alert = Alert.objects.still_open().latest("pk")
    tour.visit("../", "first-page", in_docs=False)
    tour.visit("alert/", "alerts", in_docs=False)
    tour.visit(f"alert/{alert.pk}/change/", "alert", in_docs=False)


def look_at_templates(tour: Tour, template: MessageTemplate) -> None:
    """The list, one that WeChat has changed, and all of them as cards."""
    tour.visit("messagetemplate/", "templates")
    tour.visit(f"messagetemplate/{template.pk}/change/", "template", most=1110)
    tour.visit("messagetemplate/gallery/", "gallery", most=1900)


def look_at_people(tour: Tour) -> None:
    """Bindings, and recipients that are kept under a name."""
    tour.visit("openidbinding/?reach=no", "bindings", most=760)
    with DATABASE:
        saved = RecipientFilter.objects.get(criteria__has_key="groups", name__startswith="家委会")
        log = SendLog.objects.filter(errcode=43004, binding__isnull=False).latest("pk")
    tour.visit(f"openidbinding/{log.binding_id}/change/", "binding")
    tour.visit("recipientfilter/", "recipients")
    tour.visit(f"recipientfilter/{saved.pk}/change/", "recipients-page")


def sync(tour: Tour) -> None:
    """One account done, the other still being asked; and then both."""
    page = tour.page

    def about_bookshop(request: Any) -> bool:
        return request.method == "POST" and BOOKSHOP in (request.post_data or "")

    tour.visit("messagetemplate/sync/", "sync")
    with held(page, "**/sync/", about_bookshop) as answer:
        page.locator("#content-main [type=submit]").click()
        page.locator(".wechat-sync__accounts li").wait_for()
        page.locator(".wechat-sync [role=status]").get_by_text(BOOKSHOP_NAME).wait_for()
        answer.wait()
        tour.take("sync-running")
    page.locator(".wechat-sync__accounts li >> nth=1").wait_for()
    tour.take("sync-done")


def write_rules(tour: Tour) -> None:
    """A rule of the school's library: written, tried, and what its dry run says."""
    with DATABASE:
        rule = library.lend_books()
    tour.app = "wechat_notify_rules"
    tour.visit(f"rule/{rule.pk}/change/", "rule", wait_for=".wechat-would li", most=1900)
    tour.visit(f"rule/{rule.pk}/try/", "rule-try", wait_for=".wechat-would .help", most=1300)
    with DATABASE:
        rule.is_active = rule.dry_run = True
        rule.save()
        book = Loan.objects.latest("pk")
        book.status = "lent"
        book.save()
        book.status = "ready"
        book.save()
        firing = Firing.objects.get()
    for path in ("rule/", f"rule/{rule.pk}/switch/on/", f"firing/{firing.pk}/change/", "firing/"):
        tour.go(path)
        tour.look(path)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_that_binds_wechat(
    site: str,
    templates: dict[str, MessageTemplate],
    open_browser: Callable[..., Any],
    directory: Path,
    language: str,
) -> None:
    """In WeChat's own browser: who is signed in, and one button."""
    page = open_browser({**HAND, "locale": LANGUAGES[language]}, school.HEAD)
    assert page.goto(f"{site}/wechat/{SCHOOL}/bind/").status == 200
    page.get_by_text("赵建国").wait_for()
    save(page, directory / f"bind.{language}.png")


def test_the_phone_of_somebody_who_gets_it(
    site: str,
    wechat: Sandbox,
    templates: dict[str, MessageTemplate],
    open_browser: Callable[..., Any],
    directory: Path,
) -> None:
    """The card in the chat; it is WeChat's own page, so there is no other language."""
    with DATABASE:
        parent = OpenIDBinding.objects.filter(account=SCHOOL, subscribed=True).earliest("pk")
        for name in ("fee_due", "parents_meeting"):
            notify(parent, templates[name], school.DATA[name])
    deliver(wechat)
    page = open_browser(HAND)
    assert page.goto(f"{wechat.url}/phone/{parent.openid}/").status == 200
    page.get_by_text("期中家长会").wait_for()
    save(page, directory / "card.png")
