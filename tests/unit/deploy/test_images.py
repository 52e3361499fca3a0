# SPDX-License-Identifier: Apache-2.0
"""Containerfiles, as far as they can be read without building them."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess

import testtools

ROOT = pathlib.Path(__file__).parents[3]
SERVICE = ROOT / 'Containerfile'
HORIZON = ROOT / 'deploy' / 'yaook' / 'Containerfile.horizon'


def stages(path: pathlib.Path) -> list[str]:
    text = re.sub(r'(?m)^#.*\n', '', path.read_text()).replace('\\\n', ' ')
    return re.split(r'(?m)^FROM ', text)[1:]


def packages(profile: str) -> set[str]:
    """Of Debian, that bindep.txt lists for a profile."""
    return set(re.findall(rf'(?m)^(\S+) \[platform:dpkg .*\b{profile}\b.*\]$',
                          (ROOT / 'bindep.txt').read_text()))


class Images(testtools.TestCase):

    def test_the_image_cannot_make_a_document(self):
        self.assertLessEqual(packages('exports'),
                             set(stages(SERVICE)[-1].split()))

    def test_a_compiler_is_in_the_image(self):
        last = set(stages(SERVICE)[-1].split())
        self.assertEqual(set(), last & (
            packages('libvirt') | packages('postgresql') | {'git'}))
        self.assertIn('gcc', stages(SERVICE)[0].split())

    def test_a_process_of_the_image_is_root(self):
        user = re.findall(r'(?m)^USER (\S+)', stages(SERVICE)[-1])[-1]
        self.assertNotIn(user, ('root', '0'))
        last = stages(HORIZON)[-1]
        self.assertTrue(last.endswith('\nUSER ${RUN_AS}\n'), last)
        [step] = re.findall(r'(?m)^RUN (.*RUN_AS.*)$', last)
        for user, taken in (('horizon', True), ('33:33', True), ('', False),
                            ('root', False), ('0:0', False)):
            done = subprocess.run(
                ['sh', '-c', step], check=False, capture_output=True,
                env={**os.environ, 'RUN_AS': user})
            self.assertEqual(taken, not done.returncode, user)

    def test_the_image_is_another_user_than_the_pods(self):
        user = re.search(r'(?m)^USER (\d+):', stages(SERVICE)[-1])
        api = (ROOT / 'deploy' / 'yaook' / 'base' / 'api.yaml').read_text()
        self.assertIn(f'runAsUser: {user[1]}\n', api)

    def test_a_shell_does_not_understand_a_step(self):
        for path in (SERVICE, HORIZON):
            steps = re.findall(r'(?m)^RUN (.+)$', '\n'.join(stages(path)))
            self.assertTrue(steps)
            for step in steps:
                done = subprocess.run(['sh', '-n', '-c', step], check=False,
                                      capture_output=True, text=True)
                self.assertEqual('', done.stderr, step)
