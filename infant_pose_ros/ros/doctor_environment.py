"""What the environment says to DDS, and whether it can be as it says. Knows no rclpy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
import re
from xml.etree import ElementTree

from infant_pose_ros.findings import error, Finding, ok, warn

DEFAULT_RMW = 'rmw_fastrtps_cpp'
#: Domains that every platform's ports allow.
LAST_DOMAIN = 101
RANGES = ('OFF', 'LOCALHOST', 'SUBNET', 'SYSTEM_DEFAULT')
NEW_VARIABLE, OLD_VARIABLE = 'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'
#: Distributions whose Fast DDS reads the old name only.
OLD_FASTDDS = ('humble', 'jazzy')
#: DDS's ports: of domain d they begin at 7400 + 250 d; a participant's own at 10 more.
_PORT_BASE, _DOMAIN_GAIN, _OWN_OFFSET = 7400, 250, 10
_UDP_TABLES = ('/proc/net/udp', '/proc/net/udp6')


def environment_findings(environment: Mapping[str, str], rmw: str, profile: Path | None
                         ) -> Iterator[Finding]:
    """Middleware, domain, discovery range, Fast DDS profile and security.

    Args:
        environment: of the process.
        rmw: the middleware in use.
        profile: the package's own Fast DDS profile, to name in the mend.
    """
    yield ok('middleware', f'{rmw}, ROS {environment.get("ROS_DISTRO") or "from PyPI"}')
    yield domain_finding(environment)
    yield from range_findings(environment)
    if 'fastrtps' in rmw:
        yield from profile_findings(environment, profile)
    if environment.get('ROS_SECURITY_ENABLE', '').lower() == 'true':
        yield from security_findings(environment)


def domain_finding(environment: Mapping[str, str]) -> Finding:
    """ROS_DOMAIN_ID."""
    text = environment.get('ROS_DOMAIN_ID', '')
    if not text:
        return ok('domain', 'ROS_DOMAIN_ID is not set: domain 0')
    if not re.fullmatch(r'\d+', text):
        return error('domain', f'ROS_DOMAIN_ID is {text!r}: expected a number from 0 to '
                               f'{LAST_DOMAIN}')
    if int(text) > LAST_DOMAIN:
        return warn('domain', f'ROS_DOMAIN_ID is {text}: its ports lie among those that Linux '
                              f'hands to anybody: take a number from 0 to {LAST_DOMAIN}')
    return ok('domain', f'ROS_DOMAIN_ID is {text}: only nodes with the same one are found')


def range_findings(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Which machines' nodes are looked for."""
    distro = environment.get('ROS_DISTRO', '')
    wide, only_local = (environment.get('ROS_AUTOMATIC_DISCOVERY_RANGE', ''),
                        environment.get('ROS_LOCALHOST_ONLY', ''))
    if distro == 'humble':
        if wide:
            yield warn('discovery', f'ROS_AUTOMATIC_DISCOVERY_RANGE is {wide}, which Humble '
                                    'does not know: use ROS_LOCALHOST_ONLY')
        yield ok('discovery', 'on this machine only (ROS_LOCALHOST_ONLY=1)' if only_local == '1'
                 else 'in the whole subnet')
        return
    if wide and wide not in RANGES:
        yield error('discovery', f'ROS_AUTOMATIC_DISCOVERY_RANGE is {wide!r}: expected one of '
                                 f'{", ".join(RANGES)}')
    elif wide == 'OFF':
        yield error('discovery', 'ROS_AUTOMATIC_DISCOVERY_RANGE is OFF, so that no node finds '
                                 'another: set it to LOCALHOST or SUBNET')
    elif wide == 'LOCALHOST' or only_local == '1':
        yield ok('discovery', 'on this machine only: cameras of other machines are not found')
    else:
        yield ok('discovery', 'in the whole subnet')
    if only_local == '1' and wide:
        yield warn('discovery', 'ROS_LOCALHOST_ONLY=1 is old and wins over '
                                f'ROS_AUTOMATIC_DISCOVERY_RANGE={wide}: unset ROS_LOCALHOST_ONLY')


def profile_findings(environment: Mapping[str, str], own: Path | None) -> Iterator[Finding]:
    """Whether Fast DDS is told how to carry pictures, by a file that is there."""
    is_old = environment.get('ROS_DISTRO', '') in OLD_FASTDDS
    variable, other = ((OLD_VARIABLE, NEW_VARIABLE) if is_old else (NEW_VARIABLE, OLD_VARIABLE))
    mend = (f'export {variable}={own}' if own is not None
            else f'set {variable} to config/fastdds.xml of this package')
    given = environment.get(variable, '')
    if not given and environment.get(other):
        # Fast DDS 3 still reads the old name, and warns.
        make = error if is_old else warn
        yield make('Fast DDS profile', f'{other} is set, {variable} is what this version reads: '
                                       f'export {variable}="${other}"')
        if is_old:
            return
        given = environment[other]
    if not given:
        yield warn('Fast DDS profile', 'none: raw pictures do not fit the 512 kB of shared memory '
                   'that Fast DDS takes by itself, so with best effort most are lost, and '
                   f'nobody is told: {mend}, here and where the camera runs (the launch files of '
                   'this package do it)')
        return
    path = Path(given)
    try:
        root = ElementTree.parse(path).getroot()
    except OSError as problem:
        yield error('Fast DDS profile', f'{variable} names {path}, which can not be read '
                                        f'({problem.strerror}): {mend}')
        return
    except ElementTree.ParseError as problem:
        yield error('Fast DDS profile', f'{path} is not XML ({problem}): {mend}')
        return
    kinds = [element.text for element in root.iter() if element.tag.rpartition('}')[2] == 'type']
    has_default = any(element.get('is_default_profile') == 'true' for element in root.iter())
    if not has_default:
        yield warn('Fast DDS profile', f'{path} has no participant profile that says '
                   f'is_default_profile="true", so ROS does not use it: {mend}')
    else:
        yield ok('Fast DDS profile', f'{path} (transports: {", ".join(filter(None, kinds))})')


def security_findings(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the keys that ROS_SECURITY_ENABLE asks for are there."""
    keystore = environment.get('ROS_SECURITY_KEYSTORE', '')
    strategy = environment.get('ROS_SECURITY_STRATEGY', '')
    if not keystore or not (Path(keystore) / 'enclaves').is_dir():
        yield error('security', f'ROS_SECURITY_ENABLE is true, but ROS_SECURITY_KEYSTORE '
                                f'({keystore or "not set"}) is no keystore: docs/security.md '
                                'tells how to make one')
    elif strategy != 'Enforce':
        yield warn('security', 'ROS_SECURITY_STRATEGY is not Enforce: a node without keys starts '
                               'unprotected: export ROS_SECURITY_STRATEGY=Enforce')
    else:
        yield ok('security', f'enforced, keys in {keystore}')


def domains_in_use(tables: tuple[str, ...] = _UDP_TABLES) -> tuple[int, ...]:
    """Domains in which a process of this machine listens, told by its UDP ports.

    Args:
        tables: files in the form of /proc/net/udp; those that aren't there are left out.
    """
    ports: set[int] = set()
    for table in tables:
        try:
            lines = Path(table).read_text(encoding='ascii').splitlines()[1:]
        except OSError:
            continue
        ports |= {int(line.split()[1].rpartition(':')[2], 16) for line in lines if line.strip()}
    last = _PORT_BASE + _DOMAIN_GAIN * (LAST_DOMAIN + 1)
    found = set()
    for port in ports:
        domain, offset = divmod(port - _PORT_BASE, _DOMAIN_GAIN)
        is_own = offset >= _OWN_OFFSET and offset % 2 == 0
        # A participant has two ports of its own, one after the other.
        if _PORT_BASE <= port < last and is_own and port + 1 in ports:
            found.add(domain)
    return tuple(sorted(found))
