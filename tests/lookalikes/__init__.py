"""The tables of other packages, as far as openids are read from them.

Columns and names are those of django-allauth 65, social-auth-app-django 5 and wechat-django 0.4,
the last of which does not run on a Django of today.
"""
