# SPDX-License-Identifier: Apache-2.0
"""Options that several commands share, and what they mean.

The one place of the plugin that reads the clock and asks Keystone or Nova
for the ids behind names.
"""

from __future__ import annotations

import argparse
import datetime
import pathlib
import re
import uuid
from collections.abc import Iterable
from typing import Any

from osc_lib import exceptions
from osc_lib.command import command

from energy_accounting import client, units
from energy_accounting.osc import times

_SPLIT = re.compile(r'[,\s]+')


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
    parser._negative_number_matcher = re.compile(r'-\d+[hd]?$')


def add_time_filters(parser: argparse.ArgumentParser,
                     *filters: tuple[str, str]) -> None:
    """Options that choose by time, in UTC.

    :param filters: the name of each, and what it does.
    """
    take_ago(parser)
    for name, what in filters:
        parser.add_argument(
            f'--{name}', metavar='<time>', type=time,
            help=f'{what}: {times.FORMS}; in UTC where it names no offset')


def time(text: str) -> str:
    """A time as the API takes it; what is none is the API's to refuse."""
    try:
        if datetime.datetime.fromisoformat(text).tzinfo is not None:
            return text
    except ValueError:
        pass
    try:
        return units.iso(now() if text == 'now' else times.moment(
            text, units.UTC, now()))
    except ValueError:
        return text


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


def add_scope_options(parser: argparse.ArgumentParser) -> None:
    """Whose energy: ``--project``, ``--all-projects``, ``--server``."""
    scope = parser.add_mutually_exclusive_group()
    scope.add_argument(
        '--project', metavar='<project>',
        help='Project (name or ID) instead of your own (administrators)')
    scope.add_argument(
        '--all-projects', action='store_true',
        help='All projects (administrators)')
    parser.add_argument(
        '--project-domain', metavar='<project-domain>',
        help='Domain of the project (name or ID), where its name is not '
             'unique')
    parser.add_argument(
        '--server', metavar='<server>',
        help='Only this server (name or ID; the ID for a deleted one)')


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
    return bool(parsed_args.formatter != 'table' or parsed_args.long
                or parsed_args.columns)


def rows_of(pages: Iterable[client.Page], wanted: int | None,
            ) -> list[client.Row]:
    """The rows of all pages, or as many as are wanted."""
    rows: list[client.Row] = []
    for page in pages:
        rows.extend(page.rows)
        if wanted is not None and len(rows) >= wanted:
            break
    return rows[:wanted]


def scope_query(manager: Any,
                parsed_args: argparse.Namespace) -> dict[str, Any]:
    """The scope as query parameters.

    :param manager: the client manager of this call.
    """
    query: dict[str, Any] = {}
    for option in ('project', 'server'):
        # An unset variable of a script must not widen the question.
        if getattr(parsed_args, option, None) == '':
            raise exceptions.CommandError(
                f'--{option} is empty: give a name or an ID, or leave it '
                'out')
    if parsed_args.project:
        query['project'] = project_id(manager, parsed_args.project,
                                      parsed_args.project_domain)
    elif parsed_args.all_projects or not signed_in(manager):
        # Without Keystone there is no project of one's own.
        query['all_projects'] = True
    if parsed_args.server:
        query['instance'] = server_id(manager, parsed_args.server)
    return query


def one_project(manager: Any, scope: dict[str, Any]) -> bool:
    """Whether a scope is a project, named or that of the token."""
    return 'project' in scope or (
        not scope.get('all_projects')
        and manager.auth_ref.project_id is not None)


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
    from osc_lib.cli import identity

    return identity.find_project(manager.sdk_connection, name_or_id,
                                 domain).id


def server_id(manager: Any, name_or_id: str) -> str:
    """The id of a server; the text itself where there is no Nova.

    :raises exceptions.CommandError: when Nova knows no such name, or does
        not answer.
    """
    if _is_uuid(name_or_id) or not signed_in(manager):
        return name_or_id
    from keystoneauth1 import exceptions as ksa_exceptions
    from openstack import exceptions as sdk_exceptions

    try:
        server = manager.compute.find_server(name_or_id,
                                             ignore_missing=True)
    except sdk_exceptions.DuplicateResource as error:
        raise exceptions.CommandError(
            f'more than one server is called {name_or_id}: give its ID'
        ) from error
    except (sdk_exceptions.SDKException,
            ksa_exceptions.ClientException) as error:
        raise exceptions.CommandError(
            f'names of servers cannot be looked up now: give the ID of '
            f'{name_or_id}') from error
    if server is None:
        raise exceptions.CommandError(
            f'there is no server called {name_or_id}: give the ID of a '
            'server that was deleted')
    return server.id


def server_names(manager: Any) -> dict[str, str]:
    """Names of one's present servers by id; empty where Nova is silent."""
    if not signed_in(manager):
        return {}
    from keystoneauth1 import exceptions as ksa_exceptions
    from openstack import exceptions as sdk_exceptions

    try:
        return {server.id: server.name
                for server in manager.compute.servers(details=False)}
    except (sdk_exceptions.SDKException, ksa_exceptions.ClientException):
        return {}


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
