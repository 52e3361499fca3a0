# SPDX-License-Identifier: Apache-2.0
"""The connection to the ledger's database.

Engines are oslo.db's; what stands here is what booking needs beyond it: READ
COMMITTED, writers that do not fail on SQLite, whole transactions retried,
the schema brought to its newest revision.  No query for what a ledger holds
belongs here.
"""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, Concatenate, ParamSpec, TypeVar

import alembic.command
import alembic.config
import alembic.migration
import alembic.script
import sqlalchemy as sa
from alembic.util import exc as alembic_exc
from oslo_config import cfg
from oslo_db import api as db_api
from oslo_db import exception as db_exception
from oslo_db import options as db_options
from oslo_db.sqlalchemy import engines
from sqlalchemy import exc as sa_exc

from energy_accounting import errors
from energy_accounting.ledger import models

Parameters = ParamSpec('Parameters')
Result = TypeVar('Result')

MIGRATIONS = pathlib.Path(__file__).parent / 'migrations'

# How long one writer of SQLite waits for another.
_SQLITE_WAIT_MS = 30_000
_MYSQL_READ_ONLY = ((1290,), (1792,), (1836,))
_MYSQL_OUT_OF_RANGE = 1690
# Whoever changes the schema holds it; any number that no other program uses.
_SYNC_LOCK = 4247700
_SYNC_SECONDS = 600
_RETRIES = 20
_RETRY_SECONDS = 0.02
_RETRY_MAX_SECONDS = 1.0

# Of oslo.db's [database] options those an engine takes.
_ENGINE_OPTIONS = (
    'connection_debug', 'connection_parameters', 'connection_recycle_time',
    'connection_trace', 'max_overflow', 'max_pool_size', 'max_retries',
    'mysql_sql_mode', 'mysql_wsrep_sync_wait', 'pool_timeout',
    'retry_interval', 'sqlite_synchronous')


def register(conf: cfg.ConfigOpts) -> None:
    """Make oslo.db's own options known to a configuration object."""
    conf.register_opts(db_options.database_opts, 'database')


class Database:
    """Connections to one ledger; safe to share between threads.

    Make it after a fork, in the process that uses it.

    :param url: as SQLAlchemy spells it.
    :param reader_url: where reading goes, when it is another server.
    :param options: of ``oslo_db.sqlalchemy.engines.create_engine``.
    """

    def __init__(self, url: str, reader_url: str | None = None,
                 **options: Any) -> None:
        # A database that is away is the caller's to retry, not ours to
        # wait for, unless an option says so.
        options.setdefault('max_retries', 0)
        options.setdefault('mysql_sql_mode', 'TRADITIONAL')
        self.engine = _engine(url, options)
        self._reader = (_engine(reader_url, options) if reader_url
                        else self.engine)

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts) -> Database:
        """The database of the ``[database]`` options.

        Waits for it as ``max_retries`` and ``retry_interval`` say.

        :raises errors.ConfigurationError: no or no usable connection.
        :raises errors.Unavailable: the server does not answer.
        """
        register(conf)
        options = conf.database
        if not options.connection:
            raise errors.ConfigurationError(
                '[database] connection is not set: give a URL such as '
                'mysql+pymysql://user:password@host/energy_accounting')
        with unavailable():
            return cls(options.connection, options.slave_connection,
                       **{name: getattr(options, name)
                          for name in _ENGINE_OPTIONS})

    @contextlib.contextmanager
    def writer(self) -> Iterator[sa.Connection]:
        """A connection in a transaction that is committed at the end."""
        with self.engine.connect() as connection:
            connection = connection.execution_options(ledger_writer=True)
            with connection.begin():
                yield connection

    @contextlib.contextmanager
    def reader(self) -> Iterator[sa.Connection]:
        """A connection in a transaction that is to change nothing."""
        with self._reader.connect() as connection:
            yield connection

    def write(self, function: Callable[Concatenate[sa.Connection, Parameters],
                                       Result],
              *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        """Run a function in a transaction; all of it again on a conflict.

        It gets a connection and then the other arguments, and must do
        nothing that a rollback does not undo.

        :raises errors.Unavailable: the database is away; whether the
            transaction was committed may then be unknown.
        :raises errors.InvalidRecord: a value does not fit its column.
        """
        def attempt() -> Result:
            try:
                with self.writer() as connection:
                    return function(connection, *args, **kwargs)
            except (db_exception.DBError, sa_exc.DBAPIError) as error:
                if _is_read_only(error):
                    # What was the primary is none any more, and the open
                    # connections lead there: the next ones may not.
                    self.engine.dispose()
                raise

        retried = db_api.wrap_db_retry(
            retry_interval=_RETRY_SECONDS, max_retries=_RETRIES,
            max_retry_interval=_RETRY_MAX_SECONDS, jitter=True,
            retry_on_deadlock=True, exception_checker=_is_conflict)(attempt)
        with unavailable():
            return retried()

    def read(self, function: Callable[Concatenate[sa.Connection, Parameters],
                                      Result],
             *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        """Run a function that only reads.

        :raises errors.Unavailable: the database is away.
        """
        with unavailable(), self.reader() as connection:
            return function(connection, *args, **kwargs)

    def read_current(
            self, function: Callable[Concatenate[sa.Connection, Parameters],
                                     Result],
            *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        """Run a function that only reads, where writing goes too.

        For whatever is decided by what was read: another server may be
        behind.

        :raises errors.Unavailable: the database is away.
        """
        with unavailable(), self.engine.connect() as connection:
            return function(connection, *args, **kwargs)

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()
        self._reader.dispose()


@contextlib.contextmanager
def unavailable() -> Iterator[None]:
    """Turns what the database says into our own words.

    :raises errors.InvalidRecord: a value does not fit its column.
    :raises errors.ConfigurationError: the URL is wrong.
    :raises errors.Unavailable: anything else.
    """
    try:
        yield
    except (sa_exc.ArgumentError, sa_exc.NoSuchModuleError,
            ModuleNotFoundError) as error:
        raise errors.ConfigurationError(
            f'[database] connection cannot be used: {error}') from error
    except (db_exception.DBError, sa_exc.DBAPIError,
            sa_exc.TimeoutError) as error:
        if _is_refusal(error):
            raise errors.InvalidRecord(
                'the database does not take a value: '
                f'{_first_line(error)}') from error
        raise errors.Unavailable(
            f'the database cannot be used now: {_first_line(error)}') \
            from error


def snapshot(connection: sa.Connection) -> None:
    """Let all that follows see one state of the ledger.

    The first statement of its transaction.  SQLite does so by itself;
    elsewhere the ledger's engine says READ COMMITTED, under which a sheet
    of several queries would not balance while windows are booked.
    """
    if connection.dialect.name != 'sqlite':
        connection.exec_driver_sql(
            'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ')


def answers(connection: sa.Connection) -> None:
    """Touch the ledger; raises what the database raises."""
    connection.execute(sa.select(models.sites.c.id).limit(1)).all()


def _engine(url: str, options: dict[str, Any]) -> sa.Engine:
    address = sa.make_url(url)
    if address.drivername == 'postgresql':
        # What no driver means has changed with SQLAlchemy 2.1.
        address = address.set(drivername='postgresql+psycopg2')
    if not address.database and address.get_backend_name() != 'sqlite':
        raise errors.ConfigurationError(
            '[database] connection (or slave_connection) names no database: '
            'give a URL such as '
            'mysql+pymysql://user:password@host/energy_accounting')
    if (address.get_backend_name() in ('mysql', 'mariadb')
            and 'charset' not in address.query):
        # oslo.db's own default is the three-byte utf8.
        address = address.update_query_dict({'charset': 'utf8mb4'})
    # thread_checkin yields to green threads, of which there are none.
    engine = engines.create_engine(address, sqlite_fk=True,
                                   thread_checkin=False, **options)
    if engine.dialect.name == 'sqlite':
        _prepare_sqlite(engine)
    else:
        _read_committed(engine)
    return engine


def _read_committed(engine: sa.Engine) -> None:
    # Once per connection, not once per transaction: no round trip each.
    @sa.event.listens_for(engine, 'connect')
    def _connected(connection: Any, record: Any) -> None:
        engine.dialect.set_isolation_level(connection, 'READ COMMITTED')


def _prepare_sqlite(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, 'connect')
    def _connected(connection: Any, record: Any) -> None:
        connection.execute(f'PRAGMA busy_timeout = {_SQLITE_WAIT_MS}')
        connection.execute('PRAGMA journal_mode = WAL')

    # oslo.db begins every transaction with a plain BEGIN; a writer that
    # starts as a reader fails instead of waiting for another writer.
    @sa.event.listens_for(engine, 'before_cursor_execute', retval=True)
    def _begin(connection: sa.Connection, cursor: Any, statement: str,
               parameters: Any, context: Any, executemany: bool,
               ) -> tuple[str, Any]:
        if (statement == 'BEGIN' and connection.get_execution_options()
                .get('ledger_writer')):
            statement = 'BEGIN IMMEDIATE'
        return statement, parameters


def _is_conflict(error: Exception) -> bool:
    """Whether the same transaction may well succeed the next time."""
    cause = _of_driver(error)
    return (isinstance(error, db_exception.DBConsistencyError)
            or getattr(cause, 'pgcode', None) in ('40001', '40P01')
            or 'database is locked' in str(cause))


def _is_read_only(error: Exception) -> bool:
    """Whether the server, or our session with it, takes no write."""
    cause = _of_driver(error)
    return (getattr(cause, 'pgcode', None) == '25006'
            or cause.args[:1] in _MYSQL_READ_ONLY)


def _is_refusal(error: Exception) -> bool:
    """Whether it is a value that does not fit, whoever sends it again."""
    cause = _of_driver(error)
    # Of PostgreSQL oslo.db knows none, of MariaDB not the sum that has
    # become too large.
    return (isinstance(error, (db_exception.DBDataError, sa_exc.DataError))
            or (getattr(cause, 'pgcode', None) or '').startswith('22')
            or cause.args[:1] == (_MYSQL_OUT_OF_RANGE,))


def _of_driver(error: Exception) -> Exception:
    """What the driver raised, without what was laid around it."""
    cause = getattr(error, 'inner_exception', None) or error
    return getattr(cause, 'orig', None) or cause


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


# --- the schema -------------------------------------------------------------

def sync(database: Database, revision: str = 'head') -> None:
    """Bring the schema to a revision; does nothing when it is there.

    :raises errors.ConfigurationError: the database cannot hold a ledger, or
        a step failed, which another try would do as well.
    :raises errors.Unavailable: the database is away or in use.
    """
    found = version(database)
    if found is not None and not _is_known(found):
        raise errors.ConfigurationError(_NEWER.format(found))
    with (unavailable(), database.engine.connect() as connection,
          _references_at_the_end(connection)):
        connection = connection.execution_options(ledger_writer=True)
        with connection.begin(), _alone(connection):
            _check_encoding(connection)
            with _failed_step():
                alembic.command.upgrade(_alembic(connection), revision)
            if connection.dialect.name == 'sqlite':
                _check_references(connection)


@contextlib.contextmanager
def _alone(connection: sa.Connection) -> Iterator[None]:
    """Let nobody else change the schema meanwhile, but wait for it.

    Pods that start together do; MariaDB commits each statement of a step
    by itself, so that two would stop each other half-way.

    :raises errors.Unavailable: the other one takes too long.
    """
    if connection.dialect.name == 'postgresql':
        # Given back by the end of the transaction.
        connection.exec_driver_sql(
            f'SELECT pg_advisory_xact_lock({_SYNC_LOCK})')
        yield
    elif connection.dialect.name in ('mysql', 'mariadb'):
        name = "CONCAT('energy-accounting ', LEFT(SHA1(DATABASE()), 32))"
        if not connection.exec_driver_sql(
                f'SELECT GET_LOCK({name}, {_SYNC_SECONDS})').scalar():
            raise errors.Unavailable(
                'the schema is being changed by another process: run '
                'energy-accounting-manage db sync again')
        try:
            yield
        finally:
            with contextlib.suppress(sa_exc.DBAPIError):
                connection.exec_driver_sql(f'SELECT RELEASE_LOCK({name})')
    else:
        yield


@contextlib.contextmanager
def _failed_step() -> Iterator[None]:
    """Says of a migration that it failed, and not that nobody is there."""
    try:
        yield
    except (alembic_exc.CommandError, db_exception.DBError,
            sa_exc.SQLAlchemyError) as error:
        if (isinstance(error, (db_exception.DBConnectionError,
                               sa_exc.TimeoutError))
                or getattr(error, 'connection_invalidated', False)
                or _is_conflict(error)):
            raise
        raise errors.ConfigurationError(
            f'the schema could not be changed: {_first_line(error)}; mend '
            'what this names or restore the database from a backup, and run '
            'energy-accounting-manage db sync again') from error


@contextlib.contextmanager
def _references_at_the_end(connection: sa.Connection) -> Iterator[None]:
    """Where a changed table is dropped and made anew, look at them later.

    So it is on SQLite, where what refers to the old table must not hinder
    (https://www.sqlite.org/lang_altertable.html, section 7) and where
    this cannot be said inside a transaction: so not by ``connection``,
    which would begin one.
    """
    if connection.dialect.name != 'sqlite':
        yield
        return
    cursor = connection.connection.cursor()
    cursor.execute('PRAGMA foreign_keys = OFF')
    try:
        yield
    finally:
        cursor.execute('PRAGMA foreign_keys = ON')
        cursor.close()


def _check_references(connection: sa.Connection) -> None:
    lost = connection.exec_driver_sql('PRAGMA foreign_key_check').first()
    if lost is not None:
        raise errors.ConfigurationError(
            f'a row of {lost[0]} refers to one of {lost[2]} that is not '
            'there: nothing was changed; restore the database from a '
            'backup')


def _check_encoding(connection: sa.Connection) -> None:
    """Elsewhere each table says what its texts are."""
    if connection.dialect.name != 'postgresql':
        return
    found = connection.exec_driver_sql('SHOW server_encoding').scalar_one()
    if found != 'UTF8':
        raise errors.ConfigurationError(
            f'the database keeps texts in {found}, which cannot hold every '
            "name: create it with TEMPLATE template0 ENCODING 'UTF8'")


def version(database: Database) -> str | None:
    """The revision the schema is at; None for an empty database."""
    return database.read_current(
        lambda connection: alembic.migration.MigrationContext.configure(
            connection).get_current_revision())


def head() -> str:
    """The newest revision this version of the program knows."""
    return alembic.script.ScriptDirectory.from_config(
        _alembic()).get_current_head() or ''


def _is_known(revision: str) -> bool:
    try:
        alembic.script.ScriptDirectory.from_config(
            _alembic()).get_revision(revision)
    except alembic_exc.CommandError:
        return False
    return True


_NEWER = ('the database schema is at {}, which this version does not know: a '
          'newer one made it, install that one')


def check_schema(database: Database) -> None:
    """Refuse to work on a schema this version was not made for.

    :raises errors.ConfigurationError: says what to run.
    """
    found, wanted = version(database), head()
    if found is not None and not _is_known(found):
        raise errors.ConfigurationError(_NEWER.format(found))
    if found != wanted:
        raise errors.ConfigurationError(
            f'the database schema is at {found or "no revision"} and this '
            f'version needs {wanted}: run energy-accounting-manage db sync')


def _alembic(connection: sa.Connection | None = None) -> alembic.config.Config:
    config = alembic.config.Config()
    # The parser of the file format wants every % doubled.
    config.set_main_option('script_location',
                           str(MIGRATIONS).replace('%', '%%'))
    config.set_main_option('path_separator', 'os')
    config.attributes['connection'] = connection
    return config
