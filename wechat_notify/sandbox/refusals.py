"""How WeChat refuses: an errcode and a few words, in a reply that is HTTP 200."""

# The wording is the usual one of each code, for people who read logs. Nothing may depend on it:
# it changes with the years (docs/wechat-api.md, 0).
ERRMSGS = {
    -1: "system error",
    40001: "invalid credential, access_token is invalid or not latest",
    40002: "invalid grant_type",
    40003: "invalid openid",
    40013: "invalid appid",
    40014: "invalid access_token",
    40029: "invalid code",
    40035: "invalid parameter",
    40036: "invalid template_id size",
    40037: "invalid template_id",
    40039: "invalid url size",
    40052: "invalid action name",
    40053: "invalid action info",
    40125: "invalid appsecret",
    40163: "code been used",
    40164: "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist",
    40241: "message is duplicate in 60 seconds",
    40243: "AppSecret has been frozen",
    40246: "keyword list missing or unknown",
    40247: "must use a template of the category library",
    40249: "this template msg has been blocked for illegal content",
    41001: "access_token missing",
    41002: "appid missing",
    41004: "appsecret missing",
    41008: "missing code",
    42001: "access_token expired",
    42003: "code expired",
    43001: "require GET method",
    43002: "require POST method",
    43004: "require subscribe",
    43019: "require remove blacklist",
    43101: "user refuse to accept the msg",
    43116: "This template_id is banned",
    43117: "Sending messages to this openid too frequently, please try later",
    44002: "empty post data",
    45009: "reach max api daily quota limit",
    45011: "api minute-quota reach limit, must slower, retry next minute",
    45026: "template num exceeds limit",
    47001: "data format error",
    47003: "argument invalid!",
    48001: "api unauthorized",
    50002: "user limited",
    50004: "forbidden to use token api",
    50007: "account frozen",
    76003: "rid not found",
    76021: "cgi_path not found",
    89503: "this ip needs the administrator's confirmation",
    89506: "this ip was refused by the administrator, retry after 24 hours",
    89507: "this ip was refused by the administrator, retry after 1 hour",
}


class Refusal(Exception):
    """An endpoint says no."""

    def __init__(self, errcode: int, errmsg: str = "") -> None:
        self.errcode = errcode
        self.errmsg = errmsg or ERRMSGS.get(errcode, "refused")
        super().__init__(errcode, self.errmsg)
