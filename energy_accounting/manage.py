# SPDX-License-Identifier: Apache-2.0
"""``energy-accounting-manage``: what an operator does to the database.

Reads the command line and calls; what is done stands in ``ledger``.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from oslo_config import cfg

from energy_accounting import conf as configuration
from energy_accounting.ledger import engine, purge


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit status of the process.

    :raises errors.EnergyAccountingError: says why it was not done.
    """
    # Not oslo.config's global object: no message bus is needed here, and
    # a sub-command would stay on it.
    conf = cfg.ConfigOpts()
    configuration.register(conf)
    conf.register_cli_opt(cfg.SubCommandOpt(
        'command', title='commands', handler=_add_commands))
    conf(sys.argv[1:] if argv is None else list(argv),
         project=configuration.NAME,
         version=importlib.metadata.version(configuration.NAME))
    conf.command.run(conf)
    return 0


def _add_commands(groups: Any) -> None:
    group = groups.add_parser('db', help='the schema and its contents')
    commands = group.add_subparsers(metavar='<command>', required=True,
                                    dest='what')
    _add(commands, 'sync', _sync,
         'create the tables, or bring them to the newest revision')
    _add(commands, 'version', _version, 'show the revision of the tables')
    _add(commands, 'purge', _purge,
         'drop what is older than the [collector] retention options say')


def _add(commands: Any, name: str, run: Callable[[cfg.ConfigOpts], None],
         text: str) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text)
    parser.set_defaults(run=run)


def _sync(conf: cfg.ConfigOpts) -> None:
    engine.sync(engine.Database.from_conf(conf))


def _version(conf: cfg.ConfigOpts) -> None:
    print(engine.version(engine.Database.from_conf(conf)) or 'none')


def _purge(conf: cfg.ConfigOpts) -> None:
    database = engine.Database.from_conf(conf)
    engine.check_schema(database)
    options = conf.collector
    gone = purge.purge(database, purge.Retention(
        options.retention_instance_days, options.retention_project_days,
        options.retention_user_days), time.time_ns())
    for name, count in gone.items():
        print(f'{name}: {count}')

