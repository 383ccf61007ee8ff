"""Settings of the processes that the crash tests start and kill, from the environment."""

from tests.settings import *  # noqa: F403
from tests.settings import CACHES, DATABASES, WECHAT_NOTIFY, env

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"].setdefault("OPTIONS", {})["timeout"] = 20

CACHES["default"] = env.cache_url("CRASH_CACHE_URL")
WECHAT_NOTIFY["ACCOUNTS"]["default"].update(
    BACKEND="wechat_notify.backends.wechat.WeChatBackend",
    APP_ID=env.str("CRASH_APP_ID"),
    APP_SECRET=env.str("CRASH_APP_SECRET"),
    API_BASE=env.str("CRASH_API_BASE"),
)
del WECHAT_NOTIFY["ACCOUNTS"]["other"]
WECHAT_NOTIFY.update(
    DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher",
    BATCH_SIZE=50,
    CONCURRENCY=4,
    TIMEOUT=(20, 20),
    LEASE=60,
    MAX_ATTEMPTS=100,  # a message may be with one killed worker after the other
)
