from pathlib import Path

import pytest

from infant_pose_ros.findings import Level
from infant_pose_ros.ros import doctor_environment
from infant_pose_ros.ros.doctor_environment import environment_findings

ROOT = Path(__file__).resolve().parents[2]
OWN = ROOT / 'config' / 'fastdds.xml'
NEW, OLD = 'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'


def found(about, environment, rmw='rmw_fastrtps_cpp'):
    """(level, text) of what is found about one thing, the worst one last."""
    findings = [finding for finding in environment_findings(environment, rmw, OWN)
                if finding.about == about]
    order = list(Level)
    return [(finding.level, finding.text)
            for finding in sorted(findings, key=lambda finding: order.index(finding.level))]


@pytest.mark.parametrize(('domain', 'level'), [
    (None, Level.OK), ('0', Level.OK), ('101', Level.OK), ('102', Level.WARN),
    ('zero', Level.ERROR), ('-1', Level.ERROR)])
def test_domain(domain, level):
    environment = {} if domain is None else {'ROS_DOMAIN_ID': domain}
    assert found('domain', environment)[-1][0] is level


@pytest.mark.parametrize(('environment', 'level', 'words'), [
    ({}, Level.OK, 'subnet'),
    ({'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}, Level.OK, 'this machine only'),
    ({'ROS_AUTOMATIC_DISCOVERY_RANGE': 'OFF'}, Level.ERROR, 'no node finds another'),
    ({'ROS_AUTOMATIC_DISCOVERY_RANGE': 'local'}, Level.ERROR, 'LOCALHOST'),
    ({'ROS_LOCALHOST_ONLY': '1'}, Level.OK, 'this machine only'),
    ({'ROS_LOCALHOST_ONLY': '1', 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SUBNET'}, Level.WARN,
     'unset ROS_LOCALHOST_ONLY'),
    ({'ROS_DISTRO': 'humble', 'ROS_LOCALHOST_ONLY': '1'}, Level.OK, 'this machine only'),
    ({'ROS_DISTRO': 'humble', 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}, Level.WARN,
     'Humble')])
def test_discovery(environment, level, words):
    last = found('discovery', environment)[-1]
    assert last[0] is level and words in last[1]


@pytest.mark.parametrize(('environment', 'level', 'words'), [
    ({}, Level.WARN, f'export {NEW}={OWN}'),
    ({'ROS_DISTRO': 'jazzy'}, Level.WARN, f'export {OLD}={OWN}'),
    ({NEW: str(OWN)}, Level.OK, 'SHM, UDPv4'),
    ({NEW: '/is/not/there.xml'}, Level.ERROR, 'can not be read'),
    ({'ROS_DISTRO': 'humble', OLD: str(OWN)}, Level.OK, 'SHM'),
    ({'ROS_DISTRO': 'humble', NEW: str(OWN)}, Level.ERROR, f'export {OLD}='),
    ({OLD: '/is/not/there.xml'}, Level.ERROR, 'can not be read')])
def test_profile(environment, level, words):
    last = found('Fast DDS profile', environment)[-1]
    assert last[0] is level and words in last[1]


@pytest.mark.parametrize(('content', 'level'), [
    ('<dds><profiles/></dds>', Level.WARN), ('<dds', Level.ERROR)])
def test_a_profile_that_does_nothing(tmp_path, content, level):
    (tmp_path / 'own.xml').write_text(content, encoding='utf-8')
    assert found('Fast DDS profile', {NEW: str(tmp_path / 'own.xml')})[-1][0] is level


def test_another_middleware_needs_no_profile():
    assert found('Fast DDS profile', {}, 'rmw_cyclonedds_cpp') == []


def test_security(tmp_path):
    enabled = {'ROS_SECURITY_ENABLE': 'true'}
    assert found('security', {}) == []
    assert found('security', enabled)[-1][0] is Level.ERROR
    (tmp_path / 'enclaves').mkdir()
    keystore = {**enabled, 'ROS_SECURITY_KEYSTORE': str(tmp_path)}
    assert found('security', keystore)[-1][0] is Level.WARN
    assert found('security', {**keystore, 'ROS_SECURITY_STRATEGY': 'Enforce'})[-1][0] is Level.OK


def test_domains_are_told_by_their_ports(tmp_path):
    table = tmp_path / 'udp'
    # Domain 3: 7400 + 750 + 10 and 11; of domain 5 only the multicast port; 40000 is nobody's.
    ports = [8160, 8161, 7400 + 5 * 250, 40000, 40001]
    table.write_text('  sl  local_address rem_address\n' + ''.join(
        f'   1: 00000000:{port:04X} 00000000:0000 07\n' for port in ports), encoding='ascii')
    assert doctor_environment.domains_in_use((str(table), str(tmp_path / 'udp6'))) == (3,)
