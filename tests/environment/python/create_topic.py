"""create_topic.py BOOTSTRAP TOPIC PARTITIONS [NAME=VALUE ...]: returns when the topic is there."""

import sys

from confluent_kafka.admin import AdminClient, NewTopic

bootstrap, topic, partitions, *settings = sys.argv[1:]
config = dict(setting.split("=", 1) for setting in settings)
admin = AdminClient({"bootstrap.servers": bootstrap})
wanted = NewTopic(topic, num_partitions=int(partitions), replication_factor=1, config=config)
# operation_timeout: the answer comes when the brokers know the topic, not when it is planned.
for future in admin.create_topics([wanted], operation_timeout=20).values():
    future.result()
