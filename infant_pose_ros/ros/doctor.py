"""What is wrong with a graph, told from the facts that were gathered of it. Knows no rclpy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
import difflib

from infant_pose_ros.findings import error, Finding, ok, warn
from infant_pose_ros.ros.doctor_facts import (
    CAMERA_INFO,
    CLOUD,
    COMPRESSED,
    Diagnosis,
    GraphFacts,
    IMAGE_TYPES,
    NodeFacts,
    TopicFacts,
)
from infant_pose_ros.ros.doctor_streams import stream_findings

#: Most names told of in one line.
MOST_NAMES = 6
#: Level of a DiagnosticStatus -> what makes a finding of it; 3 is STALE.
_OF_LEVEL = {0: ok, 1: warn, 2: error, 3: warn}


def graph_findings(graph: GraphFacts) -> Iterator[Finding]:
    """Everything that the facts tell: nodes, pictures, what is listened to, QoS, diagnostics."""
    yield from node_findings(graph)
    yield from clock_findings(graph)
    for topic in graph.image_topics():
        yield from stream_findings(graph, topic)
    for node in graph.nodes:
        yield from input_findings(graph, node)
    yield from mismatch_findings(graph)
    yield from diagnosis_findings(graph)


def node_findings(graph: GraphFacts) -> Iterator[Finding]:
    """Which nodes are there, names that stand twice, and the states of the pose_nodes."""
    if not graph.nodes:
        elsewhere = ', '.join(map(str, graph.other_domains))
        yield warn('nodes', f'none found in domain {graph.domain}: '
                   + (f'processes of this machine take part in domain {elsewhere}: set '
                      'ROS_DOMAIN_ID to the one you mean' if elsewhere else
                      'start them with the same ROS_DOMAIN_ID, RMW_IMPLEMENTATION and discovery '
                      'range as in this terminal'))
        return
    counts = Counter(node.name for node in graph.nodes)
    yield ok('nodes', f'{len(graph.nodes)} in domain {graph.domain}: {_listed(sorted(counts))}')
    for name in sorted(name for name, count in counts.items() if count > 1):
        yield warn(name, f'{counts[name]} nodes have this name, so that parameters and services '
                         'reach either of them: give each a namespace or a name of its own '
                         '(-r __node:=..., -r __ns:=/...)')
    pose_nodes = [node for node in graph.nodes if node.kind == 'pose_node']
    if not pose_nodes:
        yield warn('pose_node', 'none found: ros2 run infant_pose_ros pose_node')
    for node in pose_nodes:
        yield state_finding(graph, node)


def state_finding(graph: GraphFacts, node: NodeFacts) -> Finding:
    """What a pose_node's lifecycle state means."""
    if node.state is None:
        return error(node.name, 'does not answer ~/get_state: it hangs, or it is still starting; '
                                'look at its output')
    if node.state == 'active':
        return ok(node.name, 'active')
    if node.state == 'inactive':
        return warn(node.name, 'inactive, so no pose comes: ros2 lifecycle set '
                               f'{node.name} activate')
    if node.state == 'unconfigured':
        why = ('configuring failed: mend what it says below' if _has_failed(graph, node)
               else 'nobody asked for it')
        return error(node.name, f'unconfigured, so no pose comes: {why}: ros2 lifecycle set '
                     f'{node.name} configure, then ros2 lifecycle set {node.name} activate')
    return warn(node.name, f'in state {node.state}: if it stays there, look at its output')


def _has_failed(graph: GraphFacts, node: NodeFacts) -> bool:
    """Whether a node tells of an error."""
    return any(_is_of(diagnosis, node.name) and diagnosis.level == 2
               for diagnosis in graph.diagnoses)


def clock_findings(graph: GraphFacts) -> Iterator[Finding]:
    """Whether the nodes that wait for /clock get one, and all take the same time."""
    simulated = [node.name for node in graph.nodes if node.parameters.get('use_sim_time') is True]
    if not simulated:
        return
    if graph.clock_ticks is None:
        yield error('/clock', f'nobody publishes it, but use_sim_time is true at '
                    f'{_listed(simulated)}, whose time stands still: play the bag with --clock, '
                    'or set use_sim_time to false')
    elif graph.clock_ticks == 0:
        yield warn('/clock', f'stood still for {graph.seconds:g} s: is the bag or the simulation '
                             'paused?')
    else:
        yield ok('/clock', f'ticks {graph.clock_ticks / graph.seconds:.0f} times a second')


def input_findings(graph: GraphFacts, node: NodeFacts) -> Iterator[Finding]:
    """Whether somebody publishes what a node of this package listens to."""
    if node.kind not in ('pose_node', 'overlay_node'):
        return
    wanted = {CAMERA_INFO, CLOUD, *IMAGE_TYPES}
    for topic, types in sorted(node.subscribed.items()):
        if not wanted.intersection(types):
            continue
        facts = graph.topics.get(topic)
        foreign = _other_types(facts, types)
        if foreign:
            yield error(node.name, f'listens to {topic} as {types[0]}, but it is published as '
                                   f'{foreign}{_transport_mend(types, foreign)}')
        elif facts is not None and facts.publishers:
            yield ok(node.name, f'listens to {topic} ({_published_by(facts)})')
        elif CAMERA_INFO in types:
            yield warn(node.name, f'listens to {topic}, which nobody publishes: 3D is relative '
                       'to the pelvis: publish a CameraInfo, or remap camera_info'
                       + _nearest(graph, topic, (CAMERA_INFO,)))
        elif CLOUD in types:
            yield error(node.name, f'listens to {topic}, which nobody publishes: start '
                        'pose_node, or remap keypoints' + _nearest(graph, topic, (CLOUD,)))
        else:
            yield error(node.name, f'listens to {topic}, which nobody publishes'
                        + _nearest(graph, topic, types, 'start the camera, or remap image'))


def _other_types(topic: TopicFacts | None, types: tuple[str, ...]) -> str:
    """The types that it is published as, where none is what is asked for."""
    if topic is None or not topic.publishers or set(topic.types) == set(types):
        return ''
    others = [name for name in topic.types if name not in types]
    # With several types in the graph one can't tell whose is whose.
    return ', '.join(others)


def _transport_mend(types: tuple[str, ...], foreign: str) -> str:
    if COMPRESSED in foreign:
        return ': set image_transport to compressed'
    if COMPRESSED in types:
        return ': set image_transport to raw'
    return ': remap it to another topic'


def _nearest(graph: GraphFacts, topic: str, types: tuple[str, ...], otherwise: str = '') -> str:
    """': topics of that kind: ...', the most alike first, and how to take one."""
    like = IMAGE_TYPES if set(types) & set(IMAGE_TYPES) else types
    drawn = {f'{node.name}/image' for node in graph.nodes if node.kind == 'overlay_node'}
    names = [name for name, facts in graph.topics.items()
             if facts.publishers and set(facts.types) & set(like) and name not in drawn]
    if not names:
        return f', and no other topic carries any: {otherwise}' if otherwise else ''
    names.sort(key=lambda name: -difflib.SequenceMatcher(None, name, topic).ratio())
    told = []
    for name in names[:MOST_NAMES]:
        transport = 'compressed' if COMPRESSED in graph.topics[name].types else 'raw'
        fits = bool(set(graph.topics[name].types) & set(types))
        told.append(name if fits else f'{name} (with image_transport:={transport})')
    if like is not IMAGE_TYPES:
        return f' (there is {", ".join(told)})'
    return f': remap image to one that carries pictures: {", ".join(told)}'


def mismatch_findings(graph: GraphFacts) -> Iterator[Finding]:
    """Publishers and subscriptions whose QoS keeps them apart, and topics of several types."""
    for name, topic in sorted(graph.topics.items()):
        if len(topic.types) > 1:
            yield warn(name, f'has several types, {", ".join(topic.types)}: those who differ '
                             'never exchange a message: remap one of them')
        for mismatch in topic.mismatches:
            publisher, subscription = mismatch.publisher, mismatch.subscription
            yield error(name, f'{publisher.node} publishes, but {subscription.node} never gets a '
                              f'message ({mismatch.reason}): {_qos_mend(mismatch)}')


def _qos_mend(mismatch) -> str:
    publisher, subscription = mismatch.publisher, mismatch.subscription
    mends = []
    if publisher.reliability == 'best_effort' and subscription.reliability == 'reliable':
        mends.append(f'let {subscription.node} ask for best_effort (our nodes: set reliability '
                     f'to auto), or {publisher.node} offer reliable')
    if publisher.durability == 'volatile' and subscription.durability == 'transient_local':
        mends.append(f'let {subscription.node} ask for volatile, or {publisher.node} offer '
                     'transient_local')
    return '; '.join(mends) or 'give both the same deadline and liveliness'


def diagnosis_findings(graph: GraphFacts) -> Iterator[Finding]:
    """What the nodes of this package say of themselves on /diagnostics, and cameras of faults."""
    ours = [node.name for node in graph.nodes if node.kind]
    cameras = {end.node for name in graph.image_topics() for end in graph.topics[name].publishers}
    told = set()
    for diagnosis in graph.diagnoses:
        owner = next((name for name in [*ours, *sorted(cameras)] if _is_of(diagnosis, name)), None)
        if owner is None or (owner not in ours and diagnosis.level == 0):
            continue
        told.add(owner)
        names = f' [{", ".join(diagnosis.faults)}]' if diagnosis.faults else ''
        yield _OF_LEVEL.get(diagnosis.level, warn)(
            owner, f'says{diagnosis.name.partition(":")[2]}{names}: {diagnosis.message}')
    for node in graph.nodes:
        if node.kind == 'pose_node' and node.name not in told:
            yield warn(node.name, f'sent no diagnostics in {graph.seconds:g} s, though it sends '
                                  'them once a second: it hangs, or its messages do not get here')


def _is_of(diagnosis: Diagnosis, node: str) -> bool:
    return diagnosis.name.partition(':')[0] == node.lstrip('/')


def _published_by(topic: TopicFacts) -> str:
    return 'published by ' + _listed(sorted({end.node for end in topic.publishers}))


def _listed(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    return ', '.join(names[:MOST_NAMES]) + (f' and {more} more' if more > 0 else '')
