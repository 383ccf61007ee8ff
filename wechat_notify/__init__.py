"""WeChat Official Account template messages for Django. Start at ``wechat_notify.services``."""

__version__ = "0.1.0"
