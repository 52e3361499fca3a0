# SPDX-License-Identifier: Apache-2.0
"""Who owns a share, as a number: the keys of accounts and projects.

An account is a version (instance, project, flavor): it is found by the
digest of what it is, and made when it is missing.  Learning later who owns
one is a claim (``identities``); what it got is in ``buckets``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import sqlalchemy as sa

from energy_accounting import samples, wire
from energy_accounting.ledger import bulk, models


class Owner(NamedTuple):
    """Who owns an instance, as Nova says."""

    project_id: str
    flavor: str | None
    user_id: str | None


class AccountId(NamedTuple):
    """Surrogate keys of an account and of its project."""

    account_id: int
    project_ref: int


Ids = Mapping[samples.Account, AccountId]
OwnerOf = Callable[[str], Owner | None]


def owned(account: samples.Account, owner_of: OwnerOf) -> samples.Account:
    """The account with its owner, if it lacks one and somebody knows."""
    if account.instance_id is None or account.project_id is not None:
        return account
    owner = owner_of(account.instance_id)
    if owner is None:
        return account
    return account._replace(
        project_id=owner.project_id, flavor=account.flavor or owner.flavor,
        user_id=account.user_id or owner.user_id)


def digest(account: samples.Account) -> str:
    """What an account is found by."""
    return wire.digest(wire.to_json(list(account)))


def ids(connection: sa.Connection, wanted: Iterable[samples.Account],
        ) -> dict[samples.Account, AccountId]:
    """The ids of accounts; those that are missing are made.

    They hold in this transaction and are not to be kept: a database that
    is restored from a backup gives the same number to somebody else.
    """
    found: dict[samples.Account, AccountId] = {}
    by_digest = {digest(account): account for account in wanted}
    table = models.accounts

    def look_up() -> None:
        for row in bulk.find(
                connection,
                sa.select(table.c.digest, table.c.id, table.c.project_ref),
                table.c.digest, by_digest):
            found[by_digest.pop(row.digest)] = AccountId(
                row.id, row.project_ref)

    look_up()
    if by_digest:
        projects = project_refs(connection, {
            account.project_id for account in by_digest.values()
            if account.project_id is not None})
        # A new row locks its project's: in the order in which new projects
        # lock theirs.
        rows = sorted(
            (account.project_id or '', key, account)
            for key, account in by_digest.items())
        bulk.insert_missing(connection, table, [
            {'digest': key, 'kind': account.kind,
             'instance_id': account.instance_id,
             'project_ref': (projects[project_id] if project_id
                             else models.NO_PROJECT),
             'flavor': account.flavor, 'user_id': account.user_id,
             'name': account.name}
            for project_id, key, account in rows])
        look_up()
    return found


def id_of(connection: sa.Connection, account: samples.Account) -> int:
    """The id of one account; made when it is missing."""
    return ids(connection, {account})[account].account_id


def project_refs(connection: sa.Connection,
                 project_ids: Iterable[str]) -> dict[str, int]:
    """The surrogate keys of projects; those that are missing are made."""
    table = models.projects
    wanted = set(project_ids)
    found: dict[str, int] = {}

    def look_up() -> None:
        found.update(
            (row.project_id, row.id) for row in bulk.find(
                connection, sa.select(table.c.project_id, table.c.id),
                table.c.project_id, wanted - found.keys()))

    look_up()
    bulk.insert_missing(connection, table, [
        {'project_id': project_id}
        for project_id in sorted(wanted - found.keys())])
    look_up()
    return found
