"""commit.py BOOTSTRAP GROUP TOPIC OFFSET: makes the offset the group's place in partition 0."""

import sys

from confluent_kafka import Consumer, TopicPartition

bootstrap, group, topic, offset = sys.argv[1:]
consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False})
consumer.commit(offsets=[TopicPartition(topic, 0, int(offset))], asynchronous=False)
consumer.close()
