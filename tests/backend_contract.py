"""What every backend owes: subclass ``BackendContract`` for one of them, or for your own.

The subclass gives a ``backend`` fixture and, where the backend accepts only what it knows, its
``message``.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from wechat_notify.backends.base import BaseBackend
from wechat_notify.conf import AccountConfig
from wechat_notify.exceptions import ConfigurationError, InvalidSettings
from wechat_notify.sandbox import samples
from wechat_notify.types import MiniProgram, Outcome, TemplateMessage

SAMPLE = TemplateMessage(
    openid=samples.users()[0].openid,
    template_id=samples.APPOINTMENT_TEMPLATE_ID,
    data={
        "thing1": {"value": "家长开放日"},
        "time2": {"value": "2026年11月28日 09:00"},
        "thing3": {"value": "报告厅"},
        "phone_number4": {"value": "0766-66888866"},
    },
)


class BackendContract:
    """Tests that hold for every backend."""

    message = SAMPLE

    @pytest.fixture
    def backend(self) -> BaseBackend:
        raise NotImplementedError("Give the backend to test.")

    def test_message_is_accepted_with_a_msgid(self, backend: BaseBackend) -> None:
        """A good message is accepted, and its msgid is a number of its own."""
        first, second = backend.send(self.message), backend.send(self.message)
        assert (first.outcome, first.errcode) == (Outcome.ACCEPTED, 0)
        assert isinstance(first.msgid, int)
        assert first.msgid != second.msgid

    def test_links_are_accepted(self, backend: BaseBackend) -> None:
        """A url, a mini program and a client_msg_id do no harm."""
        message = replace(
            self.message,
            url="https://school.example/view/1/",
            miniprogram=MiniProgram(appid="wxmini", pagepath="pages/order?id=1"),
            client_msg_id="row-1",
        )
        assert backend.send(message).outcome is Outcome.ACCEPTED

    def test_every_message_can_be_repeated(self, backend: BaseBackend) -> None:
        """The same message again has an answer of its own, whether it is absorbed or sent."""
        message = replace(self.message, client_msg_id="row-2")
        assert {backend.send(message).outcome for _ in range(2)} == {Outcome.ACCEPTED}
        assert isinstance(backend.supports_repeats, bool)

    def test_threads_may_send_at_once(self, backend: BaseBackend) -> None:
        """Eight threads send through one instance, and every message gets its own msgid."""
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(backend.send, [self.message] * 64))
        assert {result.outcome for result in results} == {Outcome.ACCEPTED}
        assert len({result.msgid for result in results}) == 64

    def test_unknown_option_is_refused_by_name(self, backend: BaseBackend) -> None:
        """An option the backend does not know names itself and the account in the complaint."""
        account: AccountConfig = replace(backend.account, options={"colour": "red"})
        with pytest.raises(InvalidSettings, match=r'"default".*colour'):
            type(backend)(account)

    def test_what_is_not_supported_is_a_clear_error(self, backend: BaseBackend) -> None:
        """A call the backend cannot make says which backend of which account cannot do what."""
        calls = [
            (backend.supports_templates, backend.get_templates),
            (backend.supports_templates, lambda: backend.add_template("1", ["姓名"])),
            (backend.supports_templates, lambda: backend.delete_template("T1")),
            (backend.supports_users, lambda: backend.get_user("o1")),
            (backend.supports_users, lambda: backend.get_users(["o1"])),
            (backend.supports_users, backend.get_followers),
            (backend.supports_qrcodes, lambda: backend.create_qrcode("s", 60)),
            (backend.supports_diagnosis, backend.get_quota),
            (backend.supports_diagnosis, lambda: backend.get_request("1-2-3")),
        ]
        for supported, call in calls:
            if not supported:
                with pytest.raises(ConfigurationError, match=type(backend).__name__):
                    call()

    def test_check_finds_no_error_in_good_settings(self, backend: BaseBackend) -> None:
        """An account that is in order has no error, whatever it may be warned of."""
        assert not [message for message in backend.check() if message.is_serious()]

    def test_no_secret_in_its_repr(self, backend: BaseBackend) -> None:
        """The backend names its account and shows no secret."""
        assert "default" in repr(backend)
        assert backend.account.app_secret not in repr(backend)

    def test_close_may_be_called_twice(self, backend: BaseBackend) -> None:
        """Closing is safe at any time."""
        backend.send(self.message)
        backend.close()
        backend.close()
