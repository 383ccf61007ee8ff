from django.contrib import admin

from .models import Leave, Membership, School


@admin.register(School)
class SchoolAdmin(admin.ModelAdmin):
    search_fields = ["name"]


@admin.register(Membership)
class MembershipAdmin(admin.ModelAdmin):
    list_display = ["user", "school", "may_approve"]
    list_filter = ["school", "may_approve"]
    list_select_related = ["user", "school"]
    search_fields = ["user__username", "user__first_name", "user__last_name"]


@admin.register(Leave)
class LeaveAdmin(admin.ModelAdmin):
    list_display = ["applicant", "school", "kind", "start", "end", "status"]
    list_filter = ["status", "kind", "school"]
    list_select_related = ["applicant", "school"]
    date_hierarchy = "start"
