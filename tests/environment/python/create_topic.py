"""create_topic.py BOOTSTRAP TOPIC PARTITIONS [NAME=VALUE ...]: returns when clients see the topic."""

import sys
import time

from confluent_kafka.admin import AdminClient, NewTopic

bootstrap, topic, partitions, *settings = sys.argv[1:]
config = dict(setting.split("=", 1) for setting in settings)
admin = AdminClient({"bootstrap.servers": bootstrap})
wanted = NewTopic(topic, num_partitions=int(partitions), replication_factor=1, config=config)
for future in admin.create_topics([wanted], operation_timeout=20).values():
    future.result()

# The controller has it; the broker that answers clients may learn of it a moment later.
deadline = time.monotonic() + 20
while True:
    found = admin.list_topics(topic, timeout=20).topics[topic]
    leaders = [partition.leader for partition in found.partitions.values()]
    if not found.error and len(leaders) == int(partitions) and min(leaders) >= 0:
        break
    if time.monotonic() > deadline:
        sys.exit(f"{topic} was created and is not there: {found.error}")
    time.sleep(0.02)
