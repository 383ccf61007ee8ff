"""The errcode table says, of every code WeChat documents, what to do and what to tell people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wechat_notify.wechat.errors import (
    Pause,
    Treatment,
    describe,
    refused_ip,
    request_id,
    token_error,
    wechat_error,
)

UNTIL_CLEARED = Pause()
PAUSING = {
    Treatment.ACCOUNT,
    Treatment.HOST,
    Treatment.TOKEN,
    Treatment.TEMPLATE,
    Treatment.TEMPLATE_GONE,
}

SEND = {
    Treatment.OK: [0],
    Treatment.RETRY: [-1, 268487001, 268487002],
    Treatment.TOKEN: [40001, 40014, 42001],
    Treatment.PERSON: [40003, 43004, 46004, 49003, 50005, -41000],
    Treatment.PERSON_REFUSED: [43019, 43101, 48002, 50002],
    Treatment.LATER: [43117],
    Treatment.DUPLICATE: [40241],
    Treatment.TEMPLATE: [43116],
    Treatment.TEMPLATE_GONE: [40036, 40037],
    Treatment.ACCOUNT: [
        *(41001, 45009, 45011, 48001, 48004, 50001, 50007),
        # The way the call is made.
        *(43001, 43002, 43003, 44002, 45109),
        # Other calls' codes, which speak of no message.
        *(40002, 40030, 40125, 40243, 41002, 41004, 42002, 42007, 50004),
    ],
    Treatment.HOST: [40164, 61004, 89501, 89502, 89503, 89504, 89505, 89506, 89507],
    Treatment.FAIL: [
        *(40008, 40013, 40033, 40035, 40038, 40039, 40165, 40249, 47001, 47003),
        *(45026, 40246, 40247, 40052, 40053, 76003, 76021, 76022, 48006),
        *(40029, 40163, 41008, 42003),
    ],
}
TOKEN = {
    Treatment.RETRY: [-1],
    Treatment.ACCOUNT: [
        *(40001, 40002, 40013, 40125, 40243, 41002, 41004, 43002, 45009, 45011, 50004, 50007),
    ],
    Treatment.HOST: [40164, 61004, 89501, 89502, 89503, 89504, 89505, 89506, 89507],
}


def pairs(table: dict[Treatment, list[int]]) -> list[tuple[int, Treatment]]:
    return [(errcode, treatment) for treatment, codes in table.items() for errcode in codes]


@pytest.mark.parametrize(("errcode", "treatment"), pairs(SEND))
def test_business_codes_have_their_treatment(errcode: int, treatment: Treatment) -> None:
    """A business endpoint's errcode is treated as the platform's tables ask."""
    assert describe(errcode).treatment is treatment


@pytest.mark.parametrize(("errcode", "treatment"), pairs(TOKEN))
def test_token_codes_have_their_treatment(errcode: int, treatment: Treatment) -> None:
    """A token endpoint's errcode is transient, or stops the account: no row is to blame."""
    assert describe(errcode, endpoint="token").treatment is treatment


@pytest.mark.parametrize("endpoint", ["send", "token"])
@pytest.mark.parametrize("errcode", [code for code, _ in pairs(SEND) + pairs(TOKEN)])
def test_every_entry_is_whole(errcode: int, endpoint: str) -> None:
    """Each entry has its own code, words to show, and a pause exactly where something pauses."""
    info = describe(errcode, endpoint=endpoint)
    assert info.errcode == errcode
    assert str(info.cause)
    assert str(info.next_step)
    assert (info.pause is not None) == (info.treatment in PAUSING)


def test_what_wechat_says_wrongly_of_people_is_to_be_confirmed() -> None:
    """40003, 43004 and -41000 have been said of followers: ask before the binding is marked."""
    assert all(describe(code).to_be_confirmed for code in (40003, -41000))
    assert not any(
        describe(code).to_be_confirmed for code in (43004, 43101, 46004, 49003, 47003, 99999)
    )


def test_40001_means_two_things() -> None:
    """At the token endpoint 40001 is a wrong secret, elsewhere a stale token."""
    assert "secret" in str(describe(40001, endpoint="token").cause)
    assert "token" in str(describe(40001).cause)


@pytest.mark.parametrize(
    ("errcode", "endpoint", "pause"),
    [
        (45009, "send", Pause(next_day=True)),
        (45009, "token", Pause(next_day=True)),
        (45011, "send", Pause(seconds=60)),
        (40037, "send", UNTIL_CLEARED),
        (43116, "send", UNTIL_CLEARED),
        (40001, "send", UNTIL_CLEARED),
        (40001, "token", UNTIL_CLEARED),
        (40164, "token", UNTIL_CLEARED),
        (89506, "token", Pause(seconds=86400)),
        (89507, "token", Pause(seconds=3600)),
    ],
)
def test_pauses_last_as_long_as_wechat_says(errcode: int, endpoint: str, pause: Pause) -> None:
    """A pause ends when WeChat's own limit ends, or waits for a person where it has none."""
    assert describe(errcode, endpoint=endpoint).pause == pause


@given(st.integers())
def test_any_code_has_an_answer(errcode: int) -> None:
    """Whatever number WeChat invents, describe() has an entry for it."""
    assert describe(errcode).errcode == errcode
    assert describe(errcode, endpoint="token").errcode == errcode


def test_unknown_code_fails_its_row_only() -> None:
    """A code nobody documents fails the row for good: nothing loops on it."""
    info = describe(99999)
    assert (info.treatment, info.pause) == (Treatment.FAIL, None)


def test_unknown_token_code_rests_the_account() -> None:
    """A code nobody documents at the token endpoint blames no row: the account rests a while."""
    info = describe(99999, endpoint="token")
    assert (info.treatment, info.pause) == (Treatment.ACCOUNT, Pause(seconds=600))


@pytest.mark.parametrize(
    ("errmsg", "ip"),
    [
        ("invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist", "203.0.113.9"),
        ("invalid ip 203.0.113.9, not in whitelist", "203.0.113.9"),
        ("invalid ip (203.0.113.9).", "203.0.113.9"),
        ("invalid ip 2001:db8::17, not in whitelist rid: 1-2-3", "2001:db8::17"),
        ("invalid ip ::1 not in whitelist", "::1"),
        ("invalid ip, not in whitelist rid: 65a0f3c1-0c2b5d1e-1f2e3d4c", ""),
        ("version 1.2.3.4.5 at 10:30:15", ""),
        ("999.999.999.999", ""),
        ("", ""),
    ],
)
def test_refused_ip_is_found(errmsg: str, ip: str) -> None:
    """The address that the whitelist lacks is read from the errmsg, whatever stands around it."""
    assert refused_ip(errmsg) == ip


@pytest.mark.parametrize(
    ("errmsg", "rid"),
    [
        (
            "invalid credential rid: 65a0f3c1-0c2b5d1e-1f2e3d4c",
            "65a0f3c1-0c2b5d1e-1f2e3d4c",
        ),
        ("rid:65a0f3c1-0c2b5d1e-1f2e3d4c, hint: x", "65a0f3c1-0c2b5d1e-1f2e3d4c"),
        ("ok", ""),
        ("the grid: abc", ""),
    ],
)
def test_request_id_is_found(errmsg: str, rid: str) -> None:
    """WeChat's rid is read from the errmsg, and nothing else is taken for one."""
    assert request_id(errmsg) == rid


@given(st.text())
def test_any_errmsg_can_be_read(errmsg: str) -> None:
    """No errmsg, however odd, breaks the reading of it."""
    assert isinstance(refused_ip(errmsg), str)
    assert isinstance(request_id(errmsg), str)


def test_exceptions_carry_words_and_no_secret() -> None:
    """An error says cause, next step and errcode; a token that WeChat echoed is taken out."""
    error = wechat_error(48001, "api unauthorized access_token=SECRET rid: 1a-2b-3c")
    assert str(error).startswith("This account may not send template messages.")
    assert str(error).endswith("(errcode 48001)")
    assert error.rid == "1a-2b-3c"
    assert "SECRET" not in f"{error!r} {error} {error.errmsg}"


def test_token_error_names_the_refused_address() -> None:
    """40164 comes with the address to put on the whitelist."""
    error = token_error(40164, "invalid ip 203.0.113.9, not in whitelist rid: 1-2-3")
    assert (error.ip, error.rid, error.errcode) == ("203.0.113.9", "1-2-3", 40164)
