"""QR codes as pictures. They are drawn here, so that no image host learns who is about to bind.

It needs the extra ``qr``; whoever can do without a picture asks ``can_draw()`` first.
"""

import io

from ..exceptions import ConfigurationError

try:
    import segno
except ImportError:
    segno = None  # type: ignore[assignment]

PIXELS_PER_MODULE = 12
# What is around a code must be light for this many of its modules, or a camera does not find it.
QUIET_ZONE = 2


def can_draw() -> bool:
    """Whether the extra ``qr`` is installed."""
    return segno is not None


def require() -> None:
    """Raises ``ConfigurationError`` where nothing can be drawn."""
    if not can_draw():
        raise ConfigurationError(
            'QR codes for binding need segno: pip install "django-wechat-notify[qr]".'
        )


def png(content: str) -> bytes:
    """A code that holds ``content``, for screens: WeChat recognises a PNG that is pressed long.

    Raises ``ConfigurationError`` without the extra.
    """
    require()
    picture = io.BytesIO()
    code = segno.make_qr(content, error="m")
    code.save(picture, kind="png", scale=PIXELS_PER_MODULE, border=QUIET_ZONE)
    return picture.getvalue()


def svg(content: str) -> str:
    """The same as an SVG element for a page, sharp at any size on paper. It has no inline style.

    Raises ``ConfigurationError`` without the extra.
    """
    require()
    code = segno.make_qr(content, error="m")
    drawn: str = code.svg_inline(border=QUIET_ZONE, omitsize=True, light="#fff")
    return drawn
