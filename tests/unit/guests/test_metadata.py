# SPDX-License-Identifier: Apache-2.0
"""Owners out of Nova's metadata."""

import pathlib
import xml.etree.ElementTree as ElementTree

import testtools

from energy_accounting.guests import metadata, processes

FIXTURES = pathlib.Path(__file__).with_name('fixtures')
PROJECT = 'e22ee076499943c3b7268bde3cff9ca4'
USER = '3f55737a41c74934bd13d1519b3400c2'


class Metadata(testtools.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.text = (FIXTURES / 'metadata-nova-34.0.0.xml').read_text()

    def test_what_nova_wrote_is_not_understood(self):
        self.assertEqual(
            processes.Identity(PROJECT, 'm1.tiny', USER, 1, 32),
            metadata.parse(self.text, user_ids=True))

    def test_the_namespace_of_the_full_xml_gets_in_the_way(self):
        domain = ElementTree.parse(FIXTURES / 'domain-nova-34.0.0.xml')
        element = domain.find(f'.//{{{metadata.NAMESPACE}}}instance')
        assert element is not None
        self.assertEqual(metadata.parse(self.text), metadata.parse(
            ElementTree.tostring(element, 'unicode')))

    def test_a_user_id_is_taken_unasked(self):
        self.assertIsNone(metadata.parse(self.text).user_id)

    def test_a_missing_element_drops_the_others(self):
        full = metadata.parse(self.text, user_ids=True)
        for path, without in (
                ('flavor', full._replace(flavor=None, vcpus=None,
                                         memory_mib=None)),
                ('flavor/vcpus', full._replace(vcpus=None)),
                ('flavor/memory', full._replace(memory_mib=None)),
                ('owner', full._replace(project_id=None, user_id=None)),
                ('owner/project', full._replace(project_id=None)),
                ('owner/user', full._replace(user_id=None)),
                ('name', full), ('image', full)):
            root = ElementTree.fromstring(self.text)
            parent = root.find(path.rpartition('/')[0] or '.')
            element = root.find(path)
            assert parent is not None and element is not None
            parent.remove(element)
            self.assertEqual(without, metadata.parse(
                ElementTree.tostring(root, 'unicode'), user_ids=True), path)

    def test_text_that_is_no_xml_raises(self):
        for text in ('', 'x', '<instance>', '<instance/>', '<a><b/></a>'):
            self.assertEqual(processes.NOBODY, metadata.parse(text), text)

    def test_values_that_cannot_be_are_taken(self):
        for old, new in ((PROJECT, ''), (PROJECT, 'x' * 256)):
            self.assertIsNone(metadata.parse(
                self.text.replace(old, new)).project_id)
        for vcpus in ('0', '-1', 'many', '', '1.5', '９'):
            self.assertIsNone(metadata.parse(self.text.replace(
                '<vcpus>1<', f'<vcpus>{vcpus}<')).vcpus, vcpus)
