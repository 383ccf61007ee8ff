"""A table with one row a person: recipients and what each of them gets, in one go."""

import csv
import io
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from tests import factories
from tests.admin_pages import text, told
from tests.compose_pages import (
    CONTENT,
    address,
    composer,
    errors,
    filled,
    hidden_inputs,
    names,
    person,
    review,
    send,
)
from wechat_notify.admin.compose import table_text
from wechat_notify.admin.compose.table_columns import person_headings, understand_columns
from wechat_notify.admin.compose.table_text import (
    MOST_BYTES,
    MOST_ROWS,
    Row,
    UnreadableTable,
    decode,
    read,
)
from wechat_notify.models import MessageTemplate, Notification, RecipientFilter, SendLog

STRANGER = "oStranger-0123456789abcdefgh"


@pytest.fixture(autouse=True)
def school(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.compose_site"


@pytest.fixture
def template(db: None) -> MessageTemplate:
    return factories.make_template(content=CONTENT, field_names={"amount": "amount2"})


@pytest.fixture
def people(db: None) -> dict[str, Any]:
    made = [
        person("alice", 1, last_name="王", first_name="芳", email="Alice@school.example"),
        person("bob", 2, last_name="李", first_name="四"),
        person("carol", 3, last_name="陈", first_name="静"),
        person("dave", 4, last_name="陈", first_name="静"),
        person("gone", 5, subscribed=False),
        person("hidden1", 6, last_name="秘", first_name="密"),
    ]
    return {user.username: user for user in made}


def values(field: str = "thing1") -> dict[str, str]:
    """What each recipient gets in this field."""
    logs = SendLog.objects.filter(status="pending").select_related("user")
    return {
        log.user.username if log.user else log.openid: log.merged_data[field]["value"]
        for log in logs
    }


# -- reading ----------------------------------------------------------------------------------


cell = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)


@given(
    st.lists(st.lists(cell, min_size=2, max_size=2), min_size=1, max_size=6),
    st.sampled_from(["\t", ",", ";"]),
    st.sampled_from(["utf-8", "utf-8-sig", "gb18030", "utf-16"]),
)
def test_whatever_a_spreadsheet_writes_is_read_again(
    rows: list[list[str]], delimiter: str, encoding: str
) -> None:
    """Quotes, line breaks and delimiters within cells, in each encoding."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(["用户名", "商品名称"])
    writer.writerows(rows)
    found = read(decode(out.getvalue().encode(encoding)))
    expected = [tuple(text.strip() for text in row) for row in rows]
    assert found.headings == ("用户名", "商品名称")
    assert [row.cells for row in found.rows] == [row for row in expected if any(row)]


def test_the_number_of_a_line_is_that_of_the_file() -> None:
    """Empty lines and line breaks within cells count, as in an editor."""
    found = read('用户名,商品\r\n\r\nalice,"一\r\n二"\r\n,,\r\nbob,三\r\n')
    assert found.rows == (Row(3, ("alice", "一\r\n二")), Row(6, ("bob", "三")))


@pytest.mark.parametrize("delimiter", ["\t", ",", ";", "，", "；"])
def test_what_stands_between_the_cells(delimiter: str) -> None:
    """Whatever the first line has most of; the same sign in a cell is text."""
    found = read(f"用户名{delimiter}商品{delimiter}\nalice{delimiter}a|b{delimiter}\n")
    assert found.headings == ("用户名", "商品")
    assert found.rows[0].cells[:2] == ("alice", "a|b")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"PK\x03\x04xl", "This is a workbook. Save it as CSV"),
        (b"\xd0\xcf\x11\xe0", "This is a workbook. Save it as CSV"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "This is no text file"),
        (b"a" * (MOST_BYTES + 1), "It is larger than 2.0\xa0MB."),
    ],
)
def test_files_that_are_no_table(raw: bytes, said: str) -> None:
    """Said in words that help, before anything is read from them."""
    with pytest.raises(UnreadableTable, match=said):
        decode(raw)


@pytest.mark.parametrize(
    ("given_text", "said"),
    [
        ("\n \n", "It is empty."),
        ('用户名,商品\nalice,"x\n', "Line 2 cannot be read: a quotation mark is missing"),
        ("用户名\n" + "x\n" * (MOST_ROWS + 1), "It has more than 5000 rows."),
        ("用户名\n" + "很" * MOST_BYTES, "It is larger than 2.0\xa0MB."),
        ("," * 100, "It is empty."),
        (",".join("x" * 101), "It has more than 100 columns."),
    ],
)
def test_texts_that_are_no_table(given_text: str, said: str) -> None:
    """What is wrong with the whole of it."""
    with pytest.raises(UnreadableTable, match=said):
        read(given_text)


# -- whom a row means -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("用户名\t商品\nalice\t甲\nbob\t乙", {"alice": "甲", "bob": "乙"}),
        ("Username,thing1\nalice,甲", {"alice": "甲"}),
        ("user_name,商品：\nalice,甲", {"alice": "甲"}),
        ("E-Mail;商品\nalice@SCHOOL.example;甲", {"alice": "甲"}),
        (f"OpenID,商品\n{factories.openid(1)},甲\n{STRANGER},乙", {"alice": "甲", STRANGER: "乙"}),
        ("姓名,商品\n王芳,甲", {"alice": "甲"}),
        ("学号,商品\n王,甲", {"alice": "甲"}),
        ("\t用户名\t商品\n1\talice\t甲", {"alice": "甲"}),
        ("姓名,商品\n王　芳,甲\n李 四,乙", {"alice": "甲", "bob": "乙"}),
        ("openid,用户名,商品\n,alice,甲\n,bob,乙", {"alice": "甲", "bob": "乙"}),
        ("商品,备注,用户名,,\n甲,x,alice,,", {"alice": "甲"}),
        ("用户名,商品\n gone ,甲\nbob,乙", {"bob": "乙"}),
    ],
)
def test_a_row_finds_its_person(
    template: MessageTemplate, people: Any, table: str, expected: dict[str, str]
) -> None:
    """By openid, user name, e-mail, full name or what the site declares; fields by label or key."""
    response = send(composer(), filled(template, table=table, value_thing1=""))
    assert response.status_code == 302, errors(response)
    assert values() == expected


def test_columns_by_the_names_that_code_uses(template: MessageTemplate, people: Any) -> None:
    """A template's own field names are headings too."""
    form = filled(template, table="用户名,amount\nalice,12元", value_amount2="")
    send(composer(), form)
    assert values("amount") == {"alice": "12元"}


def test_a_name_that_is_also_a_field(people: Any) -> None:
    """姓名 may name the person and be shown to them; beside a surer column it is a field alone."""
    own = factories.make_template("own", content="姓名：{{thing1.DATA}}")
    form = {"template": own.pk, "value_thing1": "", "when": "now"}
    send(composer(), {**form, "table": "姓名\n王芳"})
    assert values() == {"alice": "王芳"}
    SendLog.objects.all().delete()
    send(composer(), {**form, "table": "姓名,用户名\n孩子,bob"})
    assert values() == {"bob": "孩子"}


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_the_headings_that_the_form_offers_are_understood(language: str) -> None:
    """Each of them names people, in whatever language it is shown."""
    declared = {"学号": "last_name"}
    with translation.override(language):
        ways = [
            understand_columns([heading], MessageTemplate(), declared).people[0][1]
            for heading in person_headings(declared)
        ]
    assert ways == ["openid", "last_name", "username", "email", "full name"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            "商品,金额\n甲,1元",
            "No column names a person. The first line needs one of these: openid",
        ),
        ("用户名,商品,thing1\nalice,甲,乙", "These columns are for the same field: 商品, thing1."),
        ('用户名,商品\nalice,"甲', "Line 2 cannot be read"),
        ("用户名,商品\nnobody,甲\n", "No row can be used. Line 2: “nobody” is not known"),
        ("用户名,商品\n", "No row can be used."),
        ("用户名\n" + "x\n" * (MOST_ROWS + 1), "more than 5000 rows"),
    ],
)
def test_tables_of_which_nothing_can_be_used(
    template: MessageTemplate, people: Any, table: str, said: str
) -> None:
    """Said beside the input, where everything that was typed still stands."""
    response = review(composer(), filled(template, table=table))
    assert said in errors(response)["table"]
    assert 'value="39.80元"' in text(response)
    assert table.partition("\n")[0] in text(response)
    assert not Notification.objects.exists()


# -- what each of them gets -------------------------------------------------------------------


def test_an_empty_cell_takes_what_is_written_above(template: MessageTemplate, people: Any) -> None:
    """A text, or a placeholder; a cell that is filled in wins over both."""
    table = "用户名,商品,金额\nalice,,1元\nbob,乙,"
    form = filled(template, table=table, value_thing1="{{ user.last_name }}女士")
    send(composer(), form)
    assert values() == {"alice": "王女士", "bob": "乙"}
    assert values("amount") == {"alice": "1元", "bob": "39.80元"}


def test_people_beside_the_table_get_what_is_written_above(
    template: MessageTemplate, people: Any
) -> None:
    """Recipients of all kinds add up."""
    form = filled(template, people["carol"], table="用户名,商品\nalice,甲")
    send(composer(), form)
    assert values() == {"alice": "甲", "carol": "围巾"}


def test_a_person_who_is_chosen_twice(template: MessageTemplate, people: Any) -> None:
    """By the table and by hand: one message, with the row's value."""
    send(composer(), filled(template, people["alice"], table="用户名,商品\nalice,甲"))
    assert values() == {"alice": "甲"}


def test_a_cell_is_text_and_no_placeholder(template: MessageTemplate, people: Any) -> None:
    """What a table says is sent as it is or refused; it reads nothing of a user."""
    form = filled(template, table="用户名,商品\nalice,{{ user.password }}\nbob,乙")
    send(composer(), form)
    assert all("pbkdf2" not in str(log.data) for log in SendLog.objects.all())


# -- rows that are wrong ----------------------------------------------------------------------

WRONG = (
    "用户名,商品,金额\n"
    "alice,甲,1元\n"
    "nobody,乙,2元\n"
    "hidden1,丙,3元\n"
    "alice,丁,4元\n"
    ",戊,5元\n"
    "bob,己,6元,7元\n"
    f"carol,{'很' * 21},8元\n"
    "dave,庚,9元\n"
    "gone,辛,10元\n"
)


def test_wrong_rows_are_listed_and_the_others_can_be_sent(
    template: MessageTemplate, people: Any
) -> None:
    """With line number and reason; whoever is known is recorded as skipped."""
    client = composer("view_notification")
    form = filled(template, table=WRONG, value_thing1="", value_amount2="")
    asked = review(client, form)
    shown = text(asked)
    for line in (
        "Line 3: “nobody” is not known",
        "Line 4: “hidden1” is not known",
        "Line 5: “alice” is the same person as in line 2",
        "Line 6: “” names nobody",
        "Line 7: “bob” has more cells than the first line",
        "<b>Line 8: 陈静</b> 商品: must be at most 20 characters; this has 21",
    ):
        assert line in shown
    assert "5 rows of the table cannot be used." in shown
    assert "1 person would get a value that WeChat refuses." in shown
    assert 'name="_send"' not in shown
    left = client.post(address(), {**hidden_inputs(asked), "_leave_out": "1"})
    assert "5 people do not get it: Their row in the table cannot be used." in text(left)
    assert "Send 2 messages now" in text(left)
    client.post(address(), {**hidden_inputs(left), "_send": "1"})
    assert values() == {"alice": "甲", "dave": "庚"}
    skipped = SendLog.objects.filter(status="skipped")
    assert names(skipped) == ["carol", "gone"]
    assert "at most 20 characters" in skipped.get(user=people["carol"]).errmsg


def test_wrong_rows_are_not_sent_without_a_word(template: MessageTemplate, people: Any) -> None:
    """The button of a page without them does not count for a table that has them."""
    client = composer()
    page_ = review(client, filled(template, table="用户名,商品\nalice,甲"))
    answer = {**hidden_inputs(page_), "table": "用户名,商品\nalice,甲\nnobody,乙", "_send": "1"}
    shown = text(client.post(address(), answer))
    assert "1 row of the table cannot be used." in shown
    assert not Notification.objects.exists()


def test_openids_that_are_none(template: MessageTemplate, people: Any) -> None:
    """A short word is no openid, and one of somebody who may not be seen is not known."""
    table = f"openid,商品\nshort,甲\n{factories.openid(6)},乙\n{factories.openid(1)},丙"
    shown = text(review(composer(), filled(template, table=table)))
    assert "Line 2: “short” is not known" in shown
    assert f"Line 3: “{factories.openid(6)}” is not known" in shown
    assert "2 rows of the table cannot be used." in shown


def test_a_name_that_several_people_have(template: MessageTemplate, people: Any) -> None:
    """Nobody gets another person's message."""
    shown = text(review(composer(), filled(template, table="姓名,商品\n陈静,甲\n王芳,乙")))
    assert "Line 2: “陈静” is the name of several people" in shown


def test_what_the_columns_mean_is_said(template: MessageTemplate, people: Any) -> None:
    """Before it is sent: which field each fills, and which mean nothing here."""
    shown = text(review(composer(), filled(template, table="序号,用户名,thing1\n1,alice,甲")))
    assert "Table: 1 row is used" in shown
    assert "Columns: thing1 → 商品" in shown
    assert "Columns that mean nothing here: 序号" in shown


def test_cards_are_those_of_people_who_get_one(template: MessageTemplate, people: Any) -> None:
    """Not of somebody whose value is refused."""
    table = f"用户名,商品\nalice,{'很' * 21}\nbob,乙"
    cards = text(review(composer(), filled(template, table=table))).partition("preview")[2]
    assert "As 李四 (bob) sees it" in cards
    assert "很" not in cards


def test_a_table_is_text(template: MessageTemplate, people: Any) -> None:
    """Nothing in it becomes HTML, on whatever page."""
    evil = "<script>alert(1)</script>"
    client = composer()
    table = f"用户名,商品,{evil}\nalice,{evil},x\n{evil},乙,x"
    for response in (
        review(client, filled(template, table=table)),
        client.post(address(), {**filled(template, table=table), "_edit": "1"}),
        review(client, filled(template, table=f"用户名,商品\n{evil},x")),
        client.post(address(), {**filled(template, table=table), "_templates": "1"}),
    ):
        assert "<script>alert" not in text(response)


# -- a file -----------------------------------------------------------------------------------


def uploaded(raw: bytes, name: str = "list.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, raw, content_type="text/csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_a_file_is_sent_through_all_pages(
    template: MessageTemplate, people: Any, encoding: str
) -> None:
    """Its text goes on from the review as any other input; the file is asked for once."""
    raw = "用户名,商品\r\nalice,羊毛围巾\r\nbob,手套\r\n".encode(encoding)
    client, form = composer(), filled(template, value_thing1="")
    asked = client.post(address(), {**form, "table_file": uploaded(raw), "_review": "1"})
    client.post(address(), {**hidden_inputs(asked), "_send": "1"})
    assert values() == {"alice": "羊毛围巾", "bob": "手套"}


def test_a_file_that_is_no_table_keeps_what_is_filled_in(
    template: MessageTemplate, people: Any
) -> None:
    """The page says why, and everything else stands there."""
    form = {**filled(template, people["alice"]), "_review": "1"}
    response = composer().post(address(), {**form, "table_file": uploaded(b"PK\x03\x04")})
    assert "The file cannot be used. This is a workbook." in told(response)
    assert 'value="围巾"' in text(response)


def test_the_text_of_a_file_stands_in_the_form(template: MessageTemplate, people: Any) -> None:
    """After an error elsewhere it is there to be corrected, instead of a pasted one."""
    raw = "用户名,商品\nalice,甲".encode("gb18030")
    form = filled(template, value_amount2="很贵", table="x")
    response = composer().post(address(), {**form, "table_file": uploaded(raw), "_review": "1"})
    assert list(errors(response)) == ["value_amount2"]
    assert "用户名,商品\nalice,甲</textarea>" in text(response)


def test_another_template_keeps_the_table(template: MessageTemplate, people: Any) -> None:
    """It travels through the choice."""
    form = filled(template, table="用户名,商品\nalice,甲")
    chosen = composer().post(address(), {**form, "_templates": "1"})
    assert 'name="table" value="用户名,商品\nalice,甲"' in text(chosen)


# -- beside ------------------------------------------------------------------------------------


def test_the_card_shows_a_persons_own_row(template: MessageTemplate, people: Any) -> None:
    """While typing and on the last page; a test to oneself has the values of the first row."""
    client = composer("view_notification")
    me = client.get(address()).wsgi_request.user
    factories.make_binding(me, 9)
    form = filled(template, table="用户名,商品\nbob,乙\nalice,甲", value_thing1="")
    answer = client.post(address("compose_preview"), form).json()
    assert "甲</dd>" in answer["card"]
    assert "(alice) sees it" in answer["person"]
    assert answer["fields"]["thing1"]["error"] == ""
    asked = review(client, form)
    assert "As 李四 (bob) sees it" in text(asked)
    response = client.post(address(), {**hidden_inputs(asked), "_test": "1"})
    assert "A test is on its way to you" in told(response)
    assert values() == {"clerk": "乙"}


def test_saved_recipients_keep_whom_a_table_meant(template: MessageTemplate, people: Any) -> None:
    """The people, without what they were to get."""
    client = composer("view_recipientfilter", "add_recipientfilter")
    form = filled(template, table=f"openid,用户名\n{STRANGER},\n,alice", saved_as="二班")
    client.post(address(), {**form, "_save_recipients": "1"})
    criteria = RecipientFilter.objects.get().criteria
    assert criteria == {"users": [str(people["alice"].pk)], "openids": [STRANGER]}


def test_five_thousand_rows(
    template: MessageTemplate, django_assert_max_num_queries: Any, people: Any
) -> None:
    """The most that a table may have goes from the review to the send log, in few queries."""
    factories.make_bindings(MOST_ROWS, first=100)
    rows = [f"user{number},第{number}号羊毛围巾一条" for number in range(100, 100 + MOST_ROWS)]
    raw = "\n".join(["用户名,商品", *rows]).encode("gb18030")
    client, form = composer("view_notification"), filled(template, value_thing1="")
    with django_assert_max_num_queries(70):
        asked = client.post(address(), {**form, "table_file": uploaded(raw), "_review": "1"})
    assert "Send 5000 messages now" in text(asked)
    with django_assert_max_num_queries(160):  # SQLite takes few rows in one statement
        client.post(address(), {**hidden_inputs(asked), "_send": "1"})
    assert SendLog.objects.filter(status="pending").count() == MOST_ROWS
    last = SendLog.objects.get(user__username=f"user{99 + MOST_ROWS}")
    assert last.data["thing1"] == {"value": f"第{99 + MOST_ROWS}号羊毛围巾一条"}


@pytest.mark.parametrize("limit", [2_621_440, 100_000])
def test_the_largest_table_fits_into_a_form(
    template: MessageTemplate, people: Any, settings: Any, limit: int
) -> None:
    """Django refuses a larger form, and the table is a part of each page's; a larger file is
    refused in words."""
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = limit
    client, form = composer(), filled(template, value_thing1="")
    head, row = "用户名,商品,备注\n", "alice,甲,"
    room = min(MOST_BYTES, limit * 4 // 5) - len((head + row).encode())
    raw = (head + row + "x" * min(room, 100_000)).encode()
    raw += b"\n" * (room - 100_000)
    asked = client.post(address(), {**form, "table_file": uploaded(raw), "_review": "1"})
    assert "Send 1 message now" in text(asked)
    response = client.post(address(), {**hidden_inputs(asked), "_send": "1"})
    assert response.status_code == 302
    raw += b" " * 100_000
    refused = client.post(address(), {**form, "table_file": uploaded(raw), "_review": "1"})
    assert "It is larger than" in told(refused)


def test_a_table_needs_no_more_rights_and_gives_none(
    template: MessageTemplate, people: Any
) -> None:
    """Who may not compose gets nowhere with a file either."""
    client = Client()
    client.force_login(factories.make_user("other", is_staff=True))
    form = {**filled(template), "table_file": uploaded(b"x"), "_review": "1"}
    assert client.post(address(), form).status_code == 403
    assert table_text.MOST_ROWS == 5_000
