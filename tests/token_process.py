"""Several processes that need the access token at the same moment.

Run with ``python -m tests.token_process`` and one JSON argument: ``url``, ``app_id``,
``app_secret``, ``cache`` (an entry of CACHES), ``database`` (an entry of DATABASES), ``processes``,
``threads`` a process, ``messages`` a thread and the ``openid`` they go to. Says "ready", waits for
a line on standard input, sends, and prints the outcomes as JSON.
"""

import json
import multiprocessing
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django
from django.conf import settings

forks = multiprocessing.get_context("fork")  # as an application server's that has loaded the site


def main(job: dict[str, Any]) -> None:
    settings.configure(CACHES={"default": job["cache"]}, DATABASES={"default": job["database"]})
    django.setup()
    import wechat_notify.wechat.client  # noqa: F401 - once, for all of them

    started, outcomes = forks.Event(), forks.SimpleQueue()
    for _ in range(job["processes"]):
        forks.Process(target=work, args=(job, started, outcomes), daemon=True).start()
    print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()
    started.set()
    print(json.dumps([one for _ in range(job["processes"]) for one in outcomes.get()]))  # noqa: T201


def work(job: dict[str, Any], started: Any, outcomes: Any) -> None:
    from django.core.cache import caches
    from django.utils.connection import ConnectionProxy

    from wechat_notify.sandbox import samples
    from wechat_notify.types import TemplateMessage
    from wechat_notify.wechat.client import WeChatClient
    from wechat_notify.wechat.transport import Transport

    client = WeChatClient(
        Transport(job["url"], timeout=(60, 60), pool_size=job["threads"]),
        app_id=job["app_id"],
        app_secret=job["app_secret"],
        cache=ConnectionProxy(caches, "default"),
    )
    data = {
        "thing1": {"value": "家长开放日"},
        "time2": {"value": "2026年11月28日 09:00"},
        "thing3": {"value": "报告厅"},
        "phone_number4": {"value": "0766-66888866"},
    }
    message = TemplateMessage(job["openid"], samples.APPOINTMENT_TEMPLATE_ID, data)

    def send(_: int) -> list[str]:
        results = [client.send_template(message) for _ in range(job["messages"])]
        return [f"{result.outcome.value} {result.errcode}" for result in results]

    started.wait()
    with ThreadPoolExecutor(job["threads"]) as pool:
        outcomes.put([one for some in pool.map(send, range(job["threads"])) for one in some])


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
