"""Settings of the process that the receipt storm blows at: DATABASE_URL and CACHE_URL decide."""

from tests.settings import *  # noqa: F403
from tests.settings import CACHES, DATABASES, WECHAT_NOTIFY
from tests.wechat_posts import TOKEN

DATABASES["default"]["CONN_MAX_AGE"] = None
# A site that expects storms has a cache with room for more than LocMem's usual 300 entries.
if CACHES["default"]["BACKEND"].endswith(".LocMemCache"):
    CACHES["default"].setdefault("OPTIONS", {})["MAX_ENTRIES"] = 100_000
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
    }
WECHAT_NOTIFY["ACCOUNTS"]["default"]["CALLBACK_TOKEN"] = TOKEN
