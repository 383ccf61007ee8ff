"""Openids are shortened, and secrets taken out, before anybody sees them."""

import json
import logging
import pickle
from pprint import pformat

import pytest

from wechat_notify.types import Secret, SecretBytes, TemplateMessage
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


def test_secret_is_a_text_that_no_repr_shows() -> None:
    """Whatever prints names and values shows "…"; whoever sends or stores it has the text."""
    secret = Secret("hush")
    shown = [repr(secret), pformat({"a": [secret]}), f"{secret!r}", repr({"a": secret})]
    assert not [text for text in shown if "hush" in text]
    assert (secret, f"{secret}", json.dumps([secret])) == ("hush", "hush", '["hush"]')
    assert hash(secret) == hash("hush")
    assert type(pickle.loads(pickle.dumps(secret))) is str  # noqa: S301
    assert repr(SecretBytes(b"hush")) == "<4 bytes>"


def test_message_shows_nobody() -> None:
    """The repr of a message names its template, not the person, the values or the link."""
    message = TemplateMessage("oPERSON", "T1", {"thing1": {"value": "hush"}}, url="https://hush")
    assert "T1" in repr(message)
    assert not [text for text in ("oPERSON", "hush") if text in repr(message)]


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
