"""What WeChat tells the account, once it is known to be WeChat."""
