"""The site's WSGI application, as gunicorn and uWSGI load it.

It has sent some messages by the time it is loaded, as a site does that checks itself at the start:
where the server forks afterwards, connections to WeChat are open.
"""

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()

from django.db import connections  # noqa: E402

from tests.factories import ORDER, openid  # noqa: E402
from tests.sizes import WARM_UP  # noqa: E402
from wechat_notify.services import notify  # noqa: E402

notify([openid(number) for number in WARM_UP], "order_paid", ORDER)
connections.close_all()  # each process needs its own, as Django's documentation says
