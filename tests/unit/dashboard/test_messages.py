# SPDX-License-Identifier: Apache-2.0
"""What people read is in both languages, and what was copied is fresh."""

import gettext
import importlib.machinery
import importlib.util
import pathlib
import re
import types

import testtools

ROOT = pathlib.Path(__file__).parents[3]
# The same word in both languages.
SAME = {'CO₂', 'Host', 'Hosts', 'IT', 'Zone', 'Version', 'Server', 'Revision'}
# Not words of a language.
NAMES = {'PUE', 'g/kWh', 'openstack energy quarantine show|release|discard',
         'openstack energy statement create',
         'openstack energy export create', 'openstack energy export retry'}


def tool() -> types.ModuleType:
    """``tools/messages``, which is a script."""
    loader = importlib.machinery.SourceFileLoader(
        'messages', str(ROOT / 'tools/messages'))
    spec = importlib.util.spec_from_loader('messages', loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


MESSAGES = tool()


def texts(language: str) -> dict[tuple, tuple[str, ...]]:
    """What is said for each text, alone and for several."""
    found = {}
    for message in MESSAGES.current(language):
        if message.id:
            said = message.string
            ident = message.id
            found[message.context, *(
                ident if isinstance(ident, tuple) else (ident,))] = (
                    said if isinstance(said, tuple) else (said,))
    return found


class Catalogues(testtools.TestCase):

    def test_a_text_is_missing_or_a_file_is_stale(self):
        for path, content in MESSAGES.files().items():
            self.assertTrue(content == path.read_bytes(),
                            f'{path} is stale, run: tools/messages')

    def test_a_text_is_not_translated(self):
        for language in MESSAGES.LANGUAGES:
            self.assertEqual([], [ident for ident, said
                                  in texts(language).items()
                                  if not all(said)])
            self.assertEqual([], [message.id for message
                                  in MESSAGES.current(language)
                                  if message.fuzzy and message.id])

    def test_a_translation_is_only_a_copy(self):
        self.assertEqual([], [
            ident for ident, said in texts('de').items()
            if said[0] == ident[1] and said[0] not in SAME])

    def test_a_translation_has_other_variables(self):
        names = re.compile(r'%\((\w+)\)[sd]|(%%)')
        for ident, said in texts('de').items():
            for one, other in zip(ident[1:], said, strict=True):
                # "One server" needs no number.
                wanted = set(names.findall(ident[-1]))
                self.assertLessEqual(set(names.findall(other)), wanted)
                self.assertEqual(set(names.findall(one)),
                                 set(names.findall(other)), ident)

    def test_the_compiled_catalogue_says_something_else(self):
        for language in MESSAGES.LANGUAGES:
            with MESSAGES.path_of(language).with_suffix('.mo').open(
                    'rb') as file:
                known = gettext.GNUTranslations(file)
            for (context, one, *many), said in texts(language).items():
                if many:
                    self.assertEqual(said, (known.ngettext(one, many[0], 1),
                                            known.ngettext(one, many[0], 2)))
                elif context:
                    self.assertEqual(said[0], known.pgettext(context, one))
                else:
                    self.assertEqual(said[0], known.gettext(one))


class Templates(testtools.TestCase):

    def test_a_page_has_words_that_nobody_can_translate(self):
        for path in MESSAGES.PANELS.rglob('*.html'):
            self.assertEqual([], untranslated(path.read_text()), path.name)

    def test_words_in_a_page_are_overlooked(self):
        for source, found in (
                ('<p>Hello</p>', ['Hello']),
                ('<p title="Hello">{% translate "x" %}</p>', ['Hello']),
                ('<i aria-label="Hello {{ x }}"></i>', ['Hello']),
                ('<p class="b">{{ a }}: 1 {% url "x" %}</p>{# no #}', []),
                ('{% blocktranslate trimmed %}a{{ b }}{% plural %}c'
                 '{% endblocktranslate %}', [])):
            self.assertEqual(found, untranslated(source), source)


class TheToolBites(testtools.TestCase):

    def test_a_text_is_overlooked(self):
        self.assertEqual([(None, 'a "b"', None)], MESSAGES.of_template(
            """{% translate 'a "b"' %}"""))
        self.assertEqual([(None, 'One %(x)s', '%(x)s of 5 %%')],
                         MESSAGES.of_template(
            '{% blocktranslate trimmed count x=y %}\n One {{ x }}\n'
            '{% plural %}{{ x }}\n of 5 %{% endblocktranslate %}'
            .replace('{{ x }}\n of', '{{ x }} of')))
        self.assertEqual(
            [(None, 'a', None), ('c', 'b', None), (None, 'd', 'e')],
            MESSAGES.of_python("_('a'); pgettext('c', 'b'); "
                               "ngettext('d', 'e', 2)"))

    def test_what_is_not_understood_is_left_out(self):
        for source in ('{% trans "a" %}', '{% translate a %}',
                       '{% blocktranslate %}a{% endblocktranslate %}'):
            self.assertRaises(ValueError, MESSAGES.of_template, source)


def untranslated(source: str) -> list[str]:
    """The words of a template that are not handed to be translated."""
    source = re.sub(r'{%\s*blocktranslate.*?{%\s*endblocktranslate\s*%}',
                    '', source, flags=re.S)
    source = re.sub(r'{%.*?%}|{{.*?}}|{#.*?#}|<!--.*?-->', ' ', source,
                    flags=re.S)
    spoken = re.findall(r'(?:aria-label|title|placeholder|alt)="([^"]*)"',
                        source)
    spoken += re.split(r'<[^>]*>', source)
    found = []
    for text in spoken:
        plain = ' '.join(text.replace('&amp;', '&').split()).strip(' ():,')
        if re.search('[A-Za-zÄÖÜäöüß]', plain) and plain not in NAMES:
            found.append(plain)
    return found
