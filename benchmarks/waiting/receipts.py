"""How long the last receipts of a batch wait until they are joined, where no worker runs."""

import http.client
import time
from urllib.parse import urlencode

from tests.wechat_posts import post, receipt

from ..api import Api
from ..tasks import openid
from .load import get
from .served import gunicorn

MESSAGES = 300
PATIENCE = 60.0


def measure(api: Api, database: str) -> float:
    """Seconds from the last receipt's answer until every message has its receipt."""
    with gunicorn(api, database, dispatcher="worker") as port:
        get(port, f"accepted/{MESSAGES}/")
        _post_receipts(port)
        answered = time.monotonic()
        while get(port, "without_receipt/") != "0":
            if time.monotonic() - answered > PATIENCE:
                return PATIENCE
            time.sleep(0.05)
        return time.monotonic() - answered


def _post_receipts(port: int) -> None:
    """One for each message, as fast as the site answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for number in range(1, MESSAGES + 1):
        request = post(receipt(openid(number), number))
        path = f"/wechat/default/callback/?{urlencode(request.query)}"
        connection.request("POST", path, request.body, {"Content-Type": "text/xml"})
        answer = connection.getresponse()
        if answer.read() != b"success":
            raise RuntimeError(f"A receipt was answered with {answer.status}.")
    connection.close()
