"""committed.py BOOTSTRAP GROUP TOPIC: prints `PARTITION OFFSET` for each committed partition."""

import sys

from confluent_kafka import Consumer, TopicPartition

bootstrap, group, topic = sys.argv[1:]
consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
wanted = [TopicPartition(topic, partition) for partition in partitions]
for found in consumer.committed(wanted, timeout=20):
    if found.error:
        sys.exit(f"{found.error}")
    if found.offset >= 0:
        print(found.partition, found.offset)
consumer.close()
