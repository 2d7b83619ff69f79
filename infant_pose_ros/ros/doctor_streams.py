"""What is wrong with the pictures of one topic and with the CameraInfo beside them."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from infant_pose_ros.findings import error, Finding, ok, warn
from infant_pose_ros.ros.doctor_facts import (
    CAMERA_INFO,
    camera_info_beside,
    COMPRESSED,
    GraphFacts,
    IMAGE,
    NS_PER_S,
    Stream,
    TopicFacts,
)

#: Stamps may lie this far in the future before the clocks count as apart, s.
FUTURE_S = 0.05
#: Pictures older than this come from another clock rather than from a slow machine, s.
OTHER_CLOCK_S = 60.0
#: Pictures older than this when they arrive are late, s.
LATE_S = 0.5
#: Share of pictures, counted by their CameraInfo, that may be missing.
LOST_SHARE = 0.1
#: Fewer messages tell nothing of shares and of stamps that stand still.
FEWEST = 5


def stream_findings(graph: GraphFacts, topic: str) -> Iterator[Finding]:
    """Findings of one topic that carries pictures: rate, stamps, CameraInfo."""
    facts, stream = graph.topics[topic], graph.streams.get(topic, Stream())
    about = _about(facts)
    if not stream.count and _is_drawn(graph, topic):
        yield warn(topic, f'nothing was drawn in {graph.seconds:g} s: each picture waits for the '
                          'keypoints of its own stamp; see what pose_node says')
        return
    if not stream.count:
        listeners = sorted({end.node for end in facts.subscriptions})
        make = error if listeners else warn
        yield make(topic, f'{about}; nothing came in {graph.seconds:g} s: '
                          f'{_silence_mend(graph, facts)}')
        return
    yield ok(topic, '; '.join(filter(None, (about, _size(stream), _rate(stream), _age(stream)))))
    yield from stamp_findings(topic, stream)
    if not _is_drawn(graph, topic):
        yield from camera_info_findings(graph, facts, stream)


def _is_drawn(graph: GraphFacts, topic: str) -> bool:
    """Whether it is the picture of an overlay_node, which no CameraInfo belongs to."""
    return any(node.kind == 'overlay_node' and topic == f'{node.name}/image'
               for node in graph.nodes)


def _type_of(topic: TopicFacts) -> str:
    return COMPRESSED if COMPRESSED in topic.types else IMAGE


def _about(topic: TopicFacts) -> str:
    kind = 'compressed' if _type_of(topic) == COMPRESSED else 'raw'
    offered = sorted({end.reliability for end in topic.publishers})
    nodes = ', '.join(sorted({end.node for end in topic.publishers}))
    return f'{kind} pictures of {nodes}, {" and ".join(offered)}'


def _silence_mend(graph: GraphFacts, topic: TopicFacts) -> str:
    """What to do where a topic of pictures has publishers, and nothing comes."""
    infos = graph.streams.get(camera_info_beside(topic.name, _type_of(topic)), Stream())
    why = (f'the camera runs, as {infos.count} CameraInfo came, so its pictures get lost on the '
           'way' if infos.count else 'is the camera running? If it is, its pictures get lost on '
           'the way')
    offers_less = any(end.reliability == 'best_effort' for end in topic.publishers)
    return (f'{why}: {"let it publish reliable, and " if offers_less else ""}use the Fast DDS '
            'profile of this package on both sides')


def _size(stream: Stream) -> str:
    sizes = ', '.join(f'{width}x{height}' for width, height in sorted(stream.pictures_wh))
    return ' '.join(filter(None, (sizes, ', '.join(sorted(stream.encodings)))))


def _rate(stream: Stream) -> str:
    if stream.rate_hz is None:
        return f'{stream.count} came'
    return f'{stream.rate_hz:.1f} a second, {stream.megabytes_a_second:.2f} MB/s'


def _age(stream: Stream) -> str:
    return f'{median(stream.ages_ns) / 1e6:.0f} ms old' if stream.ages_ns else ''


def stamp_findings(topic: str, stream: Stream) -> Iterator[Finding]:
    """Stamps that are zero, stand still, run backwards, lie in the future or are old."""
    stamps = stream.stamps_ns
    if not any(stamps):
        yield warn(topic, 'its stamps are zero, so that ages are unknown and recordings can not '
                          'be put in order: let the driver stamp its pictures')
        return
    if len(stamps) >= FEWEST and len(set(stamps)) == 1:
        yield error(topic, f'all {len(stamps)} stamps are the same, so that nothing seems to '
                           'move: let the driver stamp each picture anew')
        return
    backwards = sum(later < earlier for earlier, later in zip(stamps, stamps[1:]))
    if backwards:
        yield warn(topic, f'its stamps ran backwards {backwards} times, and tracks begin anew '
                   'each time: a bag that loops does so once a round; two publishers on one '
                   'topic do it all the time')
    repeated = sum(later == earlier for earlier, later in zip(stamps, stamps[1:]))
    if repeated:
        yield warn(topic, f'{repeated} of {len(stamps)} pictures had the stamp of the one before: '
                          'let the driver stamp each picture anew')
    if not stream.ages_ns:
        return
    age_s = median(stream.ages_ns) / NS_PER_S
    if age_s < -FUTURE_S:
        yield warn(topic, f"its stamps lie {-age_s:.2f} s in the future: synchronise the "
                          "camera's clock with this machine's (chrony, PTP)")
    elif age_s > OTHER_CLOCK_S:
        yield warn(topic, f'its stamps are {age_s:.0f} s old, so pose_node drops them as stale: '
                          'they come from another clock: synchronise it; of a bag, play it with '
                          '--clock and set use_sim_time, or set max_age_ms to 0')
    elif age_s > LATE_S:
        yield warn(topic, f'its pictures are {age_s:.1f} s old when they arrive: the camera, the '
                          'network or the clocks are late: lower the rate or the resolution, '
                          'synchronise the clocks')


def camera_info_findings(graph: GraphFacts, topic: TopicFacts, stream: Stream
                         ) -> Iterator[Finding]:
    """Whether the CameraInfo beside the pictures is there and belongs to them."""
    name = camera_info_beside(topic.name, _type_of(topic))
    facts = graph.topics.get(name)
    if facts is None or not facts.publishers or CAMERA_INFO not in facts.types:
        yield warn(topic.name, f'no CameraInfo beside it on {name}: 3D is relative to the pelvis '
                               'unless camera_info is remapped to the one of this camera')
        return
    infos = graph.streams.get(name, Stream())
    if not infos.count:
        yield warn(name, f'nothing came in {graph.seconds:g} s, though pictures did: let the '
                         'driver publish CameraInfo with every picture')
        return
    problems = list(_misfits(name, topic.name, stream, infos))
    yield from problems
    if not problems:
        yield ok(name, f'CameraInfo of {topic.name}, {_sizes(infos)}, {infos.count} came')


def _misfits(name: str, topic: str, stream: Stream, infos: Stream) -> Iterator[Finding]:
    """Where CameraInfo and pictures that both come don't go together."""
    if stream.pictures_wh and infos.pictures_wh and stream.pictures_wh != infos.pictures_wh:
        yield warn(name, f'describes pictures of {_sizes(infos)}, but those on {topic} are '
                         f'{_sizes(stream)}: calibrate at the resolution that is published, or '
                         'let the driver scale CameraInfo with it')
    if infos.frame_ids and stream.frame_ids and not infos.frame_ids & stream.frame_ids:
        yield warn(name, f'its frame_id {_words(infos.frame_ids)} is not that of the pictures, '
                         f'{_words(stream.frame_ids)}: give both the same')
    if not set(infos.stamps_ns) & set(stream.stamps_ns):
        yield warn(name, 'none of its stamps is that of a picture: let the driver stamp both '
                         'alike')
    elif is_lossy(stream, infos):
        yield warn(topic, f'{stream.count} pictures came, but {infos.count} CameraInfo: the rest '
                   'got lost on the way: let the camera publish reliable, and use the Fast DDS '
                   'profile of this package on both sides')
    elif is_lossy(infos, stream):
        yield warn(name, f'{infos.count} CameraInfo came, but {stream.count} pictures: they get '
                   'lost on the way (then use the Fast DDS profile of this package on both '
                   'sides), or the driver does not send one with every picture')


def is_lossy(stream: Stream, other: Stream) -> bool:
    """Whether clearly fewer messages came than of the other, from its first one on."""
    since = sum(arrival_ns >= stream.arrivals_ns[0] for arrival_ns in other.arrivals_ns)
    return since >= FEWEST and stream.count < (1.0 - LOST_SHARE) * since


def _sizes(stream: Stream) -> str:
    return ', '.join(f'{width}x{height}' for width, height in sorted(stream.pictures_wh))


def _words(names: set[str]) -> str:
    return ', '.join(repr(name) for name in sorted(names))
