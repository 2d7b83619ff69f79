"""Between ROS and the pipeline: parameters, messages, QoS, diagnostics."""
