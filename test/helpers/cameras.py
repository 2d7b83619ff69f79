"""A camera in a process of its own: plays one grey picture with what a test asks for.

`python cameras.py WIDTH HEIGHT ENCODING RATE_HZ RELIABILITY [TOPIC]` publishes until it is killed.
"""

import sys


def main():
    """Publish pictures and their CameraInfo, stamped with the time of publishing."""
    import numpy as np
    import rclpy
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from sensor_msgs.msg import CameraInfo, Image

    width, height, encoding, rate_hz, reliability = sys.argv[1:6]
    topic = sys.argv[6] if len(sys.argv) > 6 else '/image'
    width, height, rate_hz = int(width), int(height), float(rate_hz)
    channels = {'rgb8': 3, 'bgr8': 3, 'mono8': 1}[encoding]
    rclpy.init()
    node = rclpy.create_node('test_camera')
    qos = QoSProfile(depth=5, reliability=ReliabilityPolicy[reliability.upper()])
    images, infos = (node.create_publisher(Image, topic, qos),
                     node.create_publisher(CameraInfo, '/camera_info', 10))
    data = np.random.default_rng(0).integers(
        0, 255, width * height * channels, dtype=np.uint8).tobytes()
    image = Image(width=width, height=height, encoding=encoding, step=width * channels)
    image.data = data
    focal = float(width)
    info = CameraInfo(width=width, height=height, distortion_model='plumb_bob', d=[0.0] * 5,
                      k=[focal, 0.0, width / 2, 0.0, focal, height / 2, 0.0, 0.0, 1.0])

    def publish():
        stamp = node.get_clock().now().to_msg()
        for message, publisher in ((info, infos), (image, images)):
            message.header.stamp, message.header.frame_id = stamp, f'camera_{width}'
            publisher.publish(message)

    node.create_timer(1.0 / rate_hz, publish)
    rclpy.spin(node)


if __name__ == '__main__':
    main()
