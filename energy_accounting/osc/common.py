# SPDX-License-Identifier: Apache-2.0
"""Options that several commands share, and what they mean.

The one place of the plugin that reads the clock and asks Keystone or Nova
for the ids behind names.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import itertools
import pathlib
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from osc_lib import exceptions
from osc_lib.command import command

from energy_accounting import client, units
from energy_accounting.osc import columns, progress, times

# What the API knows by the name that people know.
_AS_TYPED = ('site', 'region', 'boundary', 'host', 'account')
_SPLIT = re.compile(r'[,\s]+')
_YEAR = re.compile(r'\d{4}', re.ASCII)
_NAMES_SECONDS = 5
_MOST_NAMES = 10_000
_PAGE = 1000


def now() -> datetime.datetime:
    """The present, for words such as today."""
    return datetime.datetime.now(units.UTC)


def api(of: command.Command) -> client.Client:
    """The client that the plug-in made for this call."""
    manager: Any = of.app.client_manager
    return manager.energy


def add_period_options(parser: argparse.ArgumentParser) -> None:
    """``--start``, ``--end``, ``--month`` and ``--timezone``."""
    take_ago(parser)
    parser.add_argument(
        '--start', metavar='<time>',
        help=f'First moment of the period: {times.FORMS} (default: the '
             'start of the month)')
    parser.add_argument(
        '--end', metavar='<time>',
        help='End of the period, itself excluded; the same forms, a word '
             'or date meaning its first moment (default: now)')
    parser.add_argument(
        '--month', metavar='<month>',
        help='A calendar month (2026-11, this-month, last-month), instead '
             'of --start and --end')
    parser.add_argument(
        '--timezone', metavar='<zone>', default='UTC',
        help='Time zone of dates, words and calendar resolutions, as in '
             'the IANA database, e.g. Europe/Berlin (default: UTC)')


def add_as_of_option(parser: argparse.ArgumentParser) -> None:
    """``--as-of``, beside :func:`add_period_options`."""
    parser.add_argument(
        '--as-of', metavar='<time>',
        help='As it was known at this time, in the forms of --start: what '
             'was learnt or corrected later is not used (default: now)')


def as_of(parsed_args: argparse.Namespace) -> datetime.datetime | None:
    """The moment that ``--as-of`` means; None: now, or no such option.

    :raises exceptions.CommandError: it is no time.
    """
    text = getattr(parsed_args, 'as_of', None)
    if text in (None, 'now'):
        # Elsewhere "now" is the end of the quarter of an hour, which the
        # API does not know yet.
        return None
    try:
        return times.moment(text, zone(parsed_args), now())
    except ValueError as error:
        raise exceptions.CommandError(f'--as-of: {error}') from error


def take_ago(parser: argparse.ArgumentParser) -> None:
    """Let ``--start -24h`` be an option with its value.

    Of every command with a time: what is not understood there is refused
    by its name, and not as an option that nobody knows.
    """
    # argparse takes -24h for an option unless it looks like a number.
    parser._negative_number_matcher = re.compile(r'-\d')


def add_time_filters(parser: argparse.ArgumentParser,
                     *filters: tuple[str, str]) -> None:
    """Options that choose by time, for :func:`read_times`.

    :param filters: the name of each, and what it does.
    """
    take_ago(parser)
    for name, what in filters:
        parser.add_argument(f'--{name}', metavar='<time>',
                            help=f'{what}: {times.FORMS}')
    add_timezone_option(parser, 'UTC')


def add_timezone_option(parser: argparse.ArgumentParser,
                        default: str | None = None) -> None:
    """``--timezone``, of commands whose times :func:`read_times` reads.

    :param default: None where a time is recorded: what is kept for good is
        not meant in a zone that nobody said.
    """
    parser.add_argument(
        '--timezone', metavar='<zone>', default=default,
        help='Time zone of dates, words and times without an offset, as in '
             'the IANA database, e.g. Europe/Berlin (default: '
             f'{default or "none, and these are refused"})')


def read_times(parsed_args: argparse.Namespace, *names: str) -> None:
    """Put the moments that were meant in place of what was typed.

    :raises exceptions.CommandError: naming the option that is wrong.
    """
    for name in names:
        text = getattr(parsed_args, name)
        if text is not None:
            try:
                setattr(parsed_args, name, exact(text, parsed_args.timezone))
            except ValueError as error:
                option = name.replace('_', '-')
                raise exceptions.CommandError(
                    f'--{option}: {error}') from error


def exact(text: str, zone_name: str | None) -> str:
    """A time as the API takes it; with an offset, just as it was typed.

    :raises ValueError: it is none, or is meant in a zone that is not said.
    """
    try:
        if datetime.datetime.fromisoformat(text).tzinfo is not None:
            return text
    except ValueError:
        pass
    meant = now() if text == 'now' else times.moment(
        text, units.zone(zone_name or 'UTC'), now())
    if zone_name is None and times.is_of_a_zone(text):
        raise ValueError(
            f'{text} is another moment in each time zone: say in which with '
            '--timezone, such as Europe/Berlin, or give an ISO 8601 time '
            'with Z or an offset')
    return units.iso(meant)


def zone(parsed_args: argparse.Namespace) -> datetime.tzinfo:
    """The time zone that was named; :func:`period` has checked it."""
    return units.zone(parsed_args.timezone)


def period(parsed_args: argparse.Namespace) -> times.Period:
    """The period that the options mean.

    :raises exceptions.CommandError: naming the option that is wrong.
    """
    try:
        where = units.zone(parsed_args.timezone)
        if parsed_args.month is None:
            return times.period(parsed_args.start, parsed_args.end, where,
                                now())
        if parsed_args.start or parsed_args.end:
            raise ValueError('--month stands for --start and --end: give '
                             'one or the other')
        return times.month(parsed_args.month, where, now())
    except ValueError as error:
        raise exceptions.CommandError(str(error)) from error


def period_query(chosen: times.Period,
                 parsed_args: argparse.Namespace) -> dict[str, str]:
    """The period, and what it is looked at from, as query parameters."""
    known = as_of(parsed_args)
    return {'start': units.iso(chosen.start), 'end': units.iso(chosen.end),
            'timezone': parsed_args.timezone,
            **({} if known is None else {'as_of': units.iso(known)})}


def heading(chosen: times.Period, parsed_args: argparse.Namespace,
            complete_until: str | None = None) -> str:
    """The line that names the period above a table."""
    where = zone(parsed_args)
    line = (f'{times.spoken(chosen.start, where)} until '
            f'{times.spoken(chosen.end, where)} (excluded), '
            f'{parsed_args.timezone}')
    if complete_until:
        complete = datetime.datetime.fromisoformat(complete_until)
        line += f'; complete until {times.spoken(complete, where)}'
    if (known := as_of(parsed_args)) is not None:
        line += f'; as it was known at {times.spoken(known, where)}'
    return line


def add_closed_period(parser: argparse.ArgumentParser) -> None:
    """``--month`` or ``--year``, and ``--timezone``: what is closed."""
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument(
        '--month', metavar='<month>',
        help='A month, such as 2026-10, this-month or last-month')
    chosen.add_argument('--year', metavar='<year>',
                        help='A year, such as 2026')
    parser.add_argument(
        '--timezone', metavar='<zone>', default='UTC',
        help='Time zone of its days and edges, as in the IANA database, '
             'e.g. Europe/Berlin (default: UTC)')


def closed_period(parsed_args: argparse.Namespace) -> str:
    """The month or year of :func:`add_closed_period`, as the API has it.

    :raises exceptions.CommandError: naming the option that is wrong.
    """
    if parsed_args.year is None:
        return _month(parsed_args.month, parsed_args.timezone, '--month')
    if not _YEAR.fullmatch(parsed_args.year):
        raise exceptions.CommandError(
            f'--year: {parsed_args.year!r} is not a year: give one such as '
            '2026, or a month with --month')
    return str(parsed_args.year)


def period_filter(parsed_args: argparse.Namespace) -> str | None:
    """The month or year of ``--period``, in the zone of ``--timezone``."""
    text: str | None = parsed_args.period
    if text not in ('this-month', 'last-month'):
        return text
    return _month(text, parsed_args.timezone, '--period')


def _month(text: str, zone_name: str, option: str) -> str:
    try:
        where = units.zone(zone_name)
        start = times.month(text, where, now()).start
    except ValueError as error:
        raise exceptions.CommandError(f'{option}: {error}') from error
    return f'{start.astimezone(where):%Y-%m}'


def add_scope_options(parser: argparse.ArgumentParser) -> None:
    """Whose energy: ``--project``, ``--all-projects``, ``--server``."""
    scope = parser.add_mutually_exclusive_group()
    scope.add_argument(
        '--project', metavar='<project>',
        help='Project (name or ID) instead of your own (administrators)')
    scope.add_argument(
        '--all-projects', action='store_true',
        help='All projects (administrators)')
    add_project_domain_option(parser)
    parser.add_argument(
        '--server', metavar='<server>',
        help='Only this server (name or ID; the ID for a deleted one)')


def add_project_domain_option(parser: argparse.ArgumentParser) -> None:
    """``--project-domain``, beside an option that names a project."""
    parser.add_argument(
        '--project-domain', metavar='<project-domain>',
        help='Domain of the project (name or ID), where its name is not '
             'unique')


def add_filter_options(parser: argparse.ArgumentParser) -> None:
    """What else can be chosen by, beside :func:`add_scope_options`."""
    for name, what in (
            ('domain', 'projects of this domain (name or ID; '
                       'administrators and managers of it)'),
            ('flavor', 'servers of this flavor (name or ID)'),
            ('site', 'what was used at this site'),
            ('region', 'what was used in this region'),
            ('boundary', 'what was measured at this boundary: rapl or node'),
            ('host', 'what was used on this host (administrators)'),
            ('account', 'instance, service:NAME or unallocated '
                        '(administrators)'),
            ('user', 'servers of this user (name or ID; administrators, '
                     'where user IDs are kept)')):
        parser.add_argument(f'--{name}', metavar=f'<{name}>',
                            help=f'Only {what}')
    parser.add_argument(
        '--user-domain', metavar='<user-domain>',
        help='Domain of the user (name or ID), where its name is not unique')


def add_long_option(parser: argparse.ArgumentParser) -> None:
    """``--long``, of commands that show a list."""
    parser.add_argument(
        '--long', action='store_true',
        help='All columns in the table, too (json, csv and value always '
             'have all)')


def add_superseded_option(parser: argparse.ArgumentParser) -> None:
    """``--superseded``, of lists of what is corrected and kept."""
    parser.add_argument(
        '--superseded', action='store_true',
        help='Those too that count no more, because of a correction')


def every_column_wanted(parsed_args: argparse.Namespace) -> bool:
    """Whether a list shows all it has: asked for, or not for people."""
    return bool(parsed_args.formatter != 'table'
                or getattr(parsed_args, 'long', False)
                or parsed_args.columns)


def listing(of: command.Command, parsed_args: argparse.Namespace,
            pages: client.Pages[Any], every: Sequence[str],
            short: Sequence[str] | None = None, most: int | None = None,
            ) -> tuple[Sequence[str], Iterable[tuple[Any, ...]]]:
    """What a command returns that lists pages, row by row as they come.

    :param every: all columns; those that a newer API sends come after.
    :param short: what a table shows where no more is asked for.
    :param most: stop after so many rows.
    """
    rows = streamed(of, parsed_args, pages, most)
    first = next(rows, None)
    names: Sequence[str] = tuple(dict.fromkeys((*every, *(first or ()))))
    if short is not None and not every_column_wanted(parsed_args):
        names = short
    if first is None:
        refuse_unknown(of, parsed_args)
    found = rows if first is None else itertools.chain((first,), rows)
    return names, (columns.cells(names, row, parsed_args.formatter)
                   for row in found)


def refuse_unknown(of: command.Command,
                   parsed_args: argparse.Namespace) -> None:
    """Of an empty answer: a site or host that is not there has none.

    :raises exceptions.CommandError: naming it.
    """
    for name, ask in (('site', api(of).site), ('host', api(of).host)):
        text = getattr(parsed_args, name, None)
        if text:
            try:
                ask(text)
            except client.NotFound as error:
                raise exceptions.CommandError(str(error)) from error
            except client.Error:
                # Who may list it may not always ask this; then it is empty.
                pass


def streamed(of: command.Command, parsed_args: argparse.Namespace,
             pages: Iterable[client.Page[Any]], most: int | None = None,
             ) -> Iterator[client.Row]:
    """The rows of pages; what is written is seen before the next is asked.

    A table has to know all rows first: at a terminal their number is shown
    meanwhile.
    """
    given = 0
    with progress.Progress(of.app.stderr) as shown:
        for page in pages:
            for row in page.rows:
                if given == most:
                    return
                given += 1
                yield row
            if given == most or page.marker is None:
                return
            if parsed_args.formatter == 'table':
                shown.say(f'{given} rows')
            of.app.stdout.flush()


def scope_query(manager: Any,
                parsed_args: argparse.Namespace) -> dict[str, Any]:
    """The scope as query parameters.

    :param manager: the client manager of this call.
    """
    query: dict[str, Any] = {}
    given = {name: getattr(parsed_args, name, None) for name in (
        'project', 'server', 'domain', 'flavor', 'user', *_AS_TYPED)}
    _refuse_empty(given)
    if given['boundary'] not in (None, 'rapl', 'node'):
        raise exceptions.CommandError(
            f'--boundary: {given["boundary"]!r} is none: give rapl or node')
    if given['project']:
        query['project'] = project_id(manager, given['project'],
                                      parsed_args.project_domain)
    elif parsed_args.all_projects or not (
            signed_in(manager) or given['domain']):
        # Without Keystone there is no project of one's own.
        query['all_projects'] = True
    if given['domain']:
        query['domain'] = domain_id(manager, given['domain'])
    if given['server']:
        query['instance'] = server_id(
            manager, given['server'],
            parsed_args.all_projects or bool(given['project']))
    if given['flavor']:
        query['flavor'] = flavor_name(manager, given['flavor'])
    if given['user']:
        query['user'] = user_id(manager, given['user'],
                                parsed_args.user_domain)
    return query | {name: given[name] for name in _AS_TYPED if given[name]}


def owner(manager: Any,
          parsed_args: argparse.Namespace) -> dict[str, str | None]:
    """The ids behind ``--project`` and ``--domain``, None: not given.

    :param manager: the client manager of this call.
    """
    given = {name: getattr(parsed_args, name)
             for name in ('project', 'domain')}
    _refuse_empty(given)
    return {
        'project': given['project'] and project_id(
            manager, given['project'], parsed_args.project_domain),
        'domain': given['domain'] and domain_id(manager, given['domain'])}


def _refuse_empty(given: Mapping[str, str | None]) -> None:
    """An unset variable of a script must not widen the question."""
    for option, text in given.items():
        if text == '':
            raise exceptions.CommandError(
                f'--{option} is empty: give a name or an ID, or leave it '
                'out')


def one_project(manager: Any, scope: dict[str, Any]) -> bool:
    """Whether a scope is a project, named or that of the token."""
    return 'project' in scope or not (
        scope.get('all_projects') or 'domain' in scope
        or manager.auth_ref.project_id is None)


def changes(parsed_args: argparse.Namespace,
            fields: Iterable[str]) -> dict[str, Any]:
    """What options say of fields; ``--no-FIELD`` takes one back."""
    said: dict[str, Any] = {}
    for field in fields:
        if getattr(parsed_args, field, None) is not None:
            said[field] = getattr(parsed_args, field)
        elif getattr(parsed_args, f'no_{field}', False):
            said[field] = None
    return said


def positive(text: str) -> int:
    """A number of rows, for argparse."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def page_of(most: int | None) -> int | None:
    """What to ask for at once where so many rows are wanted.

    The service gives no more than this; the rest comes page by page.
    """
    return None if most is None else min(most, _PAGE)


def signed_in(manager: Any) -> bool:
    """Whether there is a token of Keystone (not with auth type none)."""
    return manager.auth_ref is not None


def project_id(manager: Any, name_or_id: str,
               domain: str | None = None) -> str:
    """The id of a project; the text itself where nobody can be asked."""
    own = manager.auth_ref
    if own is None or name_or_id == own.project_id:
        return name_or_id
    if name_or_id == own.project_name and domain in (
            None, own.project_domain_id, own.project_domain_name):
        return own.project_id
    within = {} if domain is None else {
        'domain_id': domain_id(manager, domain)}
    return _id('project', name_or_id, lambda: _identity(
        manager).find_project(name_or_id, **within),
        'its ID or --project-domain')


def domain_id(manager: Any, name_or_id: str) -> str:
    """The id of a domain; the text itself where nobody can be asked."""
    if not signed_in(manager):
        return name_or_id
    return _id('domain', name_or_id,
               lambda: _identity(manager).find_domain(name_or_id))


def user_id(manager: Any, name_or_id: str, domain: str | None = None) -> str:
    """The id of a user; the text itself where nobody can be asked."""
    if not signed_in(manager):
        return name_or_id
    within = {} if domain is None else {
        'domain_id': domain_id(manager, domain)}
    return _id('user', name_or_id, lambda: _identity(
        manager).find_user(name_or_id, **within), 'its ID or --user-domain')


def server_id(manager: Any, name_or_id: str, of_all: bool = False) -> str:
    """The id of a server; the text itself where there is no Nova.

    :param of_all: of all projects, as administrators may ask.
    """
    if _is_uuid(name_or_id) or not signed_in(manager):
        return name_or_id
    more = {'all_projects': True} if of_all else {}
    return _id('server', name_or_id,
               lambda: manager.compute.find_server(name_or_id, **more),
               'its ID', 'the ID of a server that was deleted',
               forbidden_is_id=False)


def flavor_name(manager: Any, name_or_id: str) -> str:
    """The name of a flavor, as the ledger has it.

    A name is taken as it is: Nova does not know what was deleted.
    """
    if not signed_in(manager) or not (_is_uuid(name_or_id)
                                      or name_or_id.isdecimal()):
        return name_or_id
    try:
        found = manager.compute.find_flavor(name_or_id)
    except _silent():
        return name_or_id
    return name_or_id if found is None else found.name


def _identity(manager: Any) -> Any:
    from openstack import utils

    return utils.ensure_service_version(manager.sdk_connection.identity, '3')


def _silent() -> tuple[type[Exception], ...]:
    """What Keystone and Nova raise when they do not say it."""
    from keystoneauth1 import exceptions as ksa_exceptions
    from openstack import exceptions as sdk_exceptions

    return (sdk_exceptions.SDKException, ksa_exceptions.ClientException)


def _id(kind: str, text: str, find: Callable[[], Any], one: str = 'its ID',
        gone: str = '', *, forbidden_is_id: bool = True) -> str:
    """The id of what is called so.

    :param one: what names one of several.
    :param gone: what to give of something that is no more.
    :param forbidden_is_id: who may not ask has given the id.
    :raises exceptions.CommandError: several or none are called so, or
        nobody answers.
    """
    from openstack import exceptions as sdk_exceptions

    try:
        found = find()
    except sdk_exceptions.DuplicateResource as error:
        raise exceptions.CommandError(
            f'more than one {kind} is called {text}: give {one}') from error
    except _silent() as error:
        if forbidden_is_id and getattr(error, 'status_code', None) == 403:
            return text
        raise exceptions.CommandError(
            f'names of {kind}s cannot be looked up now: give the ID of '
            f'{text}') from error
    if found is not None:
        return found.id
    if _is_uuid(text):
        # Of what was deleted; its energy is still there.
        return text
    raise exceptions.CommandError(
        f'there is no {kind} called {text}: give {gone or "another name"}')


def server_names(manager: Any, project: str | None = None) -> dict[str, str]:
    """Names of present servers by id; empty where Nova is silent.

    :param project: whose, where they are not one's own.
    """
    if not signed_in(manager):
        return {}
    whose = ({} if project in (None, manager.auth_ref.project_id) else
             {'all_projects': True, 'project_id': project})
    return _names(lambda: manager.compute, lambda compute: compute.servers(
        details=False, **whose))


def project_names(manager: Any) -> dict[str, str]:
    """Names of projects by id; empty where Keystone does not say them."""
    if not signed_in(manager):
        return {}
    return _names(lambda: _identity(manager),
                  lambda identity: identity.projects())


def _names(service: Callable[[], Any],
           things: Callable[[Any], Iterable[Any]]) -> dict[str, str]:
    """Names by id of what a service lists, as far as it does so soon.

    Names are for convenience: nobody waits long for them.
    """
    found: dict[str, str] = {}
    try:
        proxy = service()
        with _hurried(proxy.session):
            found.update((thing.id, thing.name) for thing
                         in itertools.islice(things(proxy), _MOST_NAMES))
    except _silent():
        pass
    return found


@contextlib.contextmanager
def _hurried(session: Any) -> Iterator[None]:
    """Let nothing that is asked meanwhile wait longer than for names."""
    patience = session.timeout
    session.timeout = min(patience or _NAMES_SECONDS, _NAMES_SECONDS)
    try:
        yield
    finally:
        session.timeout = patience


def names(texts: list[str] | None) -> list[str] | None:
    """Names that were given by commas, by repetition or both."""
    if texts is None:
        return None
    return [name for text in texts
            for name in _SPLIT.split(text.strip(' ,')) if name]


def say(of: command.Command, parsed_args: argparse.Namespace,
        line: str) -> None:
    """A line for people: only where a table is printed."""
    if parsed_args.formatter == 'table':
        of.app.stdout.write(f'{line}\n')
        of.app.stdout.flush()


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def contents(path: str) -> bytes:
    """What is in a file that somebody named."""
    try:
        return pathlib.Path(path).read_bytes()
    except OSError as error:
        raise exceptions.CommandError(
            f'{path}: it cannot be read: {error.strerror}') from error
