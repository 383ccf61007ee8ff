"""Openids are shortened, and secrets taken out, before anybody sees them."""

import logging

import pytest

from wechat_notify.wechat.masking import RedactingFilter, mask_openid, redact


@pytest.mark.parametrize(
    ("openid", "shown"),
    [
        ("oABCdefghijklmnopqrstuvwxyz1", "oABC…yz1"),
        ("oABCdefghxyz", "oABC…xyz"),
        ("oABC", "…"),
        ("", "…"),
    ],
)
def test_openid_is_shortened(openid: str, shown: str) -> None:
    """An openid shows its two ends, and a short one nothing."""
    assert mask_openid(openid) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/send?access_token=AbC-_9&lang=zh", "/send?access_token=…&lang=zh"),
        ("GET /token?appid=wx1&secret=f00 HTTP/1.1", "GET /token?appid=wx1&secret=… HTTP/1.1"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_secrets_are_taken_out(text: str, shown: str) -> None:
    """Values of access_token and secret in a URL are hidden, the rest stays readable."""
    assert redact(text) == shown


def test_filter_cleans_another_librarys_lines() -> None:
    """A log record's arguments are cleaned, and the record goes on."""
    record = logging.makeLogRecord({"msg": "%s %s", "args": ("/x?secret=f00", 200)})
    assert RedactingFilter().filter(record)
    assert record.getMessage() == "/x?secret=… 200"


def test_filter_leaves_other_records_alone() -> None:
    """A record without positional arguments passes as it is."""
    record = logging.makeLogRecord({"msg": "%(a)s", "args": {"a": 1}})
    assert RedactingFilter().filter(record)
    assert record.args == {"a": 1}
