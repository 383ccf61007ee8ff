"""A second template for the messages of the crash tests, with other keys in another order."""

NAMES = {"order_no": "character_string1", "title": "thing2"}
SPARE_CONTENT = "商品名称：{{thing7.DATA}}\n订单编号：{{character_string9.DATA}}"
SPARE_NAMES = {"title": "thing7", "order_no": "character_string9"}
