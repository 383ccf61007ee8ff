"""How the app is doing, account by account, in plain words with what to do about it.

``manage.py wechat_doctor`` prints this. It looks and asks, and changes nothing, except that asking
WeChat fetches an access token where there is none.

What nobody has seen is never reported as ok.
"""
