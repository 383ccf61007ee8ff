"""Settings of the process that the receipt storm blows at: DATABASE_URL and CACHE_URL decide."""

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, WECHAT_NOTIFY
from tests.wechat_posts import TOKEN

DATABASES["default"]["CONN_MAX_AGE"] = None
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
    }
WECHAT_NOTIFY["ACCOUNTS"]["default"]["CALLBACK_TOKEN"] = TOKEN
