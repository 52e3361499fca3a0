# SPDX-License-Identifier: Apache-2.0
"""A machine for DevStack: this one, with all that it writes put elsewhere.

Processes, mounts, network and host name are its own, /etc, /opt and /var
are laid over.  Its ports are the usual ones and nothing of it stays.  Its
user has sudo; systemd is played by ``systemctl`` beside this file.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
from typing import Any

HERE = pathlib.Path(__file__).parent
USER = 'stack'
HOME = pathlib.Path('/opt/stack')
_SETUP = """
set -e
cd "$1"
for tree in etc opt var; do
    mkdir -p "over/$tree" "work/$tree"
    mount -t overlay overlay \\
        -o "lowerdir=/$tree,upperdir=$1/over/$tree,workdir=$1/work/$tree" \\
        "/$tree"
done
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mkdir -p /run/lock
for server in mysql rabbitmq; do
    mount -t tmpfs tmpfs "/var/lib/$server"
    install -d -o "$server" -g "$server" "/run/${server/mysql/mysqld}"
    chown "$server:$server" "/var/lib/$server"
done
mount --bind "$2/systemctl" "$(readlink -f /bin/systemctl)"
ip link set lo up
hostname devstack
echo '127.0.0.1 localhost devstack' > /etc/hosts
rm -f /etc/apache2/sites-enabled/* /etc/rabbitmq/*
mariadb-install-db --user=mysql --skip-test-db > /dev/null
useradd --home-dir /opt/stack --create-home --shell /bin/bash "$3"
chmod 755 /opt/stack
echo "$3 ALL=(ALL) NOPASSWD:ALL" > "/etc/sudoers.d/$3"
echo ready
exec sleep infinity
"""


class Machine:
    """Used as a context; ends with all its processes."""

    def __init__(self, where: pathlib.Path) -> None:
        self.where = where
        self._inside = ''

    def __enter__(self):
        self._process = subprocess.Popen(
            ['setpriv', '--pdeathsig', 'KILL', 'unshare', '--mount', '--net',
             '--uts', '--pid', '--fork', '--kill-child', '--mount-proc',
             'bash', '-c', _SETUP, 'machine', str(self.where), str(HERE),
             USER], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True)
        said = []
        assert self._process.stdout
        for line in self._process.stdout:
            said.append(line)
            if line == 'ready\n':
                break
        else:
            raise AssertionError(f'no machine: {"".join(said)}')
        children = pathlib.Path(
            f'/proc/{self._process.pid}/task/{self._process.pid}/children')
        self._inside = children.read_text().split()[0]
        return self

    def __exit__(self, *_error: Any) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.where / 'work', ignore_errors=True)

    def run(self, *command: str, user: str = USER, outside: bool = False,
            check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command on the machine; its output is one text.

        :param outside: with the network of this machine, to install.
        """
        kept = {name: value for name, value in os.environ.items()
                if name.startswith('PIP_') or name.endswith('_proxy')}
        home = str(HOME) if user == USER else '/root'
        done = subprocess.run(
            ['nsenter', '--target', self._inside, '--mount', '--pid', '--uts',
             *([] if outside else ['--net']), 'runuser', '-u', user, '--',
             'env', '-i', f'HOME={home}', f'USER={user}',
             'PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin',
             *(f'{name}={value}' for name, value in kept.items()),
             *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False, cwd='/')
        if check and done.returncode:
            raise AssertionError(
                f'{command}: {done.returncode}\n{done.stdout[-6000:]}')
        return done

    def read(self, path: str) -> str:
        return self.run('cat', path, user='root').stdout

    def files(self, *trees: str) -> set[str]:
        """What there is below some directories."""
        return {line for line in self.run(
            'find', *trees, user='root', check=False).stdout.splitlines()
            if line.startswith('/')}
