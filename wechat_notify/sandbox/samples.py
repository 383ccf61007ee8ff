"""What the sandbox has by default: an account, templates, followers."""

from .records import Template, User

APP_ID = "wxfake0000sandbox1"
APP_SECRET = "5a4db0c5a4db0c5a4db0c5a4db0c0000"
ACCOUNT_NAME = "阳光实验学校"

LEAVE_TEMPLATE_ID = "Lv3Qx7Rk2mTn9pWb5sYd8fHj1cGa4uEoZi6KwNqXyVt"
LEAVE_RESULT_TEMPLATE_ID = "Rs8Tf4Wn1kLq6xPb9vMd2gHj7cYa3uEoZi5KwNrXyQe"
ORDER_TEMPLATE_ID = "Or5Pd9Xk3nTq7mWb1sYf6hGj2cLa8uEvZi4KwNoRyVt"
APPOINTMENT_TEMPLATE_ID = "Ap2Yt6Nk8mRq4xWb7sVd1fHj9cGa5uEoZi3KwPnXyLe"


def templates() -> list[Template]:
    """The templates that a school with a shop might have registered. Ids are 43 characters long."""
    return [
        Template(
            LEAVE_TEMPLATE_ID,
            "请假审批提醒",
            "申请人：{{name1.DATA}}\n请假类型：{{const2.DATA}}\n开始时间：{{time3.DATA}}\n"
            "结束时间：{{time4.DATA}}\n请假事由：{{thing5.DATA}}",
            "申请人：李小明\n请假类型：事假\n开始时间：2026年11月24日 08:00\n"
            "结束时间：2026年11月25日 17:30\n请假事由：回老家参加婚礼",
            primary_industry="教育",
            deputy_industry="学历教育",
            choices={"const2": ("事假", "病假", "年假", "婚假", "产假", "丧假", "其他")},
        ),
        Template(
            LEAVE_RESULT_TEMPLATE_ID,
            "请假审批结果通知",
            "申请人：{{name1.DATA}}\n审批结果：{{phrase2.DATA}}\n审批人：{{name3.DATA}}\n"
            "审批时间：{{time4.DATA}}\n备注：{{thing5.DATA}}",
            "申请人：李小明\n审批结果：已同意\n审批人：王老师\n"
            "审批时间：2026年11月23日 15:01\n备注：注意安全",
            primary_industry="教育",
            deputy_industry="学历教育",
        ),
        Template(
            ORDER_TEMPLATE_ID,
            "订单支付成功通知",
            "订单编号：{{character_string1.DATA}}\n商品名称：{{thing2.DATA}}\n"
            "支付金额：{{amount3.DATA}}\n支付时间：{{time4.DATA}}",
            "订单编号：20261123150100001\n商品名称：秋季校服一套\n"
            "支付金额：39.80元\n支付时间：2026年11月23日 15:01",
            primary_industry="商业服务",
            deputy_industry="网上购物",
        ),
        Template(
            APPOINTMENT_TEMPLATE_ID,
            "预约成功通知",
            "预约项目：{{thing1.DATA}}\n预约时间：{{time2.DATA}}\n预约地点：{{thing3.DATA}}\n"
            "联系电话：{{phone_number4.DATA}}",
            "预约项目：家长开放日\n预约时间：2026年11月28日 09:00~11:30\n"
            "预约地点：图书馆二楼报告厅\n联系电话：0766-66888866",
            primary_industry="教育",
            deputy_industry="培训",
        ),
    ]


def users() -> list[User]:
    """Followers, and one person who has stopped following."""
    return [
        User("oSandbox-wang-laoshi-000000001", "王老师"),
        User("oSandbox-chen-zhuren-000000002", "陈主任"),
        User("oSandbox-li-xiaoming-000000003", "李小明"),
        User("oSandbox-zhang-mama--000000004", "张妈妈"),
        User("oSandbox-zhou-tongxue-00000005", "周同学", subscribed=False),
    ]
