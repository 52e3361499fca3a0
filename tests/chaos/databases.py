# SPDX-License-Identifier: Apache-2.0
"""The two databases as an administrator can ill-treat them.

Each is a real server that keeps what it committed when it is killed, with
a user for the collectors who may not do what an administrator may.  No
process of ours is known here.
"""

from __future__ import annotations

import contextlib
import pathlib
import time
from collections.abc import Iterator

import sqlalchemy as sa

from energy_accounting.ledger import models
from tests import servers

NAME = 'energy'
USER = PASSWORD = 'collector'
# Rows that make our transaction the heavier one of a deadlock.
_WEIGHT = 2000
_WAIT_SECONDS = 20


class Database:
    """A server, its ledger, and what can be done to both."""

    driver = ''

    def __init__(self, server: servers.Server, port: int) -> None:
        self.server = server
        self.port = port

    def url(self, port: int) -> str:
        """Where collectors find the ledger, through any port."""
        return (f'{self.driver}://{USER}:{PASSWORD}@{servers.LOOPBACK}:'
                f'{port}/{NAME}')

    def engine(self, name: str = NAME) -> sa.Engine:
        """An administrator's own way in."""
        return sa.create_engine(
            f'{self.driver}://{servers.USER}:{servers.PASSWORD}@'
            f'{servers.LOOPBACK}:{self.port}/{name}',
            isolation_level='READ COMMITTED', poolclass=sa.pool.NullPool)

    @contextlib.contextmanager
    def _admin(self, name: str = NAME) -> Iterator[sa.Connection]:
        engine = self.engine(name)
        with engine.connect() as connection:
            yield connection.execution_options(isolation_level='AUTOCOMMIT')

    def create(self) -> None:
        """Make the ledger's empty database and the collectors' user."""
        raise NotImplementedError

    def kill_connections(self) -> int:
        """End every connection of the collectors; how many."""
        raise NotImplementedError

    def read_only(self, wanted: bool) -> None:
        """Take no write, as the old primary after a failover."""
        raise NotImplementedError

    def _waiting(self, connection: sa.Connection) -> bool:
        """Whether a collector waits for a lock of ours."""
        raise NotImplementedError

    def deadlock(self) -> str:
        """Lock what a collector locks last, and then what it locks first.

        :returns: ``theirs`` or ``ours``: whose transaction was ended; or
            ``none``, when nobody came into the trap.
        """
        engine = self.engine()
        scratch = sa.Table('chaos', sa.MetaData(), sa.Column(
            'id', sa.Integer(), primary_key=True, autoincrement=False))
        with engine.begin() as connection:
            scratch.create(connection, checkfirst=True)
        with engine.connect() as connection, self._admin() as watching:
            connection.execute(sa.insert(scratch), [
                {'id': number} for number in range(_WEIGHT)])
            connection.execute(
                sa.select(models.project_buckets.c.bucket).with_for_update(),
            ).all()
            deadline = time.monotonic() + _WAIT_SECONDS
            while not self._waiting(watching):
                if time.monotonic() > deadline:
                    connection.rollback()
                    return 'none'
                time.sleep(0.05)
            try:
                connection.execute(
                    sa.select(models.hosts.c.id).with_for_update()).all()
            except sa.exc.OperationalError:
                return 'ours'
            finally:
                connection.rollback()
        return 'theirs'


class _MariaDB(servers.MariaDB):
    """One that a kill leaves no torn page in, and with the other user."""

    def prepare(self) -> None:
        super().prepare()
        user = f"{USER}@'{servers.LOOPBACK}'"
        with (self.path / 'init.sql').open('a') as sql:
            sql.write(f"CREATE USER IF NOT EXISTS {user} IDENTIFIED BY "
                      f"'{PASSWORD}';\nGRANT ALL ON {NAME}.* TO {user};\n")

    def spawn(self, *command: str, **options) -> None:
        super().spawn(*command, '--innodb-doublewrite=1', **options)


class MariaDB(Database):
    """MariaDB, ill-treated."""

    driver = 'mysql+pymysql'

    def __init__(self, where: pathlib.Path) -> None:
        server = _MariaDB(where)
        super().__init__(server, server.port)

    def create(self) -> None:
        with self._admin('') as connection:
            connection.exec_driver_sql(f'CREATE DATABASE {NAME}')

    def kill_connections(self) -> int:
        with self._admin() as connection:
            ids = connection.execute(sa.text(
                'SELECT id FROM information_schema.processlist '
                'WHERE user = :user'), {'user': USER}).scalars().all()
            for number in ids:
                # It may have gone by itself.
                with contextlib.suppress(sa.exc.DBAPIError):
                    connection.exec_driver_sql(f'KILL CONNECTION {number}')
        return len(ids)

    def read_only(self, wanted: bool) -> None:
        with self._admin() as connection:
            connection.exec_driver_sql(
                f'SET GLOBAL read_only = {int(wanted)}')

    def _waiting(self, connection: sa.Connection) -> bool:
        return bool(connection.execute(sa.text(
            'SELECT COUNT(*) FROM information_schema.innodb_trx '
            "WHERE trx_state = 'LOCK WAIT'")).scalar())


class PostgreSQL(Database):
    """PostgreSQL, ill-treated."""

    driver = 'postgresql+psycopg2'

    def __init__(self, where: pathlib.Path) -> None:
        server = servers.PostgreSQL(where)
        super().__init__(server, server.port)

    def create(self) -> None:
        with self._admin('postgres') as connection:
            for statement in (
                    f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'",
                    f'CREATE DATABASE {NAME} OWNER {USER}'):
                connection.exec_driver_sql(statement)

    def kill_connections(self) -> int:
        with self._admin() as connection:
            return len(connection.execute(sa.text(
                'SELECT pg_terminate_backend(pid) FROM pg_stat_activity '
                'WHERE usename = :user'), {'user': USER}).all())

    def read_only(self, wanted: bool) -> None:
        with self._admin() as connection:
            # Sessions that are open follow it, too.
            connection.exec_driver_sql(
                'ALTER SYSTEM SET default_transaction_read_only = '
                f'{"on" if wanted else "off"}')
            connection.exec_driver_sql('SELECT pg_reload_conf()')

    def _waiting(self, connection: sa.Connection) -> bool:
        return bool(connection.execute(sa.text(
            'SELECT COUNT(*) FROM pg_stat_activity WHERE usename = :user '
            "AND wait_event_type = 'Lock'"), {'user': USER}).scalar())


DATABASES: dict[str, type[Database]] = {
    'mariadb': MariaDB, 'postgresql': PostgreSQL}
