"""``manage.py wechat_rules``: which rules are there, and what would one have sent?"""

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Max
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from ....diagnosis.finding import local
from ...admin.states import LABELS, OFF, STOPPED, state_of
from ...models import Firing, Rule
from ...outcome import Outcome, outcome, recent_objects
from ...ready import in_one_line
from ...sentence import names_in, sentence

MOST_NAMED = 20


def number(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number, 1 or more")
    return int(text)


class Command(BaseCommand):
    help = (
        "Lists the rules, or shows what one of them would send for the newest objects of its "
        "model, as they are now. Writes nothing and sends nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("rule", nargs="?", help="Its name, or its number.")
        parser.add_argument(
            "--last", type=number, default=20, metavar="N", help="So many objects; 20."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["rule"] is None:
            self._list()
        else:
            self._try(_named(options["rule"]), options["last"])

    def _list(self) -> None:
        rules = list(Rule.objects.order_by("name"))
        fired = Firing.objects.order_by().values_list("rule").annotate(Max("fired_at"))
        last = dict(fired)
        if not rules:
            self.stdout.write(_("There are no rules yet."))
        names = names_in(rules)
        for rule in rules:
            when = _("last %s") % local(last[rule.pk]) if rule.pk in last else _("never yet")
            state = state_of(rule)
            style = self.style.ERROR if state == STOPPED else self.style.SUCCESS
            shown = str(LABELS[state]) if state == OFF else style(str(LABELS[state]))
            self.stdout.write(f"{rule.pk}  {rule.name}  {shown}  {when}")
            self.stdout.write(f"    {sentence(rule, names)}")
            if state == STOPPED:
                self.stdout.write(f"    {rule.stopped_because}")

    def _try(self, rule: Rule, most: int) -> None:
        self.stdout.write(f"{rule.name}  {sentence(rule)}")
        try:
            objects = recent_objects(rule.model, most)
        except LookupError as error:
            raise CommandError(_("Rules may not see “%s”.") % rule.model) from error
        try:
            found = [(one, outcome(rule, one, most=MOST_NAMED)) for one in objects]
        except ValidationError as error:
            raise CommandError(in_one_line(error)) from error
        for instance, its in found:
            self.stdout.write(f"{instance.pk}  {instance}  {_in_words(its)}")
            for person in its.people:
                mark = (
                    self.style.WARNING(person.problem)
                    if person.problem
                    else "  ".join(person.data.values())
                )
                self.stdout.write(f"    {person.name}  {mark}")
            if more := its.people_count - len({person.user.pk for person in its.people}):
                self.stdout.write("    " + ngettext("%d more", "%d more", more) % more)
        matching = sum(its.matches for _one, its in found)
        text = ngettext(
            "It would tell of %(count)d of %(all)d objects, as they are now.",
            "It would tell of %(count)d of %(all)d objects, as they are now.",
            matching,
        )
        self.stdout.write(text % {"count": matching, "all": len(found)})


def _named(name: str) -> Rule:
    found = Rule.objects.filter(name=name).first()
    if found is None and name.isascii() and name.isdigit() and len(name) < 19:
        found = Rule.objects.filter(pk=int(name)).first()
    if found is None:
        raise CommandError(_("There is no rule “%s”.") % name)
    return found


def _in_words(its: Outcome) -> str:
    if not its.matches:
        return pgettext("a rule and an object", "no") + " · " + its.why_not
    return its.url or pgettext("a rule and an object", "yes")
