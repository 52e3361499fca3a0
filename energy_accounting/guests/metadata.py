# SPDX-License-Identifier: Apache-2.0
"""What Nova writes into a domain's metadata: owner and flavor.

Pure text.  Every element may be missing: instances keep what an older Nova
wrote until they are next started anew, and a guest without any of it is a
guest all the same.  Names are not taken: they go stale; ids stay.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from energy_accounting.guests import processes, qemu

NAMESPACE = 'http://openstack.org/xmlns/libvirt/nova/1.1'
# What older releases wrote (Rocky among them); a guest that has run since
# then still has it.
OLD_NAMESPACE = 'http://openstack.org/xmlns/libvirt/nova/1.0'
_LONGEST = 255


def parse(text: str, *, user_ids: bool = False) -> processes.Identity:
    """The identity that a ``nova:instance`` element states.

    :param text: the element as libvirt gives it; libvirt parsed it before
        and writes neither entities nor a document type.
    :param user_ids: whether the user's id may be taken.
    """
    if '<!DOCTYPE' in text:
        return processes.NOBODY
    try:
        # Whoever may define domains is the operator; see above.
        root = ElementTree.fromstring(text)  # noqa: S314
    except (ElementTree.ParseError, ValueError):
        return processes.NOBODY
    flavor = _find(root, 'flavor')
    return processes.Identity(
        project_id=_attribute(_find(root, 'owner', 'project'), 'uuid'),
        flavor=_attribute(flavor, 'name'),
        user_id=_attribute(_find(root, 'owner', 'user'), 'uuid')
        if user_ids else None,
        vcpus=_number(_find(root, 'flavor', 'vcpus'), qemu.MOST_VCPUS),
        memory_mib=_number(_find(root, 'flavor', 'memory'), qemu.MOST_MIB))


def _find(root: ElementTree.Element, *names: str,
          ) -> ElementTree.Element | None:
    # libvirt gives the element without its namespace, dumpxml with it.
    return root.find('/'.join(f'{{*}}{name}' for name in names))


def _attribute(element: ElementTree.Element | None, name: str) -> str | None:
    # Nova allows every blank there is inside a flavor's name, and a record
    # only the plain one.
    value = '' if element is None else ' '.join(element.get(name, '').split())
    if not 0 < len(value) <= _LONGEST or not value.isprintable():
        return None
    return value


def _number(element: ElementTree.Element | None, most: int) -> int | None:
    text = '' if element is None else (element.text or '').strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        return None
    return int(text) if 0 < int(text) <= most else None
