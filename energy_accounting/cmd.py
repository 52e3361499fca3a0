# SPDX-License-Identifier: Apache-2.0
"""What the console scripts call: one thin function for each.

Here an error of ours becomes one line on stderr and an exit status, and a
part that is not installed becomes the command that installs it.  Nothing
is imported before it is needed, so that these messages can be given at
all.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from energy_accounting import errors

if TYPE_CHECKING:
    from oslo_config import cfg


def notifier() -> int:
    """energy-accounting-notifier: meters this hypervisor."""
    return _guarded('notifier', _notifier)


def collector() -> int:
    """energy-accounting-collector: books what notifiers send."""
    return _guarded('collector', _collector)


def manage() -> int:
    """energy-accounting-manage: looks after the database."""
    def run() -> Any:
        from energy_accounting import manage as implementation
        return implementation.main(logged=True)
    # 1 is an answer: that Nova and the ledger differ.
    return _guarded('collector', run, failed=2)


def status() -> int:
    """energy-accounting-status: is it safe to upgrade?"""
    def run() -> Any:
        from energy_accounting import status as implementation
        return implementation.main()
    # 1 is an answer: go on, and read the warnings.
    return _guarded('collector', run, failed=2)


def standalone() -> int:
    """energy-accounting-standalone: all of it in one process."""
    def run() -> Any:
        from energy_accounting import standalone as implementation
        return implementation.main()
    return _guarded('standalone', run)


def _notifier() -> None:
    from energy_accounting import rpc, service
    conf = load(sys.argv[1:], credentials=False)
    rpc.prepare(conf)
    service.serve_notifier(conf)


def _collector() -> None:
    from energy_accounting import rpc, service
    from energy_accounting.ledger import engine
    conf = load(sys.argv[1:])
    rpc.prepare(conf)
    database = engine.Database.from_conf(conf)
    try:
        engine.check_schema(database)
    finally:
        database.close()
    service.serve_collector(conf)


def load(argv: Sequence[str],
         default_config_files: list[str] | None = None, *,
         credentials: bool = True) -> cfg.ConfigOpts:
    """The configuration, every option of it checked, and the log set up.

    :param credentials: whether this process may talk to Keystone or Nova.
    """
    import importlib.metadata

    from oslo_config import cfg
    from oslo_log import log

    from energy_accounting import conf as configuration
    log.register_options(cfg.CONF)
    log.set_defaults(default_log_levels=[
        *log.get_default_log_levels(), 'oslo.service=WARN',
        'oslo_service=WARN', 'cotyledon=WARN', 'alembic=WARN',
        # Of the audit filter, where the log is what it tells.
        'keystonemiddleware.audit=INFO'])
    conf = configuration.load(
        argv, version=importlib.metadata.version(configuration.NAME),
        default_config_files=default_config_files, credentials=credentials)
    log.setup(conf, configuration.NAME)
    return conf


def _guarded(extra: str, run: Callable[[], Any], *, failed: int = 1) -> int:
    """Run; our errors, and those of the configuration, in one line.

    :param failed: the exit status after one.
    """
    try:
        return run() or 0
    except errors.EnergyAccountingError as error:
        return _fail(str(error), failed)
    except ModuleNotFoundError as error:
        package = (error.name or '').partition('.')[0]
        if package == 'energy_accounting':
            raise
        return _fail(f'{package} is not installed: '
                     f"pip install 'energy-accounting[{extra}]'", failed)
    except Exception as error:
        if type(error).__module__.partition('.')[0] != 'oslo_config':
            raise
        return _fail(str(error), failed)


def _fail(message: str, failed: int) -> int:
    text = ' '.join(message.split())
    print(f'{os.path.basename(sys.argv[0])}: {text}', file=sys.stderr)
    return failed
